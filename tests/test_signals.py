"""Every transition is told by a signal, once, and a receiver that raises breaks nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.dispatch import Signal
from django.utils import timezone

from jwt_upstream import signals
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.models import Credential, Incident
from jwt_upstream.refresh import try_again
from tests.support.upstream import Answer, Upstream

LOCKED = Answer(401, {"code": 401, "message": "Account is disabled."})
SIGNALS = {name: signal for name, signal in vars(signals).items() if isinstance(signal, Signal)}


class Heard:
    """What was sent to a receiver of all signals: (signal's name, sender, arguments)."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any, dict[str, Any]]] = []
        self.receivers = {name: self.receiver(name) for name in SIGNALS}

    def receiver(self, name: str) -> Callable[..., None]:
        def receive(sender: Any, signal: Any, **arguments: Any) -> None:
            self.sent.append((name, sender, arguments))

        return receive

    def names(self) -> list[str]:
        return [name for name, _, _ in self.sent]


@pytest.fixture
def heard(client: UpstreamClient) -> Iterator[Heard]:
    """Everything that is told after the first login."""
    heard = Heard()
    for name, receiver in heard.receivers.items():
        SIGNALS[name].connect(receiver)
    yield heard
    for name, receiver in heard.receivers.items():
        SIGNALS[name].disconnect(receiver)


def call(client: UpstreamClient) -> None:
    with suppress(UpstreamError):
        client.get("orders/")


def log_in(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    client.login(username=upstream.user, password=upstream.password)


def log_out(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    client.logout()


def refresh(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    upstream.expire()
    call(client)


def be_rejected(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    upstream.refresh = "another"
    refresh(client, upstream, settings)


def be_locked(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    upstream.answers["/orders/"] = LOCKED
    call(client)


def lose_the_key(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    call(UpstreamClient("up"))


def restore(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    Credential.objects.update(state="locked", reason="Account is disabled.")
    try_again(Credential.objects.get())


def fail(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    upstream.answers["/refresh"] = Answer(503, {})
    refresh(client, upstream, settings)


def die(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    # What a worker leaves that held the lease and never settled.
    long_ago = timezone.now() - timedelta(seconds=1)
    Credential.objects.update(lease="dead worker", lease_expires_at=long_ago)
    refresh(client, upstream, settings)


@pytest.mark.parametrize(
    ("happen", "told"),
    [
        (log_in, ["credential_logged_in"]),
        (log_out, ["credential_logged_out"]),
        (refresh, ["credential_refreshed"]),
        (be_rejected, ["credential_rejected"]),
        (be_locked, ["credential_locked"]),
        (lose_the_key, ["credential_unreadable"]),
        (restore, ["credential_restored", "credential_refreshed"]),
        (fail, ["refresh_failed"]),
        (die, ["credential_refreshed", "refresh_interrupted"]),
    ],
)
def test_transition(
    happen: Any, told: list[str], heard: Heard, client: UpstreamClient, upstream: Upstream, settings: Any
) -> None:
    """Each transition is told once, by the Credential class, with the row as it is now and the event."""
    happen(client, upstream, settings)
    assert heard.names() == told
    for _, sender, arguments in heard.sent:
        assert sender is Credential
        assert arguments.keys() == {"credential", "event"}
        assert arguments["event"].credential == arguments["credential"]
    assert heard.sent[-1][2]["credential"].state == Credential.objects.get().state


def test_arguments_show_no_token(heard: Heard, client: UpstreamClient) -> None:
    """What receivers may log of their arguments holds no token."""
    client.refresh()
    ((_, _, arguments),) = heard.sent
    shown = repr(arguments) + repr(vars(arguments["credential"])) + repr(vars(arguments["event"]))
    assert "access-" not in shown
    assert "refresh-" not in shown


def test_incident_of_an_upstream(heard: Heard, client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """An upstream in trouble, of whatever changing causes, and its recovery are told by Incident, each once."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    for answer in (Answer(503, {}), Answer(503, {}), Answer(404, {}), Answer(404, {}), None):
        upstream.answers.pop("/refresh", None)
        if answer:
            upstream.answers["/refresh"] = answer
        Credential.objects.update(next_attempt_at=None)
        refresh(client, upstream, settings)
    told = [each for each in heard.sent if each[0].startswith("upstream_")]
    assert [name for name, _, _ in told] == ["upstream_down", "upstream_recovered"]
    assert {sender for _, sender, _ in told} == {Incident}
    assert [arguments["incident"] for _, _, arguments in told] == [Incident.objects.get()] * 2


def test_raising_receiver(heard: Heard, client: UpstreamClient, upstream: Upstream, caplog: Any) -> None:
    """A receiver that raises breaks neither the call nor the other receivers, and is logged."""

    def clumsy(**_: Any) -> None:
        raise ValueError("clumsy receiver")

    signals.credential_refreshed.connect(clumsy)
    try:
        upstream.expire()
        assert client.get("orders/").json()["token"] == "access-2"
    finally:
        signals.credential_refreshed.disconnect(clumsy)
    assert heard.names() == ["credential_refreshed"]
    assert "clumsy receiver" in caplog.text


def test_log_lines(client: UpstreamClient, upstream: Upstream, settings: Any, caplog: Any) -> None:
    """Each transition is a line in the log "jwt_upstream", loud where a human is needed, and without a token."""
    caplog.set_level("INFO", "jwt_upstream")
    refresh(client, upstream, settings)
    be_rejected(client, upstream, settings)
    lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "jwt_upstream"]
    assert lines[0] == ("INFO", "up/default refreshed")
    assert lines[-1][0] == "ERROR"
    assert lines[-1][1].startswith("up/default rejected: HTTP 401")
    assert "access-" not in caplog.text
    assert "refresh-" not in caplog.text
