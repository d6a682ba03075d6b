"""Any OAuth 2 token endpoint: what is sent, and what is read of servers that have no class of their own."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from jwt_upstream.backends import Backend, OAuth2Backend, Verdict, make_backend
from jwt_upstream.tokens import TokenPair
from tests.backends.test_documented_settings import documented
from tests.support.exchanges import API, CLIENT, exchange, form, minutes, tokens
from tests.support.upstream import Answer, Upstream
from tests.support.wire_cases import CASES_BY_FILE, Case, answer, failures, right


def test_login() -> None:
    """A password grant (RFC 6749, section 4.3.2), the client by Basic (2.3.1)."""
    answer = {"access_token": "a2", "token_type": "example", "expires_in": 3600, "refresh_token": "r2"}
    request, outcome = exchange(OAuth2Backend("erp", API, **CLIENT), "login", answer)
    assert request.headers["Authorization"] == "Basic dXM6czNjcmV0"
    assert form(request) == {"grant_type": "password", "username": "bob", "password": "p w&"}
    assert tokens(outcome) == ("a2", "r2")


def test_authorization_code() -> None:
    """A code out of a browser (RFC 6749, section 4.1.3), with the verifier that goes with it (RFC 7636)."""
    fields = {"code": "{code}", "redirect_uri": "{redirect_uri}", "code_verifier": "{code_verifier}"}
    backend = OAuth2Backend(
        "erp", API, **CLIENT, grant_type="authorization_code", login_fields=fields, redirect_uri="https://us/"
    )
    assert list(backend.check()) == []
    assert backend.login_asks == ("code", "code_verifier")
    assert backend.login_body({"code": "c", "code_verifier": "v"}) == {
        "grant_type": "authorization_code",
        "code": "c",
        "code_verifier": "v",
        "redirect_uri": "https://us/",
    }


def test_quickbooks() -> None:
    """QuickBooks names the refresh token's lifetime in its own way."""
    answer = {"x_refresh_token_expires_in": 8726400, "refresh_token": "r2", "access_token": "a2", "expires_in": 3600}
    request, outcome = exchange(OAuth2Backend("books", API, **CLIENT), "refresh", answer)
    assert form(request) == {"grant_type": "refresh_token", "refresh_token": "r1"}
    assert outcome.pair is not None
    assert minutes(outcome.pair.refresh_expires_at) == 8726400 / 60


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        ("invalid_grant", Verdict.REJECTED),
        ("access_denied", Verdict.CONFIG),
        ("Unauthorized", Verdict.CONFIG),
        ("deleted_client", Verdict.CONFIG),
        ("rate_limited", Verdict.TRANSIENT),
        ("whatever", Verdict.CONFIG),
    ],
)
def test_only_invalid_grant_rejects(status: int, error: str, verdict: Verdict) -> None:
    """Of all error codes one speaks of the refresh token, whatever the status."""
    _, outcome = exchange(OAuth2Backend("erp", API, **CLIENT), "refresh", {"error": error}, status)
    assert outcome.verdict is verdict


@pytest.mark.parametrize(
    ("description", "verdict"),
    [
        ("The refresh token has expired", Verdict.REJECTED),
        ("A transient error has occurred, please retry", Verdict.TRANSIENT),
        ("ip restricted", Verdict.CONFIG),
        ("Invalid token issuer. Expected 'https://x'", Verdict.CONFIG),
        ("User account is locked", Verdict.LOCKED),
        ("User credentials have expired", Verdict.LOCKED),
        ("account_disabled", Verdict.LOCKED),
    ],
)
def test_invalid_grant_that_means_something_else(description: str, verdict: Verdict) -> None:
    """Some say invalid_grant of their own trouble, or of who asks from where."""
    body = {"error": "invalid_grant", "error_description": description}
    _, outcome = exchange(OAuth2Backend("erp", API, **CLIENT), "refresh", body, 400)
    assert outcome.verdict is verdict


@pytest.mark.parametrize("server", ["zoho", "servicenow"])
def test_codes_of_their_own(server: str) -> None:
    """With the documented rules, servers are understood that have codes of their own for a dead refresh token."""
    backend = make_backend(server, documented("oauth2.rst")[server])

    def check(case: Case) -> None:
        assert backend.verdict(case["where"], answer(case)).name in right(case)

    assert failures(CASES_BY_FILE[server], check) == []
    assert own_words(backend) == {"REJECTED"}
    assert own_words(OAuth2Backend(server, API)).isdisjoint({"REJECTED", "LOCKED"})


def own_words(backend: Backend) -> set[str]:
    """Return what a backend makes of the refusals of these servers."""
    refused = (case for case in CASES_BY_FILE[backend.alias] if case["event"] == "refresh_rejected")
    return {backend.verdict("refresh", answer(case)).name for case in refused}


def test_league_without_its_class() -> None:
    """The words of league/oauth2-server 8 about the refresh token outrank its code, which is about the request."""
    cases = [case for case in CASES_BY_FILE["league-oauth2-server"] if case["event"] == "refresh_rejected"]
    assert len(cases) > 5
    backend = OAuth2Backend("erp", API)
    assert {backend.verdict("refresh", answer(case)) for case in cases} == {Verdict.REJECTED}


def test_wrong_grant() -> None:
    """A code grant needs a code among its fields, and every grant a client."""
    fields = {"username": "{username}"}
    backend = OAuth2Backend("up", API, grant_type="authorization_code", login_fields=fields)
    (found,) = backend.check()
    assert found.startswith("grant_type must be ")
    assert list(backend.missing()) == ["client_id"]


def test_client_in_the_body() -> None:
    """With client_authentication="post" the client authenticates in the body, and a scope is sent at login."""
    backend = OAuth2Backend("erp", API, **CLIENT, client_authentication="post", scope="read")
    request, _ = exchange(backend, "login", {"access_token": "a2"})
    assert form(request).items() >= {**CLIENT, "scope": "read"}.items()
    assert "Authorization" not in request.headers


@pytest.mark.parametrize("where", ["login", "refresh"])
def test_client_credentials(server: Upstream, where: str) -> None:
    """Where the client is the account nothing is asked of a person, and a refresh is the grant again."""
    server.answers["/token"] = Answer(200, {"access_token": "a2", "expires_in": 60})
    fields = {"username": "{username}", "audience": "https://api.example.com"}
    options = {"grant_type": "client_credentials", "login_fields": fields}
    backend = OAuth2Backend("up", server.url, **CLIENT, **options)
    assert (backend.login_asks, backend.needs_refresh_token) == ((), False)
    outcome = backend.login({}) if where == "login" else backend.refresh(TokenPair("a1"))
    assert outcome.pair
    assert outcome.pair.access_expires_at
    sent = parse_qs(server.seen[0].body.decode())
    assert sent == {"grant_type": ["client_credentials"], "audience": ["https://api.example.com"]}


@pytest.mark.parametrize(("authentication", "secret"), [("post", ""), ("basic", ""), ("none", "s3cret")])
def test_client_without_a_secret(authentication: str, secret: str) -> None:
    """A public client sends its id but no empty secret in the body; "none" sends neither."""
    options = {"client_id": "us", "client_secret": secret, "client_authentication": authentication}
    request, _ = exchange(OAuth2Backend("up", API, **options), "refresh", {"access_token": "a"})
    assert ("client_id" in form(request), "client_secret" in form(request)) == (authentication == "post", False)
    assert ("Authorization" in request.headers) is (authentication == "basic")
