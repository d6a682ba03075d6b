"""LexikBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

from jwt_upstream.backends import LexikBackend, Outcome, Verdict, Where
from jwt_upstream.testing import answer
from tests.support.exchanges import API, exchange, fields, tokens

BACKEND = LexikBackend("crm", API)


def test_login() -> None:
    """JSON, and no token, since Lexik answers 401 to a login with a stale one."""
    request, outcome = exchange(BACKEND, "login", {"token": "a2", "refresh_token": "r2"})
    assert (request.url, fields(request)) == (f"{API}login_check", {"username": "bob", "password": "p w&"})
    assert "Authorization" not in request.headers
    assert tokens(outcome) == ("a2", "r2")


def test_refresh_by_cookies() -> None:
    """Both tokens are found in cookies, of a 204 without a body."""
    cookies = {"Set-Cookie": "BEARER=a2; path=/; httponly"}
    request, outcome = exchange(BACKEND, "refresh", None, 204, cookies)
    assert (request.url, fields(request)) == (f"{API}token/refresh", {"refresh_token": "r1"})
    assert tokens(outcome) == ("a2", "")


@pytest.mark.parametrize(
    ("where", "said", "verdict"),
    [
        ("refresh", "JWT Refresh Token Not Found", Verdict.REJECTED),
        ("refresh", "Invalid JWT Refresh Token", Verdict.REJECTED),
        ("refresh", "Invalid credentials.", Verdict.LOCKED),
        ("login", "Invalid credentials.", Verdict.REJECTED),
        ("login", "Account is locked.", Verdict.LOCKED),
        ("login", "Username could not be found.", Verdict.REJECTED),
        ("refresh", "Username could not be found.", Verdict.LOCKED),
        ("login", "Your user account no longer exists.", Verdict.REJECTED),
        ("refresh", "Your user account no longer exists.", Verdict.LOCKED),
        ("login", "Too many failed login attempts, please try again in 1 minute.", Verdict.TRANSIENT),
        ("login", "Authentication credentials could not be found.", Verdict.CONFIG),
        ("refresh", "Missing JWT Refresh Token", Verdict.CONFIG),
        ("refresh", "Expired JWT Token", Verdict.CONFIG),
    ],
)
def test_refusals(where: str, said: str, verdict: Verdict) -> None:
    """One status means many things, which Symfony's texts tell apart."""
    _, outcome = exchange(BACKEND, where, {"code": 401, "message": said}, 401)
    assert (outcome.verdict, outcome.reason) == (verdict, f"HTTP 401: {said}")


#: What Symfony says in each language (symfony/security-core, Resources/translations/security.*.xlf, 5.4 to 7.1).
TEXTS: dict[str, dict[str, list[str]]] = json.loads(Path(__file__).with_name("symfony_texts.json").read_text())
MEANINGS: dict[str, dict[Where, str]] = {
    "locked": {"login": "LOCKED", "refresh": "LOCKED", "api": "LOCKED"},
    "no user": {"login": "REJECTED", "refresh": "LOCKED", "api": "EXPIRED"},
    "hidden": {"login": "REJECTED", "refresh": "LOCKED", "api": "EXPIRED"},
    "system": {"login": "TRANSIENT", "refresh": "TRANSIENT"},
    "missing": {"login": "CONFIG", "refresh": "CONFIG"},
    "later": {"login": "TRANSIENT"},
    "minute": {"login": "TRANSIENT"},
    "minutes": {"login": "TRANSIENT"},
}


def read(where: Where, text: str) -> Outcome:
    """Return what a 401 with a text comes to."""
    response = answer(401, body={"code": 401, "message": text})
    return BACKEND.outcome(where, response, datetime.now(UTC))


def test_languages() -> None:
    """Symfony's texts mean the same in each of the languages that are known."""
    assert set(TEXTS) == {"en", "fr", "de", "es", "it", "nl", "pl", "pt", "pt_BR"}
    for language, texts in TEXTS.items():
        assert texts.keys() == MEANINGS.keys(), language
        for kind, meanings in MEANINGS.items():
            for text, (where, verdict) in product(texts[kind], meanings.items()):
                assert BACKEND.verdict(where, answer(401, body={"message": text})).name == verdict, (where, text)


def test_throttled_login_in_each_language() -> None:
    """How long a throttled login has to wait is read from the text, as there is no Retry-After."""
    for language, texts in TEXTS.items():
        for kind, number in (("minute", "1"), ("minutes", "15")):
            for text in texts[kind]:
                outcome = read("login", text.replace("%minutes%", number))
                assert outcome.retry_after == 60 * int(number), (language, text)
        assert {read("login", text).retry_after for text in texts["later"]} == {None}


def test_other_peoples_accounts() -> None:
    """A text that only begins like one of Symfony's is about something else."""
    for text in ("Account is locked for editing by bob.", "Username could not be found in the directory."):
        assert BACKEND.verdict("api", answer(401, body={"message": text})) is Verdict.EXPIRED
