"""Revocations: what each server is sent at a logout, and what its answer means."""

from __future__ import annotations

import json
import re
import time
import traceback
from typing import Any

import pytest
import responses
from requests import Request

from jwt_upstream import backends
from jwt_upstream.backends import Backend, OAuth2Backend, Outcome, SimpleJWTBackend, Verdict
from jwt_upstream.tokens import TokenPair
from tests.support.exchanges import API, CLIENT, OLD
from tests.support.signatures import google_key_file
from tests.support.upstream import Answer, Upstream

BASIC = "Basic dXM6czNjcmV0"
SENT = {
    "Auth0Backend": ("https://acme.auth0.com/oauth/revoke", {"token": "r1", **CLIENT}, ""),
    "DeviseBackend": (f"{API}users/sign_out", {}, "Bearer a1"),
    "DirectusBackend": (f"{API}auth/logout", {"refresh_token": "r1", "mode": "json"}, ""),
    "DjangoOAuthToolkitBackend": (f"{API}o/revoke_token/", {"token": "r1", "token_type_hint": "refresh_token"}, BASIC),
    "GitHubBackend": ("https://api.github.com/applications/us/token", {"access_token": "a1"}, BASIC),
    "GitHubAppBackend": (f"{API}installation/token", {}, "Bearer a1"),
    "GoogleBackend": ("https://oauth2.googleapis.com/revoke", {"token": "r1"}, ""),
    "KeycloakBackend": (f"{API}realms/shop/protocol/openid-connect/logout", {"refresh_token": "r1", **CLIENT}, ""),
    "LaravelJWTBackend": (f"{API}auth/logout", {}, "Bearer a1"),
    "OktaBackend": (
        "https://acme.auth0.com/oauth2/default/v1/revoke",
        {"token": "r1", "token_type_hint": "refresh_token"},
        BASIC,
    ),
    "OryBackend": (f"{API}oauth2/revoke", {"token": "r1", "token_type_hint": "refresh_token"}, BASIC),
    "SalesforceBackend": (f"{API}services/oauth2/revoke", {"token": "r1"}, ""),
    "SimpleJWTBackend": (f"{API}token/blacklist/", {"refresh": "r1"}, ""),
    "SupabaseBackend": (f"{API}auth/v1/logout?scope=local", {}, "Bearer a1"),
}
#: A plain backend that revokes the refresh token.
PLAIN = {"revoke_path": "revoke", "revoke_fields": {"refresh": "{refresh}"}}


def made(name: str, **options: Any) -> Backend:
    """Return a backend with something for each option that it needs."""
    kind = getattr(backends, name)
    known = {
        "realm": "shop",
        "domain": "acme.auth0.com",
        "tenant": "acme",
        "region": "eu",
        "api_key": "a-key",
        "installation_id": "4711",
        "signing_key": google_key_file(),
        **CLIENT,
    }
    needed = {option: value for option, value in known.items() if option in kind.option_types()}
    backend: Backend = kind("up", API, **needed, **options)
    assert list(backend.check()) == []
    return backend


def revoke(backend: Backend, pair: TokenPair = OLD, **answer: Any) -> tuple[Any, Outcome | None]:
    """Revoke once; return the request as the server got it, and the outcome."""
    with responses.RequestsMock() as server:
        server.add(backend.revoke_method, re.compile(".*"), **answer)
        outcome = backend.revoke(pair)
        return server.calls[0].request, outcome


@pytest.mark.parametrize("name", sorted(SENT))
def test_request(name: str) -> None:
    """A server is sent what its documentation asks for, where the login goes and nowhere else."""
    url, fields, authorization = SENT[name]
    backend = made(name)
    request, outcome = revoke(backend, status=204)
    assert (request.url, request.headers.get("Authorization", "")) == (url, authorization)
    body = request.body or b""
    text = body.decode() if isinstance(body, bytes) else body
    is_json = "json" in request.headers.get("Content-Type", "")
    sent = json.loads(text) if is_json else dict(part.split("=") for part in text.split("&") if part)
    assert sent == fields
    assert outcome is not None
    assert (outcome.verdict, outcome.pair, outcome.status_code) == (Verdict.OK, None, 204)


@pytest.mark.parametrize("name", sorted({name for name in backends.__all__ if name.endswith("Backend")} - SENT.keys()))
def test_nothing_to_be_told(name: str) -> None:
    """A server whose endpoint is not known for certain is sent nothing."""
    backend = made(name)
    assert backend.revoke_request(OLD) is None
    assert backend.revoke(OLD) is None


def test_identity_provider_elsewhere() -> None:
    """Where the tokens come from another host, that host is told, and not the API's."""
    login_path = "https://sso.example.com/realms/{realm}/protocol/openid-connect/token"
    backend = made("KeycloakBackend", login_path=login_path)
    request, _ = revoke(backend, status=204)
    assert request.url == "https://sso.example.com/realms/shop/protocol/openid-connect/logout"


def test_path_below_base_url() -> None:
    """A path without a dot is below BASE_URL like any other, and a whole URL is kept."""
    for path, url in [("bye", f"{API}bye"), ("https://sso.example.com/bye", "https://sso.example.com/bye")]:
        backend = Backend("up", API, login_path="auth/login", revoke_path=path)
        assert list(backend.check()) == []
        assert getattr(backend.revoke_request(OLD), "url", "") == url


def test_only_an_access_token() -> None:
    """Where there is no refresh token the access token is revoked, if the server takes one."""
    backend = OAuth2Backend("up", API, **CLIENT, revoke_path="./revoke")
    request, _ = revoke(backend, TokenPair("a1"), status=200)
    assert request.body == "token=a1&token_type_hint=access_token"
    assert made("Auth0Backend").revoke(TokenPair("a1")) is None
    assert made("SimpleJWTBackend").revoke(TokenPair("a1")) is None


def test_missing_option() -> None:
    """Without an option that the path contains nothing is sent."""
    backend = Backend("up", API, revoke_path="{client_id}/revoke")
    outcome = backend.revoke(OLD)
    assert outcome is not None
    assert (outcome.verdict, outcome.reason) == (Verdict.CONFIG, "nothing was sent: OPTIONS has no client_id")


@pytest.mark.parametrize(
    ("backend", "answer"),
    [
        (made("OktaBackend"), {"status": 200, "body": ""}),
        (made("GoogleBackend"), {"status": 400, "json": {"error": "invalid_token"}}),
        (made("KeycloakBackend"), {"status": 400, "json": {"error": "invalid_grant"}}),
        (
            made("SimpleJWTBackend"),
            {"status": 401, "json": {"detail": "Token is blacklisted", "code": "token_not_valid"}},
        ),
        (made("LaravelJWTBackend"), {"status": 200, "json": {"message": "Successfully logged out"}}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_told(backend: Backend, answer: dict[str, Any]) -> None:
    """A success means that the tokens are dead, and so does the word that they were dead before."""
    _, outcome = revoke(backend, **answer)
    assert outcome is not None
    assert outcome.verdict is Verdict.OK


@pytest.mark.parametrize(
    ("backend", "answer", "reason"),
    [
        (made("OktaBackend"), {"status": 401, "json": {"error": "invalid_client"}}, "HTTP 401: invalid_client"),
        (made("SimpleJWTBackend"), {"status": 404, "body": "<html>", "content_type": "text/html"}, "an HTML page"),
        (made("LaravelJWTBackend"), {"status": 401, "json": {"message": "Token has expired"}}, "Token has expired"),
        (made("SupabaseBackend"), {"status": 403, "json": {"msg": "invalid JWT: unable"}}, "invalid JWT: unable"),
        (Backend("up", API, **PLAIN), {"status": 200, "json": {"ok": False, "error": "invalid_client"}}, "HTTP 200"),
        (Backend("up", API, **PLAIN), {"status": 302, "headers": {"Location": "/login"}}, "redirects to"),
        (Backend("up", API, **PLAIN), {"status": 503}, "HTTP 503"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_not_told(backend: Backend, answer: dict[str, Any], reason: str) -> None:
    """Anything else means that they may live on, and the URL is named; nothing is followed."""
    request, outcome = revoke(backend, **answer)
    assert outcome is not None
    assert outcome.verdict is not Verdict.OK
    assert reason in outcome.full_reason
    assert request.url.partition("?")[0] in outcome.full_reason
    assert "r1" not in outcome.full_reason


def test_slow_server() -> None:
    """A server that doesn't answer in time is left alone, and no exception comes of it."""
    with Upstream() as server:
        server.answers["/revoke"] = Answer(delay=1.0)
        began = time.monotonic()
        outcome = Backend("up", server.url, deadline=0.1, **PLAIN).revoke(OLD)
    assert time.monotonic() - began < 1.0
    assert outcome is not None
    assert (outcome.verdict, outcome.status_code) == (Verdict.TRANSIENT, None)


class Selective(Backend):
    """A project's own, which tells logouts of some pairs, and signs what it tells."""

    def revoke_request(self, pair: TokenPair) -> Request | None:
        """Return a request for a pair that has a refresh token; needs the secret, and not what stands for it."""
        number = int(self.client_secret)
        return Request("POST", self.url(f"revoke/{number}")) if pair.refresh else None


def test_method_that_needs_a_secret(server: Upstream) -> None:
    """A project's own method decides whether anything is told, and is asked with the secret that is kept elsewhere."""
    backend = Selective("up", server.url, client_secret=lambda: "4711")
    assert backend.revoke(TokenPair("a1")) is None
    assert backend.revoke(OLD) is not None
    assert [seen.path for seen in server.seen] == ["/revoke/4711"]


def test_nothing_is_read_for_nothing() -> None:
    """Where nothing is to be told, no secret is read for it."""
    assert OAuth2Backend("up", API, client_id="us", client_secret="call:nowhere.at_all").revoke(OLD) is None


class Fails(Backend):
    """A project's own, with a bug."""

    def revoke_request(self, pair: TokenPair) -> Request:
        """Fail with the token in a local variable."""
        token = pair.refresh
        raise RuntimeError(len(token))


def test_frames_of_a_bug() -> None:
    """The traceback of a bug in a project's own method names it, and shows no token."""
    with pytest.raises(RuntimeError) as caught:
        Fails("up", API).revoke(OLD)
    bug = list(traceback.walk_tb(caught.tb))[-1][0]
    assert (bug.f_code.co_name, bug.f_locals) == ("revoke_request", {})


def test_preset_of_a_site_with_other_paths() -> None:
    """A site whose login is elsewhere names its own path."""
    backend = SimpleJWTBackend("up", API, login_path="auth/login/", revoke_path="auth/logout/")
    assert getattr(backend.revoke_request(OLD), "url", "") == f"{API}auth/logout/"
