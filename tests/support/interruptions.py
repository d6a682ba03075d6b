"""Interrupts the package at any line, as a signal's handler does that raises KeyboardInterrupt or SystemExit."""

from __future__ import annotations

import http
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import jwt_upstream
from jwt_upstream import tracebacks

PACKAGE = f"{Path(jwt_upstream.__file__).parent}/"
#: The libraries that are given secrets, where each call is a place to be interrupted at.
_BELOW = (
    "/requests/",
    "/urllib3/",
    f"{Path(http.__file__).parent}/",
    "/json/",
    "/cryptography/",
    "/jwt/",
    "/asgiref/",
    "/httpx2/",
    "/httpcore2/",
)
#: What protects is not protected itself, as ``without_variables`` says.
_UNPROTECTED = tracebacks.__file__
_UNPROTECTED_FUNCTIONS = {"TokenPair.__init__", "_cleared.<locals>.cleared"}

#: Threads of the upstream, and the package's that hold no secret. A signal's handler runs in none of them, and
#: nobody would get the error.
_THREADS_APART = ("process_request_thread", "jwt_upstream deadlines", "jwt_upstream idle")

Place = tuple[str, int]


class Interrupted(BaseException):
    """What a signal's handler raises."""


class Tracer:
    """Notes the places that are passed, each once; raises at one of them."""

    def __init__(self, at: Place | None = None) -> None:
        self.at = at
        self.passed: dict[Place, None] = {}
        self.has_raised = False

    def __call__(self, frame: FrameType, event: str, _: Any) -> Tracer | None:
        name = frame.f_code.co_filename
        if frame.f_code.co_qualname in _UNPROTECTED_FUNCTIONS:
            return None
        if name == _UNPROTECTED or any(part in threading.current_thread().name for part in _THREADS_APART):
            return None
        is_ours = name.startswith(PACKAGE)
        if not is_ours and not (event == "call" and any(part in name for part in _BELOW)):
            return None
        if event in {"call", "line"}:
            self._pass((name, frame.f_lineno))
        return self if is_ours else None

    def _pass(self, place: Place) -> None:
        self.passed[place] = None
        if place == self.at and not self.has_raised:
            self.has_raised = True
            raise Interrupted


@contextmanager
def traced(tracer: Tracer) -> Iterator[None]:
    """Have a tracer follow this thread, and those that it starts."""
    before, before_in_threads = sys.gettrace(), threading.gettrace()
    threading.settrace(tracer)
    sys.settrace(tracer)
    try:
        yield
    finally:
        sys.settrace(before)
        threading.settrace(before_in_threads)


def places(operation: Callable[[], object]) -> list[Place]:
    """Return the places that an operation passes."""
    tracer = Tracer()
    with suppress(Exception), traced(tracer):
        operation()
    return list(tracer.passed)


def interrupted(operation: Callable[[], object], at: Place) -> BaseException | None:
    """Return the error of an operation that was interrupted at a place; None if it had none."""
    try:
        with traced(Tracer(at)):
            operation()
    except BaseException as error:
        return error
    return None
