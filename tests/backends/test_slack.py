"""SlackBackend: what is sent, what is read of the answers, and a token that ends in a 200."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from jwt_upstream.backends import SlackBackend, Verdict
from jwt_upstream.client import UpstreamClient
from jwt_upstream.tokens import TokenPair
from tests.support.exchanges import fields, minutes, replay
from tests.support.upstream import Answer, Seen, Upstream

URL = "https://slack.com/api/oauth.v2.access"
BACKEND = SlackBackend("chat", "https://slack.com/api/", client_id="4b39e9.75", client_secret="s3cret")
BASIC = "Basic " + base64.b64encode(b"4b39e9.75:s3cret").decode()


@pytest.mark.parametrize(
    ("case", "access", "refresh"),
    [
        ("slack-own-login-ok", "xoxe.xoxb-1-...", "xoxe-1-..."),
        ("slack-own-login-user-only", "xoxe.xoxp-1-yoda", "xoxe-1-user..."),
    ],
)
def test_login(case: str, access: str, refresh: str) -> None:
    """The code goes with the client's Basic; a bot's tokens are taken before the user's."""
    request, outcome = replay(BACKEND, URL, case, {"code": "c1"})
    assert (fields(request), request.headers["Authorization"]) == ({"code": "c1"}, BASIC)
    assert outcome.pair
    assert (outcome.pair.access, outcome.pair.refresh, minutes(outcome.pair.access_expires_at)) == (
        access,
        refresh,
        720,
    )


def test_refresh() -> None:
    """A refresh goes to the same method."""
    request, outcome = replay(BACKEND, URL, "slack-refresh-ok")
    assert fields(request) == {"grant_type": "refresh_token", "refresh_token": "r1"}
    assert (request.headers["Authorization"], outcome.verdict) == (BASIC, Verdict.OK)


@pytest.mark.django_db
def test_token_that_ended_in_a_200(settings: Any) -> None:
    """A 200 that says ``token_expired`` is renewed and the call sent again, like a 401 elsewhere."""

    def message(request: Seen) -> Answer:
        return Answer(body={"ok": True} if request.token == "new" else {"ok": False, "error": "token_expired"})

    with Upstream() as upstream:
        upstream.answers["/chat.postMessage"] = message
        upstream.answers["/oauth.v2.access"] = Answer(body={"ok": True, "access_token": "new", "refresh_token": "r2"})
        settings.JWT_UPSTREAM = {
            "chat": {
                "BACKEND": "jwt_upstream.backends.SlackBackend",
                "BASE_URL": upstream.url,
                "OPTIONS": {"client_id": "c", "client_secret": "s"},
            }
        }
        client = UpstreamClient("chat")
        client.adopt(TokenPair("old", "r1"))
        assert client.post("chat.postMessage", json={"text": "hi"}).json() == {"ok": True}
    assert [request.path for request in upstream.seen] == [
        "/chat.postMessage",
        "/oauth.v2.access",
        "/chat.postMessage",
    ]
