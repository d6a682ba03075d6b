"""The backends that settings configure: built when they are used, kept while their settings stay the same."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.exceptions import UpstreamNotConfigured

URL = "https://up.example.com/"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("https://up.example.com/", "must be a dict"),
        ({"BASE_URL": URL, "OPTIONS": [1]}, "OPTIONS must be a dict whose keys are strings"),
        ({"BASE_URL": "up.example.com"}, "BASE_URL must be an http:// or https:// URL without user and password"),
        ({"BASE_URL": "http://[::bad/"}, "BASE_URL must be an http:// or https:// URL without user and password"),
        ({"BASE_URL": URL, "LOGIN": "bob"}, "LOGIN must be a dict"),
        ({"BASE_URL": URL, "BACKEND": "no.such.Backend"}, "BACKEND can't be imported"),
        ({"BASE_URL": URL, "BACKEND": "json.loads"}, "is not a subclass of Backend"),
        ({"BASE_URL": URL, "BACKEND": Backend}, "BACKEND must be the dotted path of a class, a string such as"),
        ({"BASE_URL": URL, "OPTIONS": {"deadline": -1}}, "option 'deadline' must not be negative"),
    ],
)
def test_wrong_settings(settings: Any, written: Any, problem: str) -> None:
    """A wrong upstream is an error as soon as it is used."""
    settings.JWT_UPSTREAM = {"up": written}
    with pytest.raises(UpstreamNotConfigured, match=problem):
        get_backend("up")


def test_no_upstreams_at_all(settings: Any) -> None:
    """A JWT_UPSTREAM that is no dict is an error."""
    settings.JWT_UPSTREAM = None
    with pytest.raises(UpstreamNotConfigured, match="it has none"):
        get_backend("up")


def test_changed_settings(settings: Any) -> None:
    """A backend is kept as long as its settings are the same, also where they are changed in place."""
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": URL, "OPTIONS": {"headers": {"A": "1"}}}}
    backend = get_backend("up")
    assert get_backend("up") is backend
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["headers"]["A"] = "2"
    assert get_backend("up").headers == {"A": "2"}
    assert repr(backend) == "<Backend up>"


@pytest.mark.parametrize(
    ("login", "problems"),
    [
        ({"username": "bob", "password": "x"}, []),
        ({"username": "bob", "password": 5}, ["LOGIN has no 'password'"]),
        ({"username": "bob", "password": "x", "otp": "1"}, ["LOGIN has 'otp', which the login doesn't use"]),
    ],
)
def test_automatic_login(settings: Any, login: dict[str, Any], problems: list[str]) -> None:
    """What logs in by itself must be all that a login asks for, and no more."""
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": URL, "LOGIN": login}}
    if problems:
        with pytest.raises(UpstreamNotConfigured, match=problems[0]):
            get_backend("up")
    else:
        automatic = get_backend("up").automatic_login.read()
        assert {name: automatic[name] for name in automatic} == login
