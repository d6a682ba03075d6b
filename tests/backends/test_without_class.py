"""Servers that need options and no class, with the settings that their page documents."""

from __future__ import annotations

import pytest

from jwt_upstream.backends import make_backend
from tests.backends.test_documented_settings import documented
from tests.support.exchanges import fields, minutes, replay
from tests.support.wire_cases import CASES, Case, answer, failures, right

SETTINGS = documented("without_class.rst")
ALIASES = {"parse-server": "parse", "supertokens": "shop", "magento": "magento"}
LOGIN = {"username": "bob", "password": "p"}


@pytest.mark.parametrize("server", ALIASES)
def test_verdict(server: str) -> None:
    """Rules in OPTIONS do for these servers what a class does for others."""
    backend = make_backend(ALIASES[server], SETTINGS[ALIASES[server]])
    cases = [case for case in CASES if case["server"] == server]

    def check(case: Case) -> None:
        assert backend.verdict(case["where"], answer(case)).name in right(case)

    assert cases
    assert failures(cases, check) == []


def test_parse_server() -> None:
    """The application's keys go along as headers, the session token comes in the body."""
    backend = make_backend("parse", SETTINGS["parse"])
    request, outcome = replay(backend, "https://api.example.com/parse/login", "parse-server-own-login-ok", LOGIN)
    assert (fields(request), request.headers["X-Parse-REST-API-Key"]) == (LOGIN, "PARSE_REST_KEY")
    assert outcome.pair
    assert (outcome.pair.access[:2], backend.can_refresh(outcome.pair)) == ("r:", False)


def test_supertokens() -> None:
    """Fields are nested, tokens come in headers, and the refresh token goes in one."""
    backend = make_backend("shop", SETTINGS["shop"])
    request, outcome = replay(backend, "https://shop.example.com/auth/signin", "supertokens-own-login-ok", LOGIN)
    assert fields(request)["formFields"] == [{"id": "email", "value": "bob"}, {"id": "password", "value": "p"}]
    assert outcome.pair
    assert outcome.pair.refresh == "wtgQ7qJ1h0Bk2"
    request, outcome = replay(
        backend, "https://shop.example.com/auth/session/refresh", "supertokens-own-refresh-ok", pair=outcome.pair
    )
    assert (request.body, request.headers["Authorization"]) == (None, "Bearer wtgQ7qJ1h0Bk2")
    assert outcome.pair
    assert outcome.pair.refresh == "wtgQ7qJ1h0Bk3"


def test_magento() -> None:
    """The answer is a JSON string and nothing else."""
    backend = make_backend("magento", SETTINGS["magento"])
    url = "https://shop.example.com/rest/V1/integration/admin/token"
    _, outcome = replay(backend, url, "magento-own-login-ok", LOGIN)
    assert outcome.pair
    assert (outcome.pair.refresh, minutes(outcome.pair.access_expires_at)) == ("", 240)
