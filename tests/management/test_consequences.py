"""What is said to come of an answer, for each verdict and place."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.commands import JSON, paragraphs, probe

CONSEQUENCES = [
    ("refresh", 200, {"access": "a"}, "The refresh token that was sent is kept, since no new one came."),
    ("refresh", 200, {}, "default a success without an access token"),
    ("refresh", 200, {}, "access token none at access_token, access, token refresh token none at"),
    ("refresh", 200, {"access": "a b"}, "default access token has a character that an HTTP header can't carry"),
    (
        "refresh",
        403,
        {"message": "Account is disabled."},
        "The tokens are kept, so that upstream_try_again, or the admin, can use them.",
    ),
    ("refresh", 401, {"error": "invalid_client"}, "The admins get one mail about the upstream at once."),
    ("refresh", 503, {}, "The next refresh is attempted after 1 s, doubled with each failure up to 60 s."),
    ("refresh", 503, {}, "The admins get one mail about the upstream if it lasts for 5 min."),
    ("login", 401, {"message": "Account is disabled."}, "AccountLocked is raised. What was stored before is kept."),
    ("login", 400, {"error": "invalid_client"}, "UpstreamMisconfigured is raised: the settings are wrong."),
    ("login", 503, {}, "RefreshUnavailable is raised. What was stored before is kept."),
    ("api", 404, {}, "The answer is not about the token: the caller gets it, and nothing changes."),
    ("api", 419, {}, 'rule OPTIONS rules[0] {"verdict": "EXPIRED", "where": "api", "status": 419}'),
    (
        "api",
        200,
        {"a": {"b": {"c": {"d": {"e": 1}}}, "l": [{"x": None}], "e": {}}},
        "a.b.c.d (object), a.l.0.x (null)",
    ),
]


@pytest.mark.parametrize(("where", "status", "body", "phrase"), CONSEQUENCES)
def test_consequence(
    saved: Callable[..., str], settings: Any, where: str, status: int, body: Any, phrase: str
) -> None:
    """What an answer means, why, and what would come of it is said for each verdict."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = {"rules": [{"where": "api", "status": 419, "verdict": "expired"}]}
    file = saved(f"HTTP/1.1 {status} Eh\n{JSON}\n\n{json.dumps(body)}")
    assert phrase in paragraphs(probe("up", "--response", file, "--where", where)[0])


def test_wait_that_a_login_is_asked_for(saved: Callable[..., str]) -> None:
    """A wait that the upstream asks for is named."""
    text, _ = probe("up", "--response", saved("HTTP/1.1 429 Slow\nRetry-After: 90\n"), "--where", "login")
    assert "RefreshUnavailable is raised, with a retry_after of 90 s." in paragraphs(text)
