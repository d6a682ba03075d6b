"""Metrics for Prometheus, in the default registry of ``prometheus_client``, which has to be installed."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import REGISTRY, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jwt_upstream.models import Event

from .metrics import BUCKETS, COUNTERS, GAUGES, HISTOGRAMS, gauges, label_names


class _States(Collector):
    """Reads the gauges whenever Prometheus asks; without a database there are none."""

    def describe(self) -> list[Metric]:
        # Otherwise the registry would collect, and so read the database, as soon as this is registered.
        return list(_families().values())

    def collect(self) -> Iterator[Metric]:
        families = _families()
        for name, labels, value in gauges():
            families[name].add_metric([*labels.values()], value)
        yield from families.values()


def _families() -> dict[str, GaugeMetricFamily]:
    return {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in GAUGES.items()}


class Recorder:
    """Counters and histograms in the default registry, and a collector for the gauges."""

    def __init__(self) -> None:
        names = label_names()
        self._counters = {name: Counter(name, text, (*names, *more)) for name, (text, more) in COUNTERS.items()}
        self._histograms = {name: Histogram(name, text, names, buckets=BUCKETS) for name, text in HISTOGRAMS.items()}
        self._states = _States()
        REGISTRY.register(self._states)

    def count(self, name: str, labels: dict[str, str], number: int = 1) -> None:
        """Add to a counter."""
        self._counters[name].labels(**labels).inc(number)

    def observe(self, name: str, labels: dict[str, str], seconds: float) -> None:
        """Add a duration to a histogram."""
        self._histograms[name].labels(**labels).observe(seconds)

    def trace(self, event: Event) -> None:
        """Prometheus has no traces."""

    def close(self) -> None:
        """Take everything out of the registry."""
        for each in (*self._counters.values(), *self._histograms.values(), self._states):
            REGISTRY.unregister(each)
