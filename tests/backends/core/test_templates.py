"""Templates: which placeholders are filled in, and where."""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from jwt_upstream.backends import Backend
from jwt_upstream.backends.core import filled, same_values, template, unknown_functions
from jwt_upstream.tokens import Secrets, TokenPair

URL = "https://up.example.com/"
VALUES = Secrets(username="bob", password="p:w}", client_id="us", **{"answer.org.0.id": "7"})


def test_templates() -> None:
    """Fields may be nested, and a placeholder part of a text; other braces are sent as they stand."""
    fields = {"user": {"email": "{username}", "tags": ["{password}", 5]}, "mode": "json", "b": "Token t={x} { y } {}"}
    backend = Backend("up", URL, login_fields=fields)
    assert backend.login_asks == ("username", "password", "x")
    filled = backend.login_body({"username": "bob", "password": "{x}", "x": "1"})
    assert filled == {"user": {"email": "bob", "tags": ["{x}", 5]}, "mode": "json", "b": "Token t=1 { y } {}"}


def test_value_as_it_is() -> None:
    """A placeholder that is the whole text is replaced by the value itself, such as a number that a step has kept."""
    values: dict[str, Any] = {"tenant": 12}
    assert filled({"a": "{tenant}", "b": "t-{tenant}"}, values) == {"a": 12, "b": "t-12"}


def digest(name: str, text: str) -> bytes:
    return hashlib.new(name, text.encode()).digest()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{base64:{username}:{password}}", b64encode(b"bob:p:w}").decode()),
        ("{base64url:{username}>>?}", "Ym9iPj4_"),
        ("{md5:{password}}", digest("md5", "p:w}").hex()),
        ("{sha256:a:b{username}}", digest("sha256", "a:bbob").hex()),
        ("{sha1_base64:x}", b64encode(digest("sha1", "x")).decode()),
        ("{hmac_sha256:{password}:a:{username}}", hmac.digest(b"p:w}", b"a:bob", "sha256").hex()),
        ("{hmac_sha512_base64:key:}", b64encode(hmac.digest(b"key", b"", "sha512")).decode()),
        ("{sha256:{base64:{username}}}", digest("sha256", "Ym9i").hex()),
        ("Basic {base64:{client_id}:{username}}!", "Basic dXM6Ym9i!"),
        ("{answer.org.0.id}/{username}", "7/bob"),
        ("{ username } {} { {username", "{ username } {} { {username"),
        ('{"a": 1}', '{"a": 1}'),
    ],
)
def test_functions(text: str, value: str) -> None:
    """Functions take texts with placeholders, other functions too; a value is never read as a template."""
    assert template(text).fill(VALUES) == value
    assert not unknown_functions({"a": [text]})


@pytest.mark.parametrize("text", ["{sha265:x}", "{hmac_sha256:{client_id}}", "{sha256:x", "{hmac_md5:a}", "{now:%Y"])
def test_what_is_no_function(text: str) -> None:
    """What looks like a function is found at start, and kept as it is."""
    is_time = text.startswith("{now")
    assert list(unknown_functions({"a": {"b": text}})) == ([] if is_time else [text[1:].partition(":")[0]])
    assert template(text).fill(VALUES) == text.replace("{client_id}", "us")


@pytest.fixture
def moment() -> Iterator[datetime]:
    at = datetime(2026, 2, 27, 23, 59, 30, 500_000, UTC)
    with time_machine.travel(at, tick=False):
        yield at


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{now}", "2026-02-27T23:59:30Z"),
        ("{now:%d.%m.%Y %H:%M}", "27.02.2026 23:59"),
        ("{now+2d:%Y-%m-%d}", "2026-03-01"),
        ("{now-90s}", "2026-02-27T23:58:00Z"),
        ("{timestamp}", "1772236770"),
        ("{timestamp+1h}", "1772240370"),
        ("{timestamp_ms}", "1772236770500"),
        ("{username+1h}", "{username+1h}"),
    ],
)
def test_times(moment: datetime, text: str, value: str) -> None:
    """Times are those of the request, in UTC, or some seconds, minutes, hours or days away."""
    assert template(text).fill(VALUES) == value
    assert list(template(text).names) == []


def test_random_values() -> None:
    """A placeholder of a random value stands for the same one in all of a request, and for another in the next."""
    text = template("{uuid} {nonce}")
    with same_values():
        one, again = text.fill({}), text.fill({})
    other, nonce = text.fill({}).split()
    assert one == again
    assert uuid.UUID(one.split()[0]).version == 4
    assert one.split()[0] != str(uuid.UUID(other))
    assert re.fullmatch("[0-9a-f]{32}", nonce)


def test_value_of_the_server() -> None:
    """A nonce that the server has given comes before one that is made."""
    assert template("{nonce}").fill({"nonce": "theirs"}) == "theirs"


def test_signed_request() -> None:
    """A digest in a header is of the same random value and time as those beside it."""
    signature = "{sha256:{base64:{nonce}{client_id}{timestamp}{client_secret}}}"
    headers = {"X-Nonce": "{nonce}", "X-Date": "{timestamp}", "X-Signature": signature}
    backend = Backend("up", URL, login_headers=headers, login_fields={}, client_id="us", client_secret="s3")
    assert (list(backend.check()), backend.login_asks) == ([], ())
    sent: Any = backend.login_request({}).headers
    text = f"{sent['X-Nonce']}us{sent['X-Date']}s3"
    assert sent["X-Signature"] == digest("sha256", b64encode(text.encode()).decode()).hex()
    body = Backend("up", URL, refresh_fields={"a": "{uuid}", "b": "{uuid}"}, refresh_headers={"X": "{base64:{uuid}}"})
    request: Any = body.refresh_request(TokenPair("a", "r"))
    assert request.json["a"] == request.json["b"] == b64decode(request.headers["X"]).decode()
