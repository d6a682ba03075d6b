"""SupabaseBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

from requests import PreparedRequest

from jwt_upstream.backends import SupabaseBackend, Verdict
from jwt_upstream.testing import answer
from tests.support.exchanges import OLD, fields, minutes, replay

URL = "https://xyz.supabase.co/auth/v1/token"
BACKEND = SupabaseBackend("base", "https://xyz.supabase.co/", api_key="sb_publishable_1")


def test_login() -> None:
    """The grant is in the query, the fields are JSON, the project's key is a header."""
    request, outcome = replay(
        BACKEND, f"{URL}?grant_type=password", "supabase-login-ok", {"username": "b@x.org", "password": "p"}
    )
    assert fields(request) == {"email": "b@x.org", "password": "p"}
    assert (request.url, request.headers["apikey"]) == (f"{URL}?grant_type=password", "sb_publishable_1")
    assert outcome.pair
    assert (outcome.pair.refresh, minutes(outcome.pair.access_expires_at)) == ("v1Zr3sZ0Wq2x", 60)


def test_refresh() -> None:
    """A refresh differs by its grant."""
    request, outcome = replay(BACKEND, f"{URL}?grant_type=refresh_token", "supabase-own-refresh-ok")
    assert (fields(request), request.headers["apikey"]) == ({"refresh_token": "r1"}, "sb_publishable_1")
    assert (request.url, outcome.verdict) == (f"{URL}?grant_type=refresh_token", Verdict.OK)


def test_call() -> None:
    """A call carries the key beside the token: the gateway wants it."""
    request = PreparedRequest()
    request.prepare(method="GET", url="https://xyz.supabase.co/rest/v1/orders")
    BACKEND.authorize(request, OLD)
    assert (request.headers["Authorization"], request.headers["apikey"]) == ("Bearer a1", "sb_publishable_1")


def test_key_that_the_gateway_refuses() -> None:
    """Kong's word for a wrong key, in self-hosted projects, gives no token up."""
    response = answer(401, body={"message": "Invalid authentication credentials"})
    assert BACKEND.verdict("refresh", response) is Verdict.CONFIG


def test_without_key() -> None:
    """Without a key nothing is sent, and it is said what is missing."""
    assert SupabaseBackend("base", "https://xyz.supabase.co/").refresh(OLD).reason.endswith("has no api_key")
