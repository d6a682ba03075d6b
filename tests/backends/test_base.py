"""What a backend says of itself, and how it puts a token on a request."""

from __future__ import annotations

from typing import Any

import pytest
from requests import Request

from jwt_upstream.backends import Backend, LexikBackend, OAuth2Backend, SimpleJWTBackend, get_backend
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Answer, Upstream

URL = "https://up.example.com/api"


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Backend, {}),
        (LexikBackend, {}),
        (SimpleJWTBackend, {}),
        (OAuth2Backend, {"client_id": "us"}),
        (OAuth2Backend, {"client_authentication": "none"}),
        (OAuth2Backend, {"client_id": "us", "grant_type": "client_credentials"}),
        (Backend, {"timeout": 5, "cert": ["a.pem", "a.key"], "verify": "ca.pem", "proxies": {"https": "http://p"}}),
        (
            Backend,
            {"timeout": [1, 2], "deadline": 1, "backoff": 0, "locked_statuses": [423], "expired_statuses": (419,)},
        ),
    ],
)
def test_right_options(kind: type[Backend], options: dict[str, Any]) -> None:
    """Nothing is found wrong with what the documentation allows."""
    assert list(kind("up", URL, **options).check()) == []


def test_lists_become_tuples() -> None:
    """A timeout that was read from JSON is one that requests understands."""
    assert Backend("up", URL, timeout=[1, 2]).timeout == (1, 2)


def test_options_named_like_arguments() -> None:
    """An option can't pass for the alias or the address."""
    problems = list(Backend("up", URL, alias="x", base_url="https://evil.example.net/", self=1).check())
    assert [problem.partition(";")[0] for problem in problems] == [
        f"unknown option {name!r}" for name in ("alias", "base_url", "self")
    ]


def test_options_are_of_one_upstream() -> None:
    """An option of one upstream changes no other."""
    assert Backend("one", URL, login_path="x").login_path == "x"
    assert Backend("two", URL).login_path == "login"


def test_origin() -> None:
    """Tokens may go to the scheme, host and port of the address."""
    backend = Backend("up", URL)
    assert (backend.base_url, str(backend.origin)) == (f"{URL}/", "https://up.example.com:443")


def test_login_that_lacks_something() -> None:
    """A login without what it asks for sends nothing, and says what is missing."""
    with pytest.raises(TypeError, match="a login at up needs username, password"):
        Backend("up", URL).login({})


def test_refresh_token_is_needed() -> None:
    """Only where the client is the account does a new token take no stored one."""
    assert Backend("up", URL).needs_refresh_token
    assert OAuth2Backend("up", URL).needs_refresh_token
    assert not OAuth2Backend("up", URL, grant_type="client_credentials").needs_refresh_token


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({}, "Authorization", "Bearer a1"),
        ({"api_headers": {"X-Token": "{access}"}}, "X-Token", "a1"),
        ({"api_headers": {"Cookie": "{x}={access}"}}, "Cookie", "{x}=a1"),
    ],
)
def test_authorize(options: dict[str, Any], name: str, value: str) -> None:
    """The token goes where the settings say; other braces mean nothing."""
    request = Request("GET", URL).prepare()
    Backend("up", URL, **options).authorize(request, TokenPair("a1", "r1"))
    assert request.headers == {name: value}


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
        assert get_backend("up").automatic_login == login


@pytest.mark.parametrize(("authentication", "secret"), [("post", ""), ("basic", ""), ("none", "s3cret")])
def test_client_without_a_secret(authentication: str, secret: str) -> None:
    """A public client sends its id but no empty secret in the body; "none" sends neither."""
    with Upstream() as server:
        server.answers["/token"] = Answer(200, {"access_token": "a"})
        options = {"client_id": "us", "client_secret": secret, "client_authentication": authentication}
        OAuth2Backend("up", server.url, **options).refresh(TokenPair("a", "r"))
        sent = server.seen[0]
    assert (b"client_id=us" in sent.body, b"client_secret" in sent.body) == (authentication == "post", False)
    assert ("Authorization" in sent.headers) is (authentication == "basic")
