"""The tree of errors, and what they carry."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from jwt_upstream import exceptions
from jwt_upstream.exceptions import BodyNotReplayable, CredentialRejected, UpstreamError, UpstreamNotConfigured

CLASSES: dict[str, type[Any]] = {
    name: cls for name, cls in inspect.getmembers(exceptions, inspect.isclass) if cls.__module__ == exceptions.__name__
}


def drawn() -> dict[str, str]:
    """Return the parent of each class, as the module's docstring draws it."""
    parents: dict[str, str] = {}
    above: list[str] = []
    doc = str(exceptions.__doc__)
    indent = next(line.index("UpstreamError") for line in doc.splitlines() if line.strip() == "UpstreamError")
    for line in doc.splitlines():
        if match := re.match(r"([│├└─ ]*)([A-Z]\w+)(?:\((\w+)\))?(?:$|\s{3,})", line[indent:]):
            depth = len(match[1]) // 4
            above[depth:] = [match[2]]
            parents[match[2]] = match[3] or (above[depth - 1] if depth else "RequestException")
    return parents


def test_tree() -> None:
    """The classes are those that the module's docstring draws, each below the one it is drawn below."""
    assert drawn() == {name: cls.__bases__[0].__name__ for name, cls in CLASSES.items()}


@pytest.mark.parametrize("name", CLASSES)
def test_existing_except_clauses_catch_it(name: str) -> None:
    """Code that expects requests to fail expects all of them, but not a mistake of the deployment."""
    is_network = issubclass(CLASSES[name], requests.RequestException)
    assert is_network is (name != "UpstreamNotConfigured")
    assert issubclass(UpstreamNotConfigured, ImproperlyConfigured)


@pytest.mark.parametrize("name", [name for name, cls in CLASSES.items() if issubclass(cls, UpstreamError)])
@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],
    ids=["copy", "deep", "pickle"],
)
def test_copy_and_pickle(name: str, again: Callable[[Any], Any]) -> None:
    """An error comes out of a task queue as it went in."""
    since = timezone.now()
    error = CLASSES[name]("up/default: no", credential="row", since=since, reason="HTTP 401", retry_after=5.0)
    found = again(error)
    assert type(found) is type(error)
    assert str(found) == "up/default: no"
    assert (found.credential, found.since, found.reason, found.retry_after) == ("row", since, "HTTP 401", 5.0)


def test_attributes_by_default() -> None:
    """An error always has its attributes, so nobody must ask whether it does."""
    error = CredentialRejected("no")
    assert (error.credential, error.since, error.reason, error.retry_after) == (None, None, "", None)
    assert (error.response, error.request) == (None, None)


def test_response() -> None:
    """An error with an answer has it, and the request it answers, where requests has them."""
    response = requests.Response()
    response.request = requests.Request("GET", "https://up.example.com/").prepare()
    error = BodyNotReplayable("no", response=response)
    assert (error.response, error.request) == (response, response.request)
