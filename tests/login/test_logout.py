"""Logging out: the tokens are forgotten, whatever else happens meanwhile, and then the upstream is told."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection, transaction
from requests import Request

from jwt_upstream.backends import Backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import NotLoggedIn
from jwt_upstream.login import adopt, log_out
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh import try_again
from jwt_upstream.store import transitions
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Answer, Seen, Upstream

REVOKE = {"revoke_path": "revoke", "revoke_fields": {"token": "{refresh}"}}


@pytest.fixture
def revoking(client: UpstreamClient, upstream: Upstream, settings: Any) -> Upstream:
    """The upstream, which can be told of a logout; its client is logged in."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= REVOKE
    upstream.answers["/revoke"] = Answer(200, {})
    return upstream


def test_log_out_of_nothing(upstream: Upstream, transactional_db: None) -> None:
    """A logout without a credential does nothing."""
    UpstreamClient("up").logout()
    assert not Event.objects.exists()


def test_rows_that_change_meanwhile(client: UpstreamClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A logout is tried again on the row as it is then; trying again goes on from there."""
    overtaken = iter([True, False, True])

    def overtake(write: Any) -> Any:
        return lambda *args, **kwargs: None if next(overtaken) else write(*args, **kwargs)

    monkeypatch.setattr(transitions, "restore", overtake(transitions.restore))
    monkeypatch.setattr(transitions, "log_out", overtake(transitions.log_out))
    assert try_again(Credential.objects.get()).access == "access-2"
    overtaken = iter([True, False])
    client.logout()
    assert Credential.objects.get().state == "logged_out"


# -- telling the upstream


def test_upstream_is_told(client: UpstreamClient, revoking: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """The upstream is sent the refresh token once the row has forgotten it; a log line says so, without the token."""
    states: list[str] = []

    def note(_: Seen) -> Answer:
        states.append(Credential.objects.get().state)
        return Answer(204, b"")

    revoking.answers["/revoke"] = note
    with caplog.at_level(logging.INFO, "jwt_upstream"):
        logout = log_out("up", "default", by="a person")
    assert (logout.is_told, str(logout)) == (True, "The upstream was told, and has ended them.")
    assert [seen.json() for seen in revoking.calls("/revoke")] == [{"token": "refresh-1"}]
    assert states == ["logged_out"]
    assert "up/default: the upstream was told of the logout" in caplog.text
    assert "refresh-1" not in caplog.text
    with pytest.raises(NotLoggedIn):
        client.get("orders/")


def test_client_tells_as_well(client: UpstreamClient, revoking: Upstream) -> None:
    """A view's logout is told too; a second one has nothing to tell."""
    client.logout()
    client.logout()
    assert len(revoking.calls("/revoke")) == 1
    assert str(log_out("up", "default")) == "There were no tokens."


def test_upstream_that_is_down(client: UpstreamClient, revoking: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """A logout is complete here whatever the upstream says; until when the tokens are good there is told."""
    revoking.answers["/revoke"] = Answer(503, {"detail": "refresh-1 is being thought about"})
    until = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)
    adopt("up", "default", TokenPair("access-1", "refresh-1", refresh_expires_at=until))
    logout = log_out("up", "default")
    assert logout.is_told is False
    assert str(logout) == (
        f"The upstream could not be told: HTTP 503: […] is being thought about (POST {revoking.url}revoke); there the "
        "tokens stay valid until 2099-01-02 03:04:05 UTC."
    )
    assert Credential.objects.get().state == "logged_out"
    assert "could not be told of the logout: HTTP 503" in caplog.text
    assert "refresh-1" not in caplog.text


def test_upstream_that_hangs(client: UpstreamClient, revoking: Upstream, settings: Any) -> None:
    """A logout waits for the upstream no longer than its deadline."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"deadline": 0.1}
    revoking.answers["/revoke"] = Answer(200, {}, delay=1.0)
    began = time.monotonic()
    assert log_out("up", "default").is_told is False
    assert time.monotonic() - began < 1.0


def test_no_endpoint(client: UpstreamClient, upstream: Upstream) -> None:
    """Without an endpoint nothing is sent, and that is said; an unknown expiry too."""
    logout = log_out("up", "default")
    assert (logout.is_told, upstream.seen) == (None, [])
    assert str(logout) == (
        "The upstream was not told: it has no revoke_path in settings, or none for these tokens; there the tokens "
        "stay valid until it ends them by itself."
    )


def test_local_only(client: UpstreamClient, revoking: Upstream) -> None:
    """On request the upstream is left alone; of a lone access token its own expiry is told."""
    until = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)
    adopt("up", "default", TokenPair("access-1", access_expires_at=until))
    logout = log_out("up", "default", local_only=True)
    assert (logout.is_told, revoking.seen) == (None, [])
    assert str(logout) == (
        "The upstream was not told: as was asked; there the tokens stay valid until 2099-01-02 03:04:05 UTC."
    )


def test_tokens_that_no_key_opens(client: UpstreamClient, revoking: Upstream, settings: Any) -> None:
    """What can't be read can't be told, and is forgotten all the same."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert "no configured key decrypts the stored tokens" in str(log_out("up", "default"))
    assert Credential.objects.get().state == "logged_out"


def test_upstream_that_is_no_longer_configured(client: UpstreamClient, revoking: Upstream, settings: Any) -> None:
    """A credential of an upstream that has left the settings can be logged out."""
    settings.JWT_UPSTREAM = {}
    assert "it is not, or wrongly, configured in JWT_UPSTREAM" in str(log_out("up", "default"))
    assert Credential.objects.get().state == "logged_out"


class Fails(Backend):
    """A project's own, with a bug."""

    def revoke_request(self, pair: TokenPair) -> Request:
        """Fail with a message that holds the token."""
        raise RuntimeError(pair.refresh)


def test_bug_in_a_backend(client: UpstreamClient, revoking: Upstream, settings: Any) -> None:
    """A bug in a project's own backend breaks no logout, and its message, which may hold tokens, is not shown."""
    settings.JWT_UPSTREAM["up"] |= {"BACKEND": f"{__name__}.Fails"}
    logout = log_out("up", "default")
    assert "RuntimeError in Fails.revoke" in str(logout)
    assert "refresh-1" not in str(logout)


def test_logout_that_is_tried_again(
    client: UpstreamClient, revoking: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the row has moved on meanwhile, the upstream is told of the tokens that were forgotten, not of older ones."""
    write, overtaken = transitions.log_out, iter([True, False])

    def overtake(*args: Any) -> Any:
        if next(overtaken):
            adopt("up", "default", TokenPair("access-9", "refresh-9"))
            return None
        return write(*args)

    monkeypatch.setattr(transitions, "log_out", overtake)
    assert log_out("up", "default").is_told
    assert [seen.json() for seen in revoking.calls("/revoke")] == [{"token": "refresh-9"}]


def test_rolled_back_by_the_caller(client: UpstreamClient, revoking: Upstream) -> None:
    """A logout inside the caller's transaction is committed, and told, on its own: a rollback doesn't undo it."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite in memory has one connection, on which the caller's transaction is joined")
    with transaction.atomic():
        assert log_out("up", "default").is_told
        transaction.set_rollback(True)
    assert Credential.objects.get().state == "logged_out"
