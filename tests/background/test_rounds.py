"""Refreshing ahead of calls: what is due, in which order, how much of it, and what is left alone."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jwt_upstream.backends import Backend
from jwt_upstream.background import Round, refresh_due
from jwt_upstream.models import Credential
from jwt_upstream.testing import logged_in
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Answer, Seen, Upstream

pytestmark = pytest.mark.django_db


@pytest.fixture
def upstreams(upstream: Upstream, settings: Any) -> Upstream:
    """Two upstreams at one server, which rotates any refresh token; "down" answers 503 below its own path."""
    up = settings.JWT_UPSTREAM["up"]
    down = {**up, "BASE_URL": f"{upstream.url}down/"}
    settings.JWT_UPSTREAM = {"down": down, "up": up}
    upstream.answers["/refresh"] = lambda seen: Answer(200, {"access": f"new-{seen.json()['refresh']}"})
    upstream.answers["/down/refresh"] = Answer(503)
    return upstream


def put(upstream: str, account: str, ends_in: float, **columns: Any) -> Credential:
    """Store a credential of an hour's lifetime that ends in so many seconds."""
    row = logged_in(upstream, account, refresh=account)
    now = timezone.now()
    moments = {"access_expires_at": now + timedelta(seconds=ends_in), "obtained_at": now - timedelta(hours=1)}
    Credential.objects.filter(pk=row.pk).update(**moments | columns)
    return row


def asked(upstream: Upstream, path: str = "/refresh") -> list[str]:
    """Return the refresh tokens that were spent, in order."""
    return [seen.json()["refresh"] for seen in upstream.calls(path)]


def outcome(result: Round) -> tuple[int, int, int]:
    return result.refreshed, result.failed, result.need_human


def test_tokens_that_are_always_due(upstreams: Upstream) -> None:
    """Tokens that last for less than a round looks ahead are refreshed once in a round, which comes to its end."""
    upstreams.answers["/refresh"] = lambda seen: Answer(200, {"access": f"{len(upstreams.seen)}", "expires_in": 5})
    for account in ("ann", "bob"):
        put("up", account, 5)
    assert outcome(refresh_due(seconds=5)) == (2, 0, 0)
    assert outcome(refresh_due(seconds=5)) == (2, 0, 0)
    assert len(asked(upstreams)) == 4


def test_what_is_due_soon(upstreams: Upstream) -> None:
    """Refreshed is what calls would refresh within the next minute, the nearest expiry first, and nothing else."""
    put("up", "later", 1000)
    put("up", "soon", 100)  # the leeway is a minute, and the round looks a minute ahead
    put("up", "ended", -5)
    put("up", "unknown", 0, access_expires_at=None)
    assert outcome(refresh_due()) == (2, 0, 0)
    assert asked(upstreams) == ["ended", "soon"]
    assert Credential.objects.get(account="soon").pair == TokenPair("new-soon", "soon")
    assert outcome(refresh_due()) == (0, 0, 0)


def test_short_lifetimes(upstreams: Upstream) -> None:
    """A token of a short life is due at half of it, not before."""
    put("up", "short", 50, obtained_at=timezone.now())
    assert outcome(refresh_due(ahead=0)) == (0, 0, 0)
    assert outcome(refresh_due(ahead=30)) == (1, 0, 0)


def test_what_is_left_alone(upstreams: Upstream) -> None:
    """What needs a human, what rests after a failure, and what another worker is refreshing."""
    now = timezone.now()
    soon = now + timedelta(seconds=20)
    put("up", "locked", -5, state="locked")
    put("up", "resting", -5, failures=1, next_attempt_at=soon)
    put("up", "claimed", -5, lease="another's", lease_expires_at=soon)
    put("up", "nothing-to-spend", 5, refresh_token="")
    assert outcome(refresh_due()) == (0, 0, 0)
    assert not upstreams.seen


def test_failed_before(upstreams: Upstream) -> None:
    """What failed before is tried again after its rest, behind those that are well."""
    put("up", "failed", -100, failures=1, next_attempt_at=timezone.now())
    put("up", "well", 5)
    refresh_due()
    assert asked(upstreams) == ["well", "failed"]


def test_nothing_to_spend(upstreams: Upstream) -> None:
    """A token that has expired and has no successor is a matter for a human, who hears of it before callers do."""
    put("up", "ended", -5, refresh_token="")
    assert outcome(refresh_due()) == (0, 0, 1)
    assert Credential.objects.get().state == "rejected"


def test_bounds(upstreams: Upstream) -> None:
    """A round makes no more attempts than it may, and begins none when its time is up."""
    for number in range(5):
        put("up", f"a{number}", -5)
    assert outcome(refresh_due(limit=2)) == (2, 0, 0)
    assert outcome(refresh_due(seconds=0)) == (0, 0, 0)
    assert outcome(refresh_due(upstreams=["down"])) == (0, 0, 0)


def test_one_that_is_down(upstreams: Upstream) -> None:
    """Upstreams take turns, and one that keeps failing is left to the next round."""
    for number in range(10):
        put("down", f"d{number}", -100)
        put("up", f"u{number}", -5)
    result = refresh_due()
    assert (outcome(result), result.given_up) == ((10, 3, 0), ["down"])
    paths = [seen.path for seen in upstreams.seen]
    assert paths[:6] == ["/down/refresh", "/refresh"] * 3


def test_a_single_failure_is_no_trouble(upstreams: Upstream) -> None:
    """One account that fails for now doesn't cost the others of its upstream their turn."""

    def answer(seen: Seen) -> Answer | None:
        return Answer(503) if int(seen.json()["refresh"]) % 3 == 0 else Answer(200, {"access": "new"})

    upstreams.answers["/refresh"] = answer
    for number in range(9):
        put("up", str(number), -10 + number)
    result = refresh_due()
    assert (outcome(result), result.given_up) == ((6, 3, 0), [])


def test_an_upstream_that_refuses_is_not_down(upstreams: Upstream) -> None:
    """Failures with a refusal between them are not in a row: the upstream answers."""
    refused, away = Answer(401, {"error": "invalid_grant"}), Answer(503)
    upstreams.answers["/refresh"] = lambda seen: refused if int(seen.json()["refresh"]) % 3 == 2 else away
    for number in range(9):
        put("up", str(number), -10 + number)
    result = refresh_due()
    assert (outcome(result), result.given_up) == ((0, 6, 3), [])


class Broken(Backend):
    """A project's own backend with a bug."""

    @property
    def backoff_max(self) -> float:  # type: ignore[override]
        """Fail where a failure is to be recorded."""
        raise ZeroDivisionError("division")


def test_bug_in_one_backend_does_not_stop_the_others(
    upstreams: Upstream, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever one credential's trouble is, the others are refreshed, and the log names it without a token."""
    settings.JWT_UPSTREAM["broken"] = {**settings.JWT_UPSTREAM["down"], "BACKEND": f"{__name__}.Broken"}
    put("broken", "default", -5)
    put("up", "default", -5)
    result = refresh_due()
    assert (result.refreshed, result.failed) == (1, 1)
    assert "broken/default: not refreshed: ZeroDivisionError" in caplog.text
    assert "division" not in caplog.text


class Unusable(Backend):
    """A project's own backend with a bug where its settings are read."""

    @property
    def refresh_leeway(self) -> float:  # type: ignore[override]
        """Fail before anything is looked for."""
        raise ZeroDivisionError("division")


def test_bug_in_the_settings_of_one_backend(
    upstreams: Upstream, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An upstream at which nothing can be looked for is told of, and the others are refreshed."""
    settings.JWT_UPSTREAM["unusable"] = {**settings.JWT_UPSTREAM["up"], "BACKEND": f"{__name__}.Unusable"}
    put("up", "default", -5)
    result = refresh_due()
    assert (result.refreshed, result.given_up) == (1, ["unusable"])
    assert "unusable: not refreshed: ZeroDivisionError" in caplog.text


def test_wrong_settings(upstreams: Upstream, settings: Any) -> None:
    """An upstream whose settings are wrong is told of and keeps nobody else from being refreshed."""
    put("up", "ann", -5)
    settings.JWT_UPSTREAM = {"down": {"BASE_URL": "nonsense"}, "up": settings.JWT_UPSTREAM["up"]}
    result = refresh_due()
    assert (outcome(result), result.given_up) == ((1, 0, 0), ["down"])


def test_command(upstreams: Upstream) -> None:
    """The command says in a line what came of the round, and on stderr which upstreams kept failing."""
    put("up", "ann", -5)
    for number in range(4):
        put("down", str(number), -5)
    out, err = StringIO(), StringIO()
    call_command("upstream_refresh", stdout=out, stderr=err, no_color=True)
    assert out.getvalue() == "1 refreshed, 3 failed for now, 0 need a human\n"
    assert err.getvalue() == "down: skipped until the next round after repeated failures\n"
    with pytest.raises(CommandError, match="no upstream 'nope'"):
        call_command("upstream_refresh", "nope")
    with pytest.raises(CommandError, match="--ahead: must be 0 to"):
        call_command("upstream_refresh", "--ahead=-1")
