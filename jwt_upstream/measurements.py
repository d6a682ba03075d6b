"""Measures every call and every wait for a refresh, for whoever listens; it costs nothing if nobody does.

The signals are sent in the thread that called. An exception in one receiver keeps no other from being called, and no
caller from its answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.dispatch import Signal

T = TypeVar("T")

__all__ = [
    "call_finished",
    "refresh_awaited",
]

#: For each call, whatever became of it; redirects are part of their call. Sender: ``UpstreamClient``. Arguments:
#: ``upstream``, ``account``, ``method``, ``status_code`` (None if there was no answer), ``error`` (the name of the
#: exception's class, or ""), ``seconds`` (everything included), and ``retries`` (by the option ``retries``).
call_finished = Signal()
#: For each caller that waited for a refresh, its own or another's. Sender: ``Credential``. Arguments: ``credential``,
#: ``seconds``, and ``error`` as in ``call_finished``.
refresh_awaited = Signal()


def is_measured() -> bool:
    """Tell whether anybody wants to know of calls."""
    return bool(call_finished.receivers)


def measured(send: Callable[[], T], client: Any, method: str | None) -> T:
    """Make a call and return its response, then send ``call_finished``, also if it raises."""
    with measuring(client, method) as told:
        response = send()
        told |= {"status_code": getattr(response, "status_code", None), "retries": _retries(response)}
        return response


@contextmanager
def measuring(client: Any, method: str | None) -> Iterator[dict[str, Any]]:
    """Send ``call_finished`` at the end, with what was added to the dictionary meanwhile."""
    told: dict[str, Any] = {"status_code": None, "error": "", "retries": 0}
    began = time.monotonic()
    try:
        yield told
    except BaseException as error:
        told["error"] = type(error).__name__
        raise
    finally:
        told |= {"upstream": client.alias, "account": client.account, "method": method}
        call_finished.send_robust(type(client), seconds=time.monotonic() - began, **told)


@contextmanager
def measured_wait(credential: Any) -> Iterator[None]:
    """Send ``refresh_awaited`` after a wait for the refresh of a credential, also if it raises."""
    began, name = time.monotonic(), ""
    try:
        yield
    except BaseException as error:
        name = type(error).__name__
        raise
    finally:
        seconds = time.monotonic() - began
        refresh_awaited.send_robust(type(credential), credential=credential, seconds=seconds, error=name)


def _retries(response: Any) -> int:
    # As urllib3 counts them; a double of an answer has none.
    made = getattr(getattr(response, "raw", None), "retries", None)
    return len(made.history) if made else 0
