"""What is told of an answer that is probably a mistake of ours: the URL, and names without values."""

from __future__ import annotations

from typing import Any

import pytest
from requests import Request

from jwt_upstream.backends.core import asked, without_token
from jwt_upstream.testing import answer


@pytest.mark.parametrize(
    ("body", "headers", "held"),
    [
        ({"jwt": "secret", "user": {"id": 7, "roles": ["a"]}}, {}, "jwt, user.id, user.roles.0"),
        ([{"token": "secret"}], {}, "0.token"),
        (b'"secret"', {}, "."),
        ({}, {}, "nothing"),
        (None, {"Authorization": "Bearer secret"}, "header:Authorization"),
        (
            {"a": 1},
            {"Set-Cookie": "BEARER=secret; path=/, rt=secret; expires=Wed, 23 Dec 2026"},
            "a, cookie:BEARER, cookie:rt",
        ),
        ({f"k{number}": "secret" for number in range(12)}, {}, "k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, …"),
        ({"s3cret-value": 1, "x" * 40: 2}, {}, "[…], […]"),
    ],
)
def test_names_of_what_an_answer_holds(body: Any, headers: dict[str, str], held: str) -> None:
    """Names are told, also of cookies and of the header that may be a token; never a value."""
    response = answer(200, headers, b"" if body is None else body)
    told = without_token("refresh", ("a.b", "cookie:x"), response, ["s3cret-value"])
    assert told == f"no refresh token at a.b, cookie:x (refresh_paths); the answer holds {held}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://api.example.com/token?key=secret", "https://api.example.com/token"),
        ("https://user:secret@api.example.com:8443/a/b/", "https://api.example.com:8443/a/b/"),
        ("https://api.example.com/bot12:s3cret%2Fkey/login", "https://api.example.com/[…]/login"),
        ("https://api.example.com/hooks/T00000000B0000000XXXXXXXXX/in", "https://api.example.com/hooks/[…]/in"),
        (
            "https://api.example.com/refresh-the-access-token-here",
            "https://api.example.com/refresh-the-access-token-here",
        ),
        (
            "https://login.example.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/token",
            "https://login.example.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/token",
        ),
    ],
)
def test_url(url: str, shown: str) -> None:
    """The URL is told without a query, a user, and whatever in its path is or may be a secret."""
    assert asked(Request("POST", url).prepare(), ["s3cret/key", "api"]) == f"POST {shown}"


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://api.example.com/token/?key=secret", " redirects to https://api.example.com/token/"),
        ("/sign-in", " redirects to http://api.example.com/sign-in"),
        ("http://[::1", " redirects to what is no URL"),
    ],
)
def test_redirect(location: str, told: str) -> None:
    """A redirect is followed by nobody, but told: http in place of https, or a slash that is missing."""
    response = answer(301, {"Location": location})
    request = Request("POST", "http://api.example.com/token").prepare()
    assert asked(request, [], response) == f"POST http://api.example.com/token{told}"


def test_saved_answer() -> None:
    """A saved answer answers no request that is known."""
    assert asked(answer(404).request, []) == ""
