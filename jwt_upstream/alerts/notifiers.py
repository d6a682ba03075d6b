"""Calls the notifiers that settings name, each kept from the others and from whoever waits."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from inspect import isawaitable
from smtplib import SMTPException
from typing import Any, cast

from asgiref.sync import async_to_sync
from django.utils.module_loading import import_string
from django.utils.translation import gettext
from requests import HTTPError

from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.languages import in_english, in_project_language, is_for_programs
from jwt_upstream.process import PerProcess
from jwt_upstream.store import connections, queries

from .messages import Alert

logger = logging.getLogger("jwt_upstream")

Notifier = Callable[[Alert], Any]


def notify(name: str, alert: Alert) -> str:
    """Have a notifier tell an alert; return "" or why it failed, without a word that could be a secret."""
    try:
        with in_language_of(name):
            _call(_configured(name), alert)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever it raises, gevent's timeout or sys.exit() too: it must stop nobody else
        failure = _described(error)
        with in_english():
            logger.error("notifier %s failed: %s: %s", name, failure, alert.subject)
        return failure
    return ""


def _call(notifier: Notifier, alert: Alert) -> None:
    result = notifier(alert)
    if isawaitable(result):
        # The database too is used in this thread then, whose connection is the tenant's.
        async_to_sync(_awaited)(result)


async def _awaited(result: Awaitable[object]) -> None:
    await result


@contextmanager
def in_language_of(name: str) -> Iterator[None]:
    """Have texts made in English for a notifier that ``for_programs`` marks, else in LANGUAGE_CODE."""
    notifier: object = None
    with suppress(Exception):  # whatever importing it raises, of which notify() tells
        notifier = _configured(name)
    with in_english() if is_for_programs(notifier) else in_project_language():
        yield


def _configured(name: str) -> Notifier:
    configured = conf.notifiers[name]
    return cast(Notifier, import_string(configured) if isinstance(configured, str) else configured)


def _described(error: BaseException) -> str:
    # Not the whole text: a URL in it may be a secret, as that of a chat's webhook is.
    said = str(error) if isinstance(error, SMTPException | UpstreamNotConfigured) else getattr(error, "strerror", None)
    if isinstance(error, HTTPError) and error.response is not None:
        said = f"HTTP {error.response.status_code}"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


class Running:
    """The threads of one process in which notifiers run, one for each: one that hangs is not called once more."""

    def __init__(self) -> None:
        self._futures: dict[str, Future[Any]] = {}

    def start(self, name: str, work: Callable[[], Any]) -> Future[Any] | None:
        """Start some work of a notifier; None if it has not finished what it was started with before."""
        if (before := self._futures.get(name)) and not before.done():
            return None
        self._futures[name] = future = started(queries.database(), work, f"jwt_upstream notifier {name}")
        return future


def started(using: str, work: Callable[[], Any], name: str) -> Future[Any]:
    """Start some work in a thread of its own; at the end of a process, which starts no more threads, do it here."""
    try:
        return connections.in_daemon_thread(using, work, name)
    except RuntimeError:
        done: Future[Any] = Future()
        done.set_result(work())
        return done


running = PerProcess(Running)


def try_notifiers() -> dict[str, str]:
    """Send a test message by every notifier; return "" or why it failed for each, by its name."""
    alert = Alert("", "test")
    started = {name: running().start(name, partial(notify, name, alert)) for name in conf.notifiers}
    return {name: _result(future) for name, future in started.items()}


def _result(future: Future[str] | None) -> str:
    late = gettext("no answer within %(seconds)g s") % {"seconds": conf.notifier_seconds}
    try:
        return future.result(conf.notifier_seconds) if future else late
    except TimeoutError:
        return late
