"""The aids for users' tests, used as their docstrings say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import responses

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.models import Credential
from jwt_upstream.testing import answer, logged_in, saved_answer
from jwt_upstream.tokens import TokenPair

API = "https://crm.example.com/api"


@responses.activate
def test_no_login_is_needed(db: None) -> None:
    """A test that is logged in answers only the calls it is about."""
    credential = logged_in("crm")
    responses.get(f"{API}/orders/", json=[{"id": 1}])
    assert UpstreamClient("crm").get("orders/").json() == [{"id": 1}]
    assert [call.request.headers["Authorization"] for call in responses.calls] == ["Bearer test-access"]
    assert credential == Credential.objects.get()


@responses.activate
def test_expired_token(db: None) -> None:
    """With a token that has expired, the next call begins with a refresh."""
    logged_in("crm", expires_in=0)
    responses.post(f"{API}/token/refresh/", json={"access": "new"})
    responses.get(f"{API}/orders/", json=[])
    UpstreamClient("crm").get("orders/")
    assert [call.request.headers.get("Authorization") for call in responses.calls] == [None, "Bearer new"]


def test_what_is_stored(db: None) -> None:
    """Account and tokens are as the test wants them, and replace what was there."""
    logged_in("crm", "ann")
    credential = logged_in("crm", "ann", access="a", refresh="r", expires_in=None)
    assert Credential.objects.get() == credential
    assert (credential.account, credential.pair) == ("ann", TokenPair("a", "r"))


def test_unknown_alias(db: None) -> None:
    """A test for an upstream that is not configured fails with a word about it."""
    with pytest.raises(UpstreamNotConfigured, match="no upstream 'nope'"):
        logged_in("nope")


@pytest.mark.parametrize(
    ("body", "content"),
    [(None, b""), (b"\xff", b"\xff"), ("ü", "ü".encode()), ([], b"[]"), ({"a": 1}, b'{"a": 1}')],
)
def test_answer(body: Any, content: bytes) -> None:
    """An answer is made of a few values, as if it had been received."""
    made = answer(401, {"X-Odd": "1"}, body)
    assert (made.status_code, made.content, made.headers["x-odd"]) == (401, content, "1")
    assert ("Content-Type" in made.headers) == isinstance(body, list | dict)


def test_saved_answer(tmp_path: Path) -> None:
    """An answer is read from a file of curl's."""
    file = tmp_path / "answer.txt"
    file.write_text('HTTP/2 403\nContent-Type: application/json\n\n{"a": 1}')
    assert (saved_answer(file).status_code, saved_answer(str(file)).json()) == (403, {"a": 1})
    file.write_text("nothing")
    with pytest.raises(ValueError, match="not an HTTP response"):
        saved_answer(file)
