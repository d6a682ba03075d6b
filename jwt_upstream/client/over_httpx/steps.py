"""The steps of a call, which are the same ones whether they are waited for or awaited, and what takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Hashable
from typing import Any, Protocol

from jwt_upstream.backends import Backend

from .bodies import apeek, peek
from .sharing import shared


class Step(Protocol):
    """Something to do that takes time; ``send`` sends a request to a backend's upstream, for the step that does."""

    def take(self, send: Any) -> Any:
        """Do it, and return what comes of it."""

    async def atake(self, send: Any) -> Any:
        """Do as ``take``."""


class Send(Step):
    """Send a copy of a request; what comes of it is an answer to the request itself, whose body was not read."""

    def __init__(self, copy: Any, request: Any, backend: Backend) -> None:
        self.copy, self._request, self._backend = copy, request, backend

    def take(self, send: Callable[[Any, Backend], Any]) -> Any:
        response = send(self.copy, self._backend)
        response.request = self._request
        return response

    async def atake(self, send: Callable[[Any, Backend], Awaitable[Any]]) -> Any:
        response = await send(self.copy, self._backend)
        response.request = self._request
        return response


class Peek(Step):
    """Read the beginning of an answer's body."""

    def __init__(self, response: Any, errors: type[Exception]) -> None:
        self._response, self._errors = response, errors

    def take(self, send: Any) -> bytes:
        return peek(self._response, self._errors)

    async def atake(self, send: Any) -> bytes:
        return await apeek(self._response, self._errors)


class Close(Step):
    """Close an answer that nobody will read."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def take(self, send: Any) -> None:
        self._response.close()

    async def atake(self, send: Any) -> None:
        await self._response.aclose()


class Ask(Step):
    """Do what may wait for the database, or for another server; awaited, in a thread of the upstream's.

    Those who are awaited on one event loop and have the same key share the answer, as ``shared`` says.
    """

    def __init__(self, alias: str, work: Callable[[], Any], key: Callable[[], Hashable] = lambda: None) -> None:
        self._alias, self._work, self._key = alias, work, key

    def take(self, send: Any) -> Any:
        return self._work()

    async def atake(self, send: Any) -> Any:
        return await shared(self._alias, self._work, self._key())


Steps = Generator[Step, Any, Any]


class Walk:
    """Goes through the steps of a call; ``result`` is what is returned at their end."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._last: Any = None
        #: The answer that nobody has closed yet, and that the caller doesn't have before the end.
        self.held: Any = None
        self.result: Any = None

    def next(self) -> Step | None:
        """Return the step to take, None at the end."""
        try:
            return self._steps.send(self._last)
        except StopIteration as end:
            self.result = end.value
            return None

    def take(self, step: Step, send: Any = None) -> None:
        """Take a step; the next one knows what came of it."""
        self._taken(step, step.take(send))

    async def atake(self, step: Step, send: Any = None) -> None:
        """Do as ``take``."""
        self._taken(step, await step.atake(send))

    def _taken(self, step: Step, answer: Any) -> None:
        if isinstance(step, Send | Close):
            self.held = answer
        self.answered(answer)

    def answered(self, answer: Any) -> None:
        """Say what came of a step that somebody else took."""
        self._last = answer


def walked(steps: Steps, send: Callable[[Any, Backend], Any]) -> Any:
    """Take all steps, and return what comes of them."""
    walk = Walk(steps)
    try:
        while step := walk.next():
            walk.take(step, send)
    except BaseException:  # whatever it is, an interruption too
        if walk.held is not None:
            walk.held.close()
        raise
    finally:
        steps.close()
    return walk.result


async def awalked(steps: Steps, send: Callable[[Any, Backend], Awaitable[Any]]) -> Any:
    """Do as ``walked``."""
    walk = Walk(steps)
    try:
        while step := walk.next():
            await walk.atake(step, send)
    except BaseException:
        if walk.held is not None:
            await asyncio.shield(walk.held.aclose())  # the call may be cancelled once more
        raise
    finally:
        steps.close()
    return walk.result
