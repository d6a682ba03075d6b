"""What people's tools show of an error: debuggers, error trackers, log formatters, Django's own pages and mails."""

from __future__ import annotations

import io
import itertools
import json
import pickle
import re
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from html import escape
from logging import LogRecord
from types import FrameType
from typing import Any
from urllib.parse import quote, quote_plus

import better_exceptions
import pytest
import structlog
from celery import Celery
from django.core import mail
from django.test import RequestFactory
from django.utils.log import AdminEmailHandler
from django.views.debug import technical_500_response
from rich.console import Console
from rich.traceback import Traceback
from sentry_sdk.consts import DEFAULT_OPTIONS
from sentry_sdk.utils import event_from_exception

#: No reporter expands more than ten levels, and none of ours nests as deep.
_DEPTH = 10


def forms(secret: str) -> Iterator[str]:
    """Yield the ways in which a secret may stand in a text."""
    yield from (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1])
    yield escape(secret)
    for encode in (b64encode, urlsafe_b64encode):
        yield encode(secret.encode()).decode().rstrip("=")
        yield encode(f"us:{secret}".encode()).decode().rstrip("=")


def searcher(secrets: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what finds the secrets that a text shows in any form."""
    found = re.compile("|".join({re.escape(form) for secret in secrets for form in forms(secret)}))
    return found.findall


# -- what shows nothing that this does not


def everything(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield every variable of every frame, and all that an error holds, each with its place; more than any tool."""
    for link in chain(error):
        yield f"{type(link).__name__}", f"{link!s} {link!r} {getattr(link, '__notes__', '')}"
        for frame, _ in traceback.walk_tb(link.__traceback__):
            for name, value in frame.f_locals.items():
                yield f"{place(frame)}: {name}", " ".join(expanded(value))


def place(frame: FrameType) -> str:
    """Return the function of a frame and its file."""
    return f"{frame.f_code.co_filename.rpartition('site-packages/')[2]}:{frame.f_lineno} {frame.f_code.co_name}"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all that it may be shown with."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__cause__, link.__context__]


def expanded(value: Any, depth: int = _DEPTH) -> Iterator[str]:
    """Yield what tools make of a value: its repr, and that of what is in a container."""
    try:
        yield repr(value)
    except Exception as error:  # of an object that is just being made
        yield repr(error)
    for inner in _inside(value) if depth else ():
        yield from expanded(inner, depth - 1)


def _inside(value: Any) -> list[Any]:
    try:
        if isinstance(value, Mapping):
            return list(value.items())
        if is_dataclass(value):
            return [getattr(value, field.name) for field in fields(value) if field.repr]
        return list(value) if isinstance(value, list | tuple | set | frozenset) else []
    except (AttributeError, NotImplementedError):  # that is not finished; urllib3's, which can't be walked through
        return []


# -- the tools


def by_sentry(error: BaseException) -> str:
    """Return what Sentry sends of an error."""
    event, _ = event_from_exception(error, client_options={**DEFAULT_OPTIONS, "include_local_variables": True})
    return str(event)


def by_rich(error: BaseException) -> str:
    """Return what rich prints."""
    trace = Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_string=10_000, width=200
    )
    console = Console(file=io.StringIO(), width=200, record=True)
    console.print(trace)
    return re.sub(r"[│\n]\s*", "", console.export_text())


def by_structlog(error: BaseException) -> str:
    """Return what structlog logs as JSON."""
    as_dict = structlog.tracebacks.ExceptionDictTransformer(show_locals=True, locals_max_string=10_000)
    entry = structlog.processors.ExceptionRenderer(as_dict)(None, "error", {"exc_info": error})
    return json.dumps(entry)


def by_better_exceptions(error: BaseException) -> str:
    """Return what better-exceptions prints."""
    formatter = better_exceptions.ExceptionFormatter(max_length=None)
    return "".join(formatter.format_exception(type(error), error, error.__traceback__))


def by_traceback(error: BaseException) -> str:
    """Return what the standard library prints if it is told to show variables."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def by_pytest(error: BaseException) -> str:
    """Return what ``pytest --showlocals`` prints of a failed test."""
    return str(pytest.ExceptionInfo.from_exception(error).getrepr(showlocals=True, truncate_locals=False))


def by_django_page(error: BaseException) -> str:
    """Return the page of Django with DEBUG."""
    request = RequestFactory().get("/")
    return technical_500_response(request, type(error), error, error.__traceback__).content.decode()


def by_django_mail(error: BaseException) -> str:
    """Return the mail that Django sends to the admins."""
    info = (type(error), error, error.__traceback__)
    mail.outbox.clear()
    AdminEmailHandler(include_html=True).emit(LogRecord("django", 40, "", 1, "%s", ("failed",), info))
    parts = [part for each in mail.outbox for part in each.message().walk()]
    # Django 6.0 breaks long lines by quoted-printable, in the midst of words.
    decoded = [part.get_payload(decode=True) for part in parts if not part.is_multipart()]
    return "\n".join([*map(str, parts), *(text.decode() for text in decoded if isinstance(text, bytes))])


_numbers = itertools.count()


def by_celery(error: BaseException) -> str:
    """Return what Celery logs and stores of a task that failed, and what a chain of tasks would be given."""
    app = Celery(set_as_current=False)

    # Under a name of its own: Celery registers each name once in a process, whatever the app.
    @app.task(name=f"reported-{next(_numbers)}")  # type: ignore[untyped-decorator]  # Celery has no types
    def task() -> None:
        raise error

    result = task.apply()
    stored = app.backend.prepare_exception(error, serializer="json")
    return f"{result.traceback} {result.result!r} {result!r} {stored}"


def by_pickle(error: BaseException) -> str:
    """Return what a process pool or a queue hands on."""
    try:
        return repr(pickle.dumps(error))
    except Exception as failure:
        return repr(failure)


REPORTERS: dict[str, Callable[[BaseException], str]] = {
    name.removeprefix("by_"): reporter for name, reporter in globals().items() if name.startswith("by_")
}
