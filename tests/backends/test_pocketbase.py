"""PocketBaseBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

from requests import PreparedRequest

from jwt_upstream.backends import PocketBaseBackend, Verdict
from jwt_upstream.testing import answer
from jwt_upstream.tokens import TokenPair
from tests.support.exchanges import OLD, fields, replay

BACKEND = PocketBaseBackend("pb", "https://pb.example.com/", collection="_superusers")
PATH = "https://pb.example.com/api/collections/_superusers/"


def test_login() -> None:
    """A login names the collection in its path; the token's expiry is in its claims."""
    request, outcome = replay(
        BACKEND, f"{PATH}auth-with-password", "pocketbase-own-login-ok", {"username": "bob", "password": "p"}
    )
    assert fields(request) == {"identity": "bob", "password": "p"}
    assert outcome.pair
    assert (outcome.pair.refresh, bool(outcome.pair.access_expires_at)) == ("", True)


def test_refresh() -> None:
    """A token renews itself: it goes as it is in the header, without a body."""
    request, outcome = replay(BACKEND, f"{PATH}auth-refresh", "pocketbase-refresh-ok", pair=TokenPair("a1"))
    assert (request.body, request.headers["Authorization"]) == (None, "a1")
    assert outcome.verdict is Verdict.OK
    assert (BACKEND.needs_refresh_token, BACKEND.can_refresh(TokenPair("a1"))) == (False, True)


def test_call() -> None:
    """A call carries the token without a scheme."""
    request = PreparedRequest()
    request.prepare(method="GET", url=PATH)
    BACKEND.authorize(request, OLD)
    assert request.headers["Authorization"] == "a1"


def test_token_of_another_collection() -> None:
    """A 403 about the collection in the path is the settings' fault."""
    message = "The request requires auth record from users collection."
    response = answer(403, body={"data": {}, "message": message, "status": 403})
    assert BACKEND.verdict("refresh", response) is Verdict.CONFIG
