"""The token pair, and lifetimes in whatever form a server states them."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import FrozenInstanceError, asdict, astuple, fields, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import jwt
import pytest
from django.views.debug import ExceptionReporter

from jwt_upstream.tokens import Secrets, TokenPair, claimed_expiry, expiry_after, expiry_at, fingerprint

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def token(**claims: Any) -> str:
    return jwt.encode(claims, "x" * 32)


def forged(payload: bytes) -> str:
    """Return what looks like a JWT with any payload."""
    parts = (b'{"alg":"none"}', payload, b"")
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


# -- the pair


@pytest.mark.parametrize("text", ["a b", "a\nb", "a\0b", "é", "\ud800", "a\x7f", "a\N{ZERO WIDTH SPACE}"])
@pytest.mark.parametrize("name", ["access", "refresh"])
def test_character_that_no_header_carries(name: str, text: str) -> None:
    """A token with a strange character is refused by name, and not shown."""
    with pytest.raises(ValueError, match=f"^{name} token has a character") as caught:
        TokenPair(text, "ok") if name == "access" else TokenPair("ok", text)
    assert text not in str(caught.value)


@pytest.mark.parametrize("name", ["access", "refresh"])
def test_token_that_is_too_long(name: str) -> None:
    """A token of 16 KiB is accepted, a longer one refused with its length, and not shown."""
    assert len(TokenPair("x" * 16384 + "\n").access) == 16384
    with pytest.raises(ValueError, match=f"^{name} token has 16385 characters, more than the 16384") as caught:
        TokenPair("x" * 16385, "ok") if name == "access" else TokenPair("ok", "x" * 16385)
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize("value", [None, 5, b"bytes", ["list"]])
def test_token_that_is_no_string(value: Any) -> None:
    """A token of another type is refused by the name of its type."""
    with pytest.raises(ValueError, match=f"must be a string, not {type(value).__name__}"):
        TokenPair(value)


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), 1767225600, "2026-01-01T00:00:00Z"])
@pytest.mark.parametrize("name", ["access_expires_at", "refresh_expires_at"])
def test_expiry_that_is_no_aware_datetime(name: str, moment: Any) -> None:
    """A naive or numeric expiry is refused, with what to write."""
    with pytest.raises(ValueError, match=rf"{name} must be an aware datetime \(django"):
        TokenPair("a", **{name: moment})


@pytest.mark.parametrize(
    ("answer", "problem"),
    [({"base_url": 5}, "must be strings"), ({"a": "x" * 65 * 1024}, "have more than 65536 characters")],
)
def test_answer_that_is_wrong(answer: Any, problem: str) -> None:
    """What is stored with a pair are texts, and not too many."""
    with pytest.raises(ValueError, match=problem):
        TokenPair("a", answer=answer)


def test_answer() -> None:
    """What came with the tokens is no part of their identity, and as hidden as they are."""
    pair = TokenPair("a", "r", answer={"base_url": "https://secret.example.com/"})
    assert pair == TokenPair("a", "r")
    assert "secret" not in repr(pair)
    assert dict(replace(pair, access="b").answer.items()) == {"base_url": "https://secret.example.com/"}
    assert Secrets.from_json(pair.answer.as_json())["base_url"] == pair.answer["base_url"]
    assert (Secrets().as_json(), len(Secrets.from_json(""))) == ("", 0)


def test_white_space_around() -> None:
    """White space that came with a copied token is dropped."""
    assert TokenPair(" a\n", "\tr ") == TokenPair("a", "r")


def test_pair_is_a_value() -> None:
    """A pair can't be changed, compares by what it holds, and may be a key."""
    pair = TokenPair("a", "r", NOW)
    assert {pair: 1}[TokenPair("a", "r", NOW)] == 1
    with pytest.raises(FrozenInstanceError):
        pair.access = "b"  # type: ignore[misc]


def test_replaced_and_copied() -> None:
    """Replacing works and checks as well; a copy of a value is the value."""
    pair = TokenPair("a", "r", NOW, NOW + HOUR)
    assert replace(pair, access="b") == TokenPair("b", "r", NOW, NOW + HOUR)
    assert copy.copy(pair) is copy.deepcopy([pair])[0] is pair
    with pytest.raises(ValueError, match="access token has a character"):
        replace(pair, access="b c")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol: int) -> None:
    """No cache, task queue or process pool gets tokens in clear."""
    with pytest.raises(TypeError, match="holds secrets and can't be pickled"):
        pickle.dumps(TokenPair("s3cret"), protocol)


def test_repr() -> None:
    """Neither a pair nor credentials show what they hold."""
    pair = TokenPair("s3cret-a", "s3cret-r", NOW)
    assert "s3cret" not in f"{pair!r} {pair} {[pair]} {Secrets(password='s3cret')!r}"
    assert repr(Secrets(username="bob", password="x")) == "<Secrets: username, password>"


def test_expanded() -> None:
    """What expands dataclasses, as loggers of JSON do, finds the expiries of a pair and no token."""
    pair = TokenPair("s3cret-a", "s3cret-r", NOW, answer={"base_url": "s3cret-b"})
    assert "s3cret" not in f"{asdict(pair)} {astuple(pair)} {vars(pair)} {fields(pair)}"
    assert asdict(pair)["access_expires_at"] == NOW
    assert replace(pair, access_expires_at=None).refresh == "s3cret-r"
    assert pair not in ("s3cret-a", ("s3cret-a", "s3cret-r", NOW, None))


def test_error_report() -> None:
    """Django's error report of a refused token shows it in no frame of ours."""
    try:
        TokenPair("s3cret\nhalf")
    except ValueError:
        reporter = ExceptionReporter(None, *sys.exc_info())
    frames = reporter.get_traceback_frames()[1:]  # the first is this test
    assert len(frames) >= 2
    assert "s3cret" not in str([frame["vars"] for frame in frames])


def test_fingerprint() -> None:
    """Twelve hex digits stand for a token, nothing for none; a pair's changes with either token."""
    assert re.fullmatch("[0-9a-f]{12}", fingerprint("a"))
    assert fingerprint("") == ""
    pairs = [TokenPair("a", "r"), TokenPair("b", "r"), TokenPair("a", "s"), TokenPair("ar"), TokenPair("a")]
    assert len({pair.fingerprint for pair in pairs}) == len(pairs)


def test_fingerprint_needs_the_key(settings: Any) -> None:
    """A short token can't be guessed from its fingerprint, and one by any of the keys is recognized."""
    pair = TokenPair("a", "r")
    made = set()
    for keys, secret_key in ((["one"], "x"), (["two"], "x"), ([], "x"), ([], "y")):
        settings.JWT_UPSTREAM_ENCRYPTION_KEYS, settings.SECRET_KEY = keys, secret_key
        made.add(pair.fingerprint)
    assert len(made) == 4
    assert sha256(b"a").hexdigest()[:12] != fingerprint("a")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS, settings.SECRET_KEY_FALLBACKS = ["two", "one"], ["x"]
    assert all(map(pair.has_fingerprint, made))
    assert not pair.has_fingerprint("")


# -- lifetimes


def test_claims_fill_in_what_is_unknown() -> None:
    """Expiries that are known stay; others come from the tokens where they are JWTs."""
    access, refresh = token(exp=NOW.timestamp()), token(exp=(NOW + HOUR).timestamp())
    assert TokenPair(access, refresh).with_claims() == TokenPair(access, refresh, NOW, NOW + HOUR)
    known = TokenPair(access, refresh, NOW + HOUR, NOW)
    assert known.with_claims() == known
    assert TokenPair("opaque").with_claims() == TokenPair("opaque")


@pytest.mark.parametrize("skew", [-10 * HOUR, timedelta(0), 10 * HOUR])
def test_server_whose_clock_differs(skew: timedelta) -> None:
    """A token lasts as long as its claims say, from when we asked, whatever time it is over there."""
    there = NOW + skew
    issued = token(iat=there.timestamp(), exp=(there + HOUR).timestamp())
    assert claimed_expiry(issued, NOW) == NOW + HOUR
    assert claimed_expiry(issued) == there + HOUR


@pytest.mark.parametrize("iat", [None, "soon", True, NOW.timestamp() + 3600, NOW.timestamp() + 7200])
def test_useless_iat(iat: Any) -> None:
    """Without a sane beginning the expiry that is claimed counts as it is."""
    claims = {"exp": (NOW + HOUR).timestamp(), "iat": iat}
    assert claimed_expiry(forged(json.dumps(claims).encode()), NOW) == NOW + HOUR


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b'"exp"',
        b"\xff",
        b"{}",
        b'{"exp": null}',
        b'{"exp": true}',
        b'{"exp": NaN}',
        b'{"exp": 1e400}',
        b'{"exp": -1}',
        b'{"exp": []}',
        b'{"exp": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
    ],
)
def test_claims_that_are_nonsense(payload: bytes) -> None:
    """A payload that makes no sense is a token whose expiry is unknown."""
    assert claimed_expiry(forged(payload)) is claimed_expiry(forged(payload), NOW) is None


@pytest.mark.parametrize("text", ["", "opaque", "a.b.c", "...", "a.b.c.d.e", "\ud800", "é.é.é"])
def test_no_jwt(text: str) -> None:
    """What is no JWT claims no expiry."""
    assert claimed_expiry(text) is None


@pytest.mark.parametrize("seconds", [0, -1, "0", None, True, [], {}, "", "soon", "nan", float("nan"), float("inf")])
def test_lifetime_that_is_nonsense(seconds: Any) -> None:
    """Nonsense, and nothing at all, is no lifetime; Keycloak's 0 means for ever."""
    assert expiry_after(seconds, NOW) is None


@pytest.mark.parametrize("seconds", [3600, 3600.0, "3600", " 3600 "])
def test_lifetime(seconds: Any) -> None:
    """A lifetime counts from now, be it a number or digits."""
    assert expiry_after(seconds, NOW) == NOW + HOUR


@pytest.mark.parametrize("seconds", [1e12, 10**400 // 10**380, "1e300"])
def test_longest_lifetime(seconds: Any) -> None:
    """More than a century is cut to one, so that no arithmetic overflows."""
    assert expiry_after(seconds, NOW) == NOW + timedelta(days=36500)


@pytest.mark.parametrize(
    "moment",
    [
        NOW.timestamp(),
        str(int(NOW.timestamp())),
        NOW.timestamp() * 1000,
        "2026-11-23T09:00:00Z",
        "2026-11-23T10:00:00+01:00",
        "2026-11-23 09:00:00",
    ],
)
def test_expiry(moment: Any) -> None:
    """An expiry may be epoch seconds or milliseconds or ISO 8601, which is UTC unless it says otherwise."""
    assert expiry_at(moment) == NOW
    assert expiry_at(moment).tzinfo is UTC  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "moment",
    [
        *(0, -1, None, True, [], {}, "", "soon", float("nan"), float("inf"), 1e300, 10**400, "2026-13-01"),
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_expiry_that_is_nonsense(moment: Any) -> None:
    """Nonsense is no expiry, nor are the ends of the calendar, by which servers mean never."""
    assert expiry_at(moment) is None


def test_lifetimes_by_themselves() -> None:
    """The functions take anything."""
    assert expiry_after("x", NOW) is expiry_at("x") is expiry_at(True) is claimed_expiry("a.b.c") is None


def test_token_pair_refuses() -> None:
    """A pair holds strings and aware moments."""
    with pytest.raises(ValueError, match="access token must be a string, not int"):
        TokenPair(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="access_expires_at must be an aware datetime"):
        TokenPair("a", access_expires_at=datetime(2026, 1, 1))
    pair = TokenPair(" a \n", "r")
    assert (pair.access, pair.with_claims()) == ("a", TokenPair("a", "r"))
    assert repr(pair) == "TokenPair(access_expires_at=None, refresh_expires_at=None)"
    assert copy.copy(pair) is copy.deepcopy(pair) is pair
    assert repr(Secrets(password="x")) == "<Secrets: password>"


def test_secrets_are_read_like_a_dict() -> None:
    """Whoever knows a name gets the secret, in each of the ways of a dict."""
    secrets = Secrets({"username": "bob"}, password="x")
    assert (secrets["password"], secrets.get("otp"), len(secrets), bool(Secrets())) == ("x", "", 2, False)
    assert ("password" in secrets, "otp" in secrets) == (True, False)
    assert {**secrets} == dict(secrets.items()) == {"username": "bob", "password": "x"}
    assert (list(secrets), secrets.values()) == (["username", "password"], ["bob", "x"])


def test_secrets_are_opaque() -> None:
    """To whatever expands, prints, pickles, copies or compares values they are one thing without a content."""
    secrets = Secrets(password="s3cret")
    assert not isinstance(secrets, Mapping | str | Sequence)
    assert not hasattr(secrets, "__dict__")
    assert secrets != Secrets(password="s3cret")
    assert "s3cret" not in f"{secrets} {secrets!r} {[secrets]}"
    assert copy.copy(secrets) is copy.deepcopy(secrets) is secrets
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(secrets)
    with pytest.raises(TypeError):
        json.dumps(secrets)
