"""Metrics and spans for OpenTelemetry, by its API, which has to be installed; the project sets up the SDK."""

from __future__ import annotations

import time
from functools import cache, partial

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import SpanKind, Status, StatusCode

from jwt_upstream import __version__
from jwt_upstream.models import Event

from .metrics import COUNTERS, GAUGES, HISTOGRAMS, gauges

#: For how long what was read is that of the same look at all gauges.
_LOOK_SECONDS = 1.0
_WORKED = {Event.Kind.REFRESHED, Event.Kind.LOGGED_IN}


class _Instruments:
    """The meter's instruments, made once: the API can't take them back, nor replace them."""

    def __init__(self) -> None:
        meter = metrics.get_meter("jwt_upstream", __version__)
        self.counters = {name: meter.create_counter(name, description=text) for name, (text, _) in COUNTERS.items()}
        self.histograms = {
            name: meter.create_histogram(name, unit="s", description=text) for name, text in HISTOGRAMS.items()
        }
        self.is_offered = False
        self._read: dict[str, list[Observation]] = {}
        self._read_at = 0.0
        for name, (text, _) in GAUGES.items():
            meter.create_observable_gauge(name, [partial(self._observations, name)], description=text)

    def _observations(self, name: str, _: CallbackOptions) -> list[Observation]:
        # In a thread of the SDK's, which asks for one after the other: the database is read for the first of them.
        if not self.is_offered:
            return []
        is_same_look = time.monotonic() - self._read_at < _LOOK_SECONDS
        found = self._read.pop(name, None) if is_same_look else None
        if found is None:
            read = _observations()
            found = read.pop(name)
            self._read, self._read_at = read, time.monotonic()
        return found


def _observations() -> dict[str, list[Observation]]:
    found: dict[str, list[Observation]] = {name: [] for name in GAUGES}
    for name, labels, value in gauges():
        found[name].append(Observation(value, labels))
    return found


_instruments = cache(_Instruments)


class Recorder:
    """Instruments of the meter ``jwt_upstream``, and a span for each refresh and login."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("jwt_upstream", __version__)
        self._instruments = _instruments()
        self._instruments.is_offered = True

    def count(self, name: str, labels: dict[str, str], number: int = 1) -> None:
        """Add to a counter."""
        self._instruments.counters[name].add(number, labels)

    def observe(self, name: str, labels: dict[str, str], seconds: float) -> None:
        """Add a duration to a histogram."""
        self._instruments.histograms[name].record(seconds, labels)

    def trace(self, event: Event) -> None:
        """Add a span for the time that the upstream took."""
        if event.seconds is None:
            return
        ended = int(event.at.timestamp() * 1e9)
        attributes = {
            "jwt_upstream.upstream": event.upstream,
            "jwt_upstream.event": event.kind,
            "jwt_upstream.verdict": event.verdict,
            "http.response.status_code": event.status_code or 0,
        }
        span = self._tracer.start_span(
            f"jwt_upstream {event.kind}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=ended - int(event.seconds * 1e9),
        )
        if event.kind not in _WORKED:
            span.set_status(Status(StatusCode.ERROR, event.reason))
        span.end(ended)

    def close(self) -> None:
        """Observe nothing any more."""
        self._instruments.is_offered = False
