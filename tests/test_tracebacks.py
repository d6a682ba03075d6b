"""Errors that leave the package keep their lines and lose their variables."""

from __future__ import annotations

import traceback
from types import FrameType
from typing import Any

import pytest
import requests

from jwt_upstream.client import UpstreamClient
from jwt_upstream.tracebacks import forget_variables, without_variables
from tests.support.rows import unbind


def frames(error: BaseException) -> dict[str, FrameType]:
    """Return the frames of an error by the names of their functions."""
    return {frame.f_code.co_name: frame for frame, _ in traceback.walk_tb(error.__traceback__)}


def inner(number: int) -> float:
    doubled = 2 * number
    return 1 / (doubled - doubled)


@without_variables
def outer(number: int) -> float:
    """Divide by zero."""
    try:
        return inner(number)
    except ZeroDivisionError as error:
        raise ValueError(number) from error


def test_variables_are_gone() -> None:
    """Neither the function, nor what it called, nor what protects it shows a variable; the lines are all there."""
    with pytest.raises(ValueError, match="7") as caught:
        outer(7)
    error = caught.value
    assert error.__cause__ is not None
    assert [frames(error)["outer"].f_locals, frames(error.__cause__)["inner"].f_locals] == [{}, {}]
    assert "7" not in repr(frames(error)["protected"].f_locals.get("args"))
    assert "return 1 / (doubled - doubled)" in "".join(traceback.format_exception(error))


@without_variables
def many(numbers: list[int]) -> None:
    """Divide each by zero, and tell all that this led to in groups."""
    errors = []
    for number in numbers:
        try:
            inner(number)
        except ZeroDivisionError as error:
            errors.append(ExceptionGroup("inner", [error]))
    raise ExceptionGroup("outer", errors)


def test_groups() -> None:
    """The errors of a group, and of groups in it, show no variable either."""
    with pytest.raises(ExceptionGroup) as caught:
        many([3, 4])
    inners = [each for group in caught.value.exceptions for each in group.exceptions]
    assert [frames(each)["inner"].f_locals for each in inners] == [{}, {}]


def test_function_is_still_itself() -> None:
    """A function that is protected keeps its name and its docstring."""
    assert (outer.__name__, outer.__doc__) == ("outer", "Divide by zero.")


def test_error_that_was_being_handled() -> None:
    """The error that a caller is just handling keeps its variables."""
    with pytest.raises(ValueError, match="7") as caught:
        try:
            inner(3)
        except ZeroDivisionError as error:
            outer(7)
            raise AssertionError from error
    assert caught.value.__cause__ is not None
    handled = caught.value.__cause__.__context__
    assert handled is not None
    assert frames(handled)["inner"].f_locals["doubled"] == 6


def test_errors_in_a_circle() -> None:
    """Errors that are each other's cause, as no sane code makes them, are gone through once."""
    one, two = ValueError(), ValueError()
    one.__cause__, two.__cause__ = two, one
    forget_variables(one)


def test_token_is_not_in_an_error(client: UpstreamClient, settings: Any) -> None:
    """An error of the network shows the token neither in its request nor in the frames of its chain."""
    client.get("orders/")
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://127.0.0.1:1/"
    unbind()
    with pytest.raises(requests.ConnectionError) as caught:
        client.get("orders/")
    assert caught.value.request is not None
    assert "Authorization" not in caught.value.request.headers
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "access-1" not in "".join(shown.format())
