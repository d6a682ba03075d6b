"""LexikBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from requests import Request

from jwt_upstream.backends import LexikBackend, Outcome, Verdict, Where
from jwt_upstream.models import Credential
from jwt_upstream.testing import answer
from jwt_upstream.tokens import TokenPair
from tests.support.exchanges import API, exchange, fields, replay, tokens
from tests.support.wire_cases import CASES

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


def test_remedy_for_a_deleted_user_in_each_language() -> None:
    """Who reads that a user is not found also reads that it has to be created again, whatever the language."""
    for text in (text for texts in TEXTS.values() for text in texts["no user"]):
        credential = Credential(upstream="crm", state="locked", reason=f"HTTP 401: {text}")
        assert credential.remedy.startswith("have the user created again"), text


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


# -- the settings of the documentation's page, each against recorded answers

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "backends" / "lexik.rst").read_text()
BLOCKS = [dedent(block) for block in re.findall(r"code-block:: python\n\n((?: {4}.*\n|\n)+)", PAGE)]
RECORDED = {case["id"]: case for case in CASES}
LOGIN_WITH_EXPIRY = RECORDED["gesdinet-live-sf71-ges222-login-ok-return-expiration"]
PERSON = {"username": "bob", "password": "p w&"}


def documented(setting: str) -> LexikBackend:
    """Return a backend with the options that the page has for a setting of the site."""
    (block,) = (block for block in BLOCKS if setting in block and "OPTIONS" in block)
    written: dict[str, Any] = eval("{" + block + "}")
    backend = LexikBackend("crm", API, **written["OPTIONS"])
    assert list(backend.check()) == []
    return backend


def called(backend: LexikBackend, access: str) -> dict[str, Any]:
    """Return the headers that a call's token is sent in."""
    request = Request("GET", API).prepare()
    backend.authorize(request, TokenPair(access))
    return dict(request.headers)


def test_token_parameter_name() -> None:
    """The refresh token has another name in the login's answer, in the cookie and in a refresh."""
    backend = documented("token_parameter_name: refreshToken")
    recorded = dict(LOGIN_WITH_EXPIRY["body"])
    recorded["refreshToken"] = recorded.pop("refresh_token")
    _, outcome = exchange(backend, "login", recorded)
    assert tokens(outcome) == (recorded["token"], recorded["refreshToken"])
    case = RECORDED["gesdinet-live-sf71-ges222-refresh-ok-cookie"]
    cookie = case["headers"]["Set-Cookie"].replace("refresh_token=", "refreshToken=")
    request, outcome = exchange(backend, "refresh", case["body"], 200, {"Set-Cookie": cookie})
    assert fields(request) == {"refreshToken": "r1"}
    assert tokens(outcome)[1] == cookie.partition("=")[2].partition(";")[0]


def test_return_expiration_parameter_name() -> None:
    """The expiry of the refresh token has another name."""
    recorded = dict(LOGIN_WITH_EXPIRY["body"])
    expiry = recorded["refresh_expires"] = recorded.pop("refresh_token_expiration")
    _, outcome = exchange(documented("return_expiration_parameter_name: refresh_expires"), "login", recorded)
    assert outcome.pair is not None
    assert outcome.pair.refresh_expires_at == datetime.fromtimestamp(expiry, UTC)


def test_json_login_paths() -> None:
    """The username and the password are where the login looks for them."""
    backend = documented("json_login: {username_path: email, password_path: security.password}")
    request, outcome = replay(backend, f"{API}login_check", LOGIN_WITH_EXPIRY["id"], PERSON)
    assert fields(request) == {"email": "bob", "security": {"password": "p w&"}}
    assert tokens(outcome)[0] == LOGIN_WITH_EXPIRY["body"]["token"]


def test_other_header() -> None:
    """A call's token is in another header, with another word before it."""
    assert called(documented("authorization_header: {prefix: JWT, name: X-Auth}"), "a1") == {"X-Auth": "JWT a1"}


@pytest.mark.parametrize(
    "case", ["lexik-live-sf71-ges222-login-ok-lexik-cookie", "gesdinet-live-sf71-ges222-refresh-ok-both-cookies"]
)
def test_cookies_only(case: str) -> None:
    """The token comes as a cookie and is sent back as one, and in no header of its own."""
    backend = documented("authorization_header: {enabled: false}")
    is_login = RECORDED[case]["where"] == "login"
    url = f"{API}login_check" if is_login else f"{API}token/refresh"
    _, outcome = replay(backend, url, case, PERSON if is_login else None)
    cookie = RECORDED[case]["headers"]["Set-Cookie"].partition(";")[0]
    assert called(backend, tokens(outcome)[0]) == {"Cookie": cookie}


def test_split_cookies() -> None:
    """The page's class joins the token of a recorded answer, knows its expiry, and splits it again for calls."""
    space: dict[str, Any] = {}
    exec(next(block for block in BLOCKS if "class SplitCookieBackend" in block), space)
    backend = space["SplitCookieBackend"]("crm", API)
    token = RECORDED["lexik-live-sf71-ges222-login-ok-lexik-cookie"]["headers"]["Set-Cookie"][7:].partition(";")[0]
    payload, _, signature = token.rpartition(".")
    cookies = {"Set-Cookie": f"jwt_hp={payload}; path=/; secure, jwt_s={signature}; path=/; secure; httponly"}
    _, outcome = exchange(backend, "login", None, 204, cookies)
    assert tokens(outcome)[0] == token
    assert outcome.pair is not None
    assert outcome.pair.access_expires_at is not None
    assert called(backend, token) == {"Cookie": f"jwt_hp={payload}; jwt_s={signature}"}


def test_logout() -> None:
    """The refresh token goes where the firewall logs somebody out, beside the access token of the same user."""
    request = documented("token/invalidate").revoke_request(TokenPair("a1", "r1"))
    assert request is not None
    assert (request.method, request.url) == ("POST", f"{API}token/invalidate")
    assert request.headers["Authorization"] == "Bearer a1"
    assert request.json == {"refresh_token": "r1"}


def test_every_block_of_the_page_is_tested() -> None:
    """Whoever adds settings to the page adds a test."""
    assert len(BLOCKS) == 8
