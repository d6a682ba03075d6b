"""What is measured, by whatever library: counts and durations from our signals, and the states at each look."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Protocol

from django.core.signals import setting_changed
from django.db import Error, connections
from django.utils.module_loading import import_string

from jwt_upstream import signals
from jwt_upstream.clock import host_now
from jwt_upstream.conf import METRICS_LIBRARIES, conf
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.measurements import call_finished, refresh_awaited
from jwt_upstream.models import Credential, Event
from jwt_upstream.store import queries

from .conditions import conditions

#: Every counter and histogram, with its help and its labels besides upstream (and account, if asked for).
COUNTERS = {
    "jwt_upstream_calls": ("Calls of upstreams by what came of them.", ("outcome",)),
    "jwt_upstream_call_retries": ("Repetitions of calls by the option retries.", ()),
    "jwt_upstream_events": ("Events of credentials, such as refreshes, with their verdicts.", ("event", "verdict")),
}
HISTOGRAMS = {
    "jwt_upstream_call_seconds": "How long calls took, waiting for a token included.",
    "jwt_upstream_refresh_seconds": "How long upstreams took to answer refreshes and logins.",
    "jwt_upstream_refresh_wait_seconds": "How long callers waited for a refresh.",
}
#: Those that are read of the database, with all of their labels.
GAUGES = {
    "jwt_upstream_credentials": ("Credentials by state.", ("upstream", "state")),
    "jwt_upstream_needs_human": (
        "Whether a person has to act for an upstream, as the health view sees it.",
        ("upstream",),
    ),
    "jwt_upstream_incident": ("Whether an upstream as a whole is down or misconfigured.", ("upstream",)),
    "jwt_upstream_next_expiry_seconds": ("Seconds until the next access token expires.", ("upstream",)),
}
#: The values of the label "state"; those that fail are not counted as active.
STATES = ("active", "failing", "rejected", "locked", "unreadable", "logged_out")
#: In seconds: a call within a data centre up to the deadline of a refresh and beyond.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


_CREDENTIAL_SIGNALS = (
    signals.credential_logged_in,
    signals.credential_logged_out,
    signals.credential_refreshed,
    signals.credential_rejected,
    signals.credential_locked,
    signals.credential_unreadable,
    signals.credential_restored,
    signals.credential_rebound,
    signals.credential_configured,
    signals.refresh_failed,
    signals.refresh_interrupted,
)


#: The name, the labels and the value of a gauge.
Gauge = tuple[str, dict[str, str], float]


class Recorder(Protocol):
    """A library's side: counts, observes and traces; it offers the gauges by itself."""

    def count(self, name: str, labels: dict[str, str], number: int = 1) -> None:
        """Add to a counter."""

    def observe(self, name: str, labels: dict[str, str], seconds: float) -> None:
        """Add a duration to a histogram."""

    def trace(self, event: Event) -> None:
        """Take note of an event, for a trace."""

    def close(self) -> None:
        """Offer nothing any more."""


class _Measuring:
    """Passes our signals on to a recorder, from its making to ``stop``."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        call_finished.connect(self._call)
        refresh_awaited.connect(self._wait)
        for signal in _CREDENTIAL_SIGNALS:
            signal.connect(self._event)

    def stop(self) -> None:
        call_finished.disconnect(self._call)
        refresh_awaited.disconnect(self._wait)
        for signal in _CREDENTIAL_SIGNALS:
            signal.disconnect(self._event)
        self._recorder.close()

    def _call(
        self, upstream: str, account: str, status_code: int | None, error: str, seconds: float, retries: int, **_: Any
    ) -> None:
        labels = _labels(upstream, account)
        self._recorder.count("jwt_upstream_calls", {**labels, "outcome": error or str(status_code)})
        self._recorder.observe("jwt_upstream_call_seconds", labels, seconds)
        if retries:
            self._recorder.count("jwt_upstream_call_retries", labels, retries)

    def _wait(self, credential: Credential, seconds: float, **_: Any) -> None:
        labels = _labels(credential.upstream, credential.account)
        self._recorder.observe("jwt_upstream_refresh_wait_seconds", labels, seconds)

    def _event(self, event: Event, **_: Any) -> None:
        labels = _labels(event.upstream, event.account)
        self._recorder.count("jwt_upstream_events", {**labels, "event": event.kind, "verdict": event.verdict})
        if event.seconds is not None:
            self._recorder.observe("jwt_upstream_refresh_seconds", labels, event.seconds)
        self._recorder.trace(event)


def label_names() -> tuple[str, ...]:
    """Return the labels that every counter and histogram has: an account only if it was asked for."""
    return ("upstream", "account") if conf.metrics_by_account else ("upstream",)


def _labels(upstream: str, account: str) -> dict[str, str]:
    return {"upstream": upstream, "account": account} if conf.metrics_by_account else {"upstream": upstream}


def gauges() -> list[Gauge]:
    """Return the name, labels and value of each gauge as it is now; reads the database, and there are none without it.

    Leaves no connection behind that wasn't open: a thread of a library's has no requests after which Django looks
    after it, and once the server had ended it there would be no gauges any more.
    """
    connection = connections[queries.database()]
    was_open = connection.connection is not None
    try:
        return list(_gauges(host_now()))
    except (Error, UpstreamNotConfigured):
        return []
    finally:
        if not was_open:
            connection.close()


def _gauges(now: datetime) -> Iterator[Gauge]:
    for each in conditions():
        for state in STATES:
            number = each.credentials.get(state, 0)
            yield "jwt_upstream_credentials", {"upstream": each.upstream, "state": state}, number
        yield "jwt_upstream_needs_human", {"upstream": each.upstream}, int(each.status == "needs_human")
        yield "jwt_upstream_incident", {"upstream": each.upstream}, int(bool(each.incident))
        if each.next_expiry:
            left = (each.next_expiry - now).total_seconds()
            yield "jwt_upstream_next_expiry_seconds", {"upstream": each.upstream}, left


_measuring: dict[str, _Measuring] = {}


def apply_settings(setting: str = "JWT_UPSTREAM_METRICS", **_: Any) -> None:
    """Measure for the libraries that JWT_UPSTREAM_METRICS names now, and for no others."""
    if not setting.startswith("JWT_UPSTREAM_METRICS"):
        return
    for name in list(_measuring):
        _measuring.pop(name).stop()
    wanted = conf.metrics if isinstance(conf.metrics, list | tuple) else ()  # of which a system check tells
    for name in METRICS_LIBRARIES:
        if name in wanted and (recorder := _recorder(name)):
            _measuring[name] = _Measuring(recorder)


def _recorder(name: str) -> Recorder | None:
    # Imported only if it is asked for: the library that it imports may not be there, of which a system check tells.
    try:
        recorder: Recorder = import_string(f"{__package__}.{name}.Recorder")()
    except ImportError:
        return None
    return recorder


setting_changed.connect(apply_settings)
