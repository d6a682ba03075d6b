"""GitHubBackend: what is sent, and what is read of the answers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jwt_upstream.backends import GitHubBackend, Verdict
from tests.support.exchanges import fields, minutes, replay

URL = "https://github.com/login/oauth/access_token"
BACKEND = GitHubBackend("hub", "https://api.github.com/", client_id="Iv1.a", client_secret="s3cret")
CLIENT = {"client_id": "Iv1.a", "client_secret": "s3cret"}


@pytest.mark.parametrize("case", ["github-own-login-ok", "github-own-login-form"])
def test_login(case: str) -> None:
    """The browser's code and the client go as a form to github.com; JSON and forms are read."""
    assert BACKEND.login_asks == ("code",)
    request, outcome = replay(BACKEND, URL, case, {"code": "c1"})
    assert fields(request) == {"code": "c1", **CLIENT}
    assert (request.headers["Accept"], "Authorization" in request.headers) == ("application/json", False)
    assert outcome.pair
    assert outcome.pair.access.startswith("ghu_")
    assert outcome.pair.refresh.startswith("ghr_")
    assert minutes(outcome.pair.access_expires_at) == 480
    assert outcome.pair.refresh_expires_at
    assert outcome.pair.access_expires_at
    assert outcome.pair.refresh_expires_at - outcome.pair.access_expires_at == timedelta(days=184, hours=-8)


def test_refresh() -> None:
    """A refresh goes to the same place."""
    request, outcome = replay(BACKEND, URL, "github-refresh-ok")
    assert fields(request) == {"grant_type": "refresh_token", "refresh_token": "r1", **CLIENT}
    assert outcome.verdict is Verdict.OK


def test_refused_by_a_200() -> None:
    """Why a refresh is refused is shown in GitHub's words."""
    _, outcome = replay(BACKEND, URL, "github-own-refresh-bad")
    assert (outcome.verdict, outcome.reason) == (
        Verdict.REJECTED,
        "HTTP 200: The refresh token passed is incorrect or expired.",
    )
