"""Takes the local variables, some of which hold secrets, out of the tracebacks of errors that leave the package.

Files, lines and functions stay, so that a bug can be found. Django's ``sensitive_variables`` would not do: only
Django's own reports heed it, and to all others its wrapper shows the arguments once more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from traceback import clear_frames
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


def without_variables(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function raise errors that show no variable of it, nor of anything that it called.

    An error that the caller was just handling is left as it is. What protects is not protected itself: a signal that
    arrives with its first instruction, or while it clears, still shows variables. The function may be a coroutine's.
    """
    if iscoroutinefunction(function):
        return cast(Callable[P, T], _awaited_without_variables(function))

    @wraps(function)
    def protected(*args: P.args, **kwargs: P.kwargs) -> T:
        handled: BaseException | None = None
        try:
            handled = sys.exception()
            return function(*args, **kwargs)
        except BaseException as error:
            args, kwargs = (), {}  # type: ignore[assignment]  # this frame is in the traceback as well
            forget_variables(error, handled)
            raise

    return protected


def _awaited_without_variables(function: Any) -> Any:
    @wraps(function)
    async def protected(*args: Any, **kwargs: Any) -> Any:
        handled: BaseException | None = None
        try:
            handled = sys.exception()
            return await function(*args, **kwargs)
        except BaseException as error:
            args, kwargs = (), {}  # as above
            forget_variables(error, handled)
            raise

    return protected


def forget_variables(error: BaseException, handled: BaseException | None = None) -> None:
    """Clear the frames of an error, and of those that led to it or are its group, up to one ``handled`` before.

    Frames that are still running keep their variables.
    """
    links, seen = [error], {id(handled)}
    while links:
        link = links.pop()
        seen.add(id(link))
        clear_frames(link.__traceback__)
        links += [each for each in _linked(link) if each and id(each) not in seen]


def _linked(error: BaseException) -> tuple[BaseException | None, ...]:
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return error.__cause__, error.__context__, *members
