"""Every error: cause and remedy by its docstring, and the status by which ``jwt_upstream.views`` answers it."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from jwt_upstream import exceptions
from jwt_upstream.exceptions import RefreshUnavailable
from jwt_upstream.views.outcomes import status

from .rst import docstring, table

#: Those that others are made of, and that are never raised themselves.
ROOTS = {"UpstreamError", "CredentialError"}


def lines() -> Iterator[str]:
    """Yield the table."""
    yield from table(("Error", "Cause", "What to do", "HTTP answer"), map(_row, raised()), (18, 34, 34, 14))


def raised() -> list[type[Exception]]:
    """Return the classes that are raised, in the order of the code."""
    found = [cls for cls in vars(exceptions).values() if getattr(cls, "__module__", "") == exceptions.__name__]
    return [cls for cls in found if cls.__name__ not in ROOTS]


def answer(cls: type[Exception]) -> str:
    """Return the answer that a visitor gets for an error."""
    found = status(cls("no"))
    if found is None:
        return "500, reported as a mistake in the code"
    waits = issubclass(cls, RefreshUnavailable) and found == HTTPStatus.SERVICE_UNAVAILABLE
    return f"{int(found)}{' with ``Retry-After``' if waits else ''}"


def _row(cls: type[Exception]) -> tuple[str, ...]:
    cause, *more = docstring(cls.__doc__)
    if not more:
        raise LookupError(f"the docstring of {cls.__name__} doesn't say what to do")
    return f":exc:`~jwt_upstream.exceptions.{cls.__name__}`", cause, more[0], answer(cls)
