"""What a refresh came to: refreshes that bring nothing better are not repeated, and long texts fit their columns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from jwt_upstream.background import refresh_due
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialRejected, RefreshUnavailable
from jwt_upstream.models import Credential, Event
from jwt_upstream.testing import logged_in
from tests.support.clock import pass_time
from tests.support.upstream import Answer, Seen, Upstream


def serve(upstream: Upstream, more: Callable[[], Mapping[str, Any]]) -> None:
    """Have the upstream say more in each answer that holds a pair; an access token in it becomes the good one."""
    issue = upstream.issue

    def issue_more() -> dict[str, Any]:
        pair = {**issue(), **more()}
        upstream.access = {pair["access"]}
        return pair

    upstream.issue = issue_more  # type: ignore[method-assign]


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


def dead_jwt() -> str:
    """A JWT without ``iat`` of a server whose clock is slow, so that it has expired when it is issued."""
    return jwt.encode({"exp": ago(5), "jti": str(datetime.now(UTC))}, "x" * 32)


@pytest.mark.parametrize(
    "more",
    [
        lambda: {"expires_at": int(ago(5).timestamp())},
        lambda: {"expires_at": int(ago(5).timestamp() * 1000)},
        lambda: {"expires_at": ago(5).isoformat()},
        lambda: {"expires_at": (datetime.now(UTC) - timedelta(hours=2)).replace(tzinfo=None).isoformat()},
        lambda: {"expires_in": 1e-6},
        lambda: {"expires_in": 0.5},
        lambda: {"access": dead_jwt()},
    ],
)
def test_expiry_that_can_not_be_meant(
    upstream: Upstream, settings: Any, transactional_db: None, more: Callable[[], Mapping[str, Any]]
) -> None:
    """A fresh token whose expiry lies in the past, or next to now, is used until a 401, not refreshed at each call."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"expires_in_paths": ["expires_in"], "expires_at_paths": ["expires_at"]}
    serve(upstream, more)
    client = UpstreamClient("up")
    client.login(username=upstream.user, password=upstream.password)
    for _ in range(5):
        assert UpstreamClient("up").get("orders/").status_code == 200
    upstream.expire()
    for _ in range(5):
        assert UpstreamClient("up").get("orders/").status_code == 200
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


@pytest.fixture
def cached(client: UpstreamClient, upstream: Upstream) -> None:
    """A token endpoint that gives out the same access token as long as it is good."""
    access, numbers = next(iter(upstream.access)), itertools.count()

    def same(_: Seen) -> Answer:
        return Answer(200, {"access": access, "refresh": f"rotated-{next(numbers)}", "expires_in": 20})

    upstream.answers["/refresh"] = same


def test_same_access_token_again(client: UpstreamClient, upstream: Upstream, cached: None) -> None:
    """A route that always answers 401 costs one refresh per interval where the refresh brings the same token again."""
    upstream.answers["/reports/"] = Answer(401, {"detail": "no seat for this module"})
    for _ in range(5):
        assert UpstreamClient("up").get("reports/").status_code == 401
        assert UpstreamClient("up").get("orders/").status_code == 200
    assert (upstream.refreshes, len(upstream.calls("/reports/"))) == (1, 5)
    Credential.objects.update(access_expires_at=None)
    pass_time(61)
    assert UpstreamClient("up").get("reports/").status_code == 401
    assert upstream.refreshes == 2
    assert Credential.objects.get().pair.refresh == "rotated-1"


def test_same_access_token_that_is_due(client: UpstreamClient, upstream: Upstream, cached: None) -> None:
    """A token that is due and comes back the same is used until it expires, by calls and by the background alike."""
    client.refresh()
    pass_time(15)
    for _ in range(3):
        assert UpstreamClient("up").get("orders/").status_code == 200
        refresh_due()
    assert upstream.refreshes == 1


def test_refresh_by_hand_is_not_suppressed(client: UpstreamClient, upstream: Upstream, cached: None) -> None:
    """Whoever asks for new tokens gets a refresh, whatever the one before has brought."""
    client.refresh()
    client.refresh()
    assert upstream.refreshes == 2


def test_words_that_do_not_fit(upstream: Upstream, settings: Any, transactional_db: None) -> None:
    """A refusal in more words than a column holds is recorded once, and leaves no lease behind."""
    settings.JWT_UPSTREAM["up"]["LOGIN"] = {"username": "bob", "password": "pw"}
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"backoff": 0.0, "backoff_max": 0.0}
    logged_in("up", expires_in=-1)
    words = "We are sorry to say that this is not possible. \0" * 8
    upstream.answers["/refresh"] = Answer(502, {"message": words})
    with pytest.raises(RefreshUnavailable):
        UpstreamClient("up").get("orders/")
    upstream.answers |= {"/refresh": Answer(401, {"message": words}), "/login": Answer(401, {"message": words})}
    for _ in range(3):
        with pytest.raises(CredentialRejected):
            UpstreamClient("up").get("orders/")
    row = Credential.objects.get()
    assert (row.state, row.lease, len(row.reason)) == ("rejected", "", 500)
    assert len(upstream.calls("/login")) == 1
    assert [event.kind for event in Event.objects.order_by("pk")] == ["logged_in", "failed", "rejected"]
