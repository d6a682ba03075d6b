"""Metrics for Prometheus and OpenTelemetry, by the libraries themselves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, generate_latest

from jwt_upstream import checks
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialMismatch, CredentialRejected
from jwt_upstream.measurements import call_finished
from jwt_upstream.models import Credential
from jwt_upstream.monitoring import conditions
from jwt_upstream.refresh import rebind
from tests.support.accounts import shop
from tests.support.upstream import Answer, Upstream

READER, SPANS = InMemoryMetricReader(), InMemorySpanExporter()


@pytest.fixture(scope="session", autouse=True)
def _sdk() -> None:
    """The project's part: it sets up the SDK, once in a process."""
    metrics.set_meter_provider(MeterProvider([READER]))
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(SPANS))
    trace.set_tracer_provider(provider)


@pytest.fixture
def measured(client: UpstreamClient, settings: Any) -> Iterator[UpstreamClient]:
    """A client of which both libraries keep count."""
    SPANS.clear()
    settings.JWT_UPSTREAM_METRICS = ["prometheus", "opentelemetry"]
    yield client
    settings.JWT_UPSTREAM_METRICS = []


def prometheus(name: str, **labels: str) -> float | None:
    """Return a sample as Prometheus would read it."""
    return REGISTRY.get_sample_value(name, {"upstream": "up", **labels})


def opentelemetry(name: str) -> list[tuple[dict[str, Any], Any]]:
    """Return the labels and the value (or number of durations) of each point of an instrument."""
    data = READER.get_metrics_data()
    if data is None:  # nothing was ever measured
        return []
    found = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in (metric.data.data_points if metric.name == name else ())
    ]
    return [(dict(point.attributes or {}), getattr(point, "value", getattr(point, "count", None))) for point in found]


def test_calls(measured: UpstreamClient, upstream: Upstream) -> None:
    """Each call is counted by what came of it, redirects as part of theirs, with its duration."""
    upstream.answers["/broken/"] = Answer(503)
    upstream.answers["/moved/"] = Answer(302, headers={"Location": "/orders/"})
    for path in ("orders/", "orders/", "broken/", "moved/"):
        measured.get(path)
    assert prometheus("jwt_upstream_calls_total", outcome="200") == 3
    assert prometheus("jwt_upstream_calls_total", outcome="503") == 1
    assert prometheus("jwt_upstream_call_seconds_count") == 4
    assert ({"upstream": "up", "outcome": "503"}, 1) in opentelemetry("jwt_upstream_calls")
    assert prometheus("jwt_upstream_call_retries_total") is None


def test_refreshes(measured: UpstreamClient, upstream: Upstream) -> None:
    """A refresh is counted with its verdict, with how long the upstream took and how long callers waited."""
    upstream.expire()
    measured.get("orders/")
    upstream.expire()
    upstream.refresh = "lost"
    Credential.objects.update(refresh_suppressed_until=None)
    with pytest.raises(CredentialRejected):
        measured.refresh()
    assert prometheus("jwt_upstream_events_total", event="refreshed", verdict="ok") == 1
    assert prometheus("jwt_upstream_events_total", event="rejected", verdict="rejected") == 1
    assert prometheus("jwt_upstream_refresh_seconds_count") == 2
    assert prometheus("jwt_upstream_refresh_wait_seconds_count") == 2
    refreshed, rejected = SPANS.get_finished_spans()
    assert (refreshed.name, refreshed.status.is_ok) == ("jwt_upstream refreshed", True)
    assert (rejected.name, rejected.status.is_ok) == ("jwt_upstream rejected", False)
    assert dict(rejected.attributes or {}) == {
        "jwt_upstream.upstream": "up",
        "jwt_upstream.event": "rejected",
        "jwt_upstream.verdict": "rejected",
        "http.response.status_code": 401,
    }
    assert (rejected.start_time or 0) < (rejected.end_time or 0)


def test_what_takes_an_upstream_no_time(measured: UpstreamClient) -> None:
    """A logout that no upstream is told is counted, and has neither a duration nor a span."""
    measured.logout()
    assert prometheus("jwt_upstream_events_total", event="logged_out", verdict="") == 1
    assert prometheus("jwt_upstream_refresh_seconds_count") is None
    assert SPANS.get_finished_spans() == ()


def test_tokens_for_other_settings(measured: UpstreamClient, settings: Any) -> None:
    """Calls that send nothing, since settings have changed, are counted by their error, and a confirmed move too."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["client_id"] = "another"
    with pytest.raises(CredentialMismatch):
        measured.get("orders/")
    assert prometheus("jwt_upstream_calls_total", outcome="CredentialMismatch") == 1
    rebind(Credential.objects.get())
    assert prometheus("jwt_upstream_events_total", event="rebound", verdict="") == 1


def test_retries_and_errors(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Repetitions are counted, and a call without an answer by its error."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["retries"] = 1
    settings.JWT_UPSTREAM_METRICS = ["prometheus"]
    upstream.answers["/broken/"] = Answer(503)
    retrying = UpstreamClient("up")
    retrying.get("broken/")
    assert prometheus("jwt_upstream_call_retries_total") == 1
    with pytest.raises(Exception, match="no-such-host"):
        retrying.get("orders/", proxies={"http": "http://no-such-host.invalid:1"})
    assert prometheus("jwt_upstream_calls_total", outcome="ProxyError") == 1
    settings.JWT_UPSTREAM_METRICS = []


def test_states(measured: UpstreamClient) -> None:
    """The states are read of the database at each look: what another process did is there as well."""
    Credential.objects.update(failures=2)
    assert prometheus("jwt_upstream_credentials", state="failing") == 1
    assert prometheus("jwt_upstream_credentials", state="locked") == 0
    assert prometheus("jwt_upstream_incident") == 0
    assert ({"upstream": "up", "state": "failing"}, 1) in opentelemetry("jwt_upstream_credentials")
    Credential.objects.update(failures=0, access_expires_at=timezone.now() + timedelta(hours=1))
    assert 0 < (prometheus("jwt_upstream_next_expiry_seconds") or 0) <= 3600
    assert prometheus("jwt_upstream_credentials", state="active") == 1


def test_who_needs_a_person(measured: UpstreamClient, settings: Any) -> None:
    """A gauge says for which upstreams a person has to act, also where no credential's state shows it."""
    settings.JWT_UPSTREAM = {**settings.JWT_UPSTREAM, "new": settings.JWT_UPSTREAM["up"]}
    assert prometheus("jwt_upstream_needs_human") == 0
    assert prometheus("jwt_upstream_needs_human", upstream="new") == 1
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["client_id"] = "another"
    assert prometheus("jwt_upstream_needs_human") == 1
    assert ({"upstream": "up"}, 1) in opentelemetry("jwt_upstream_needs_human")
    settings.JWT_UPSTREAM = shop()
    Credential.objects.create(upstream="shop", account="acme", state="active", parameters={"nonsense": "x"})
    assert prometheus("jwt_upstream_needs_human", upstream="shop") == 1


def test_states_without_a_database(measured: UpstreamClient) -> None:
    """While the database is away the counts are still given, and no states."""
    measured.get("orders/")
    table = Credential._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO elsewhere")
        try:
            said = generate_latest().decode()
            assert opentelemetry("jwt_upstream_credentials") == []
        finally:
            cursor.execute(f"ALTER TABLE elsewhere RENAME TO {table}")
    assert 'jwt_upstream_calls_total{outcome="200",upstream="up"} 1.0' in said
    assert "jwt_upstream_credentials{" not in said


def test_looks_of_the_libraries(measured: UpstreamClient) -> None:
    """A look reads the database once, and leaves no connection in a library's thread, where nobody would renew it."""
    with CaptureQueriesContext(connection) as once:
        conditions()
    for look in (generate_latest, READER.get_metrics_data):
        with CaptureQueriesContext(connection) as asked:
            look()
        assert len(asked) == len(once)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(look).result()
            assert thread.submit(lambda: connection.connection).result() is None


def test_accounts_are_told_apart_only_if_asked_for(measured: UpstreamClient, settings: Any) -> None:
    """An account may be a customer, of whom there may be many: it is a label on demand."""
    measured.get("orders/")
    assert "default" not in generate_latest().decode().replace("jwt_upstream_default", "")
    settings.JWT_UPSTREAM_METRICS_BY_ACCOUNT = True
    measured.get("orders/")
    assert prometheus("jwt_upstream_calls_total", outcome="200", account="default") == 1


def test_off_by_default(client: UpstreamClient, settings: Any) -> None:
    """Nobody is told of calls, and nothing is in the registry, unless the setting asks for it."""
    settings.JWT_UPSTREAM_METRICS = ["prometheus"]
    client.get("orders/")
    settings.JWT_UPSTREAM_METRICS = []
    assert not call_finished.receivers
    assert "jwt_upstream" not in generate_latest().decode()
    assert opentelemetry("jwt_upstream_credentials") == []


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """It stops nothing, and a system check says what to install."""
    for name in list(sys.modules):
        if name.startswith(("prometheus_client", "jwt_upstream.monitoring.prometheus")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr("sys.path_hooks", [])
    monkeypatch.setattr("sys.meta_path", [finder for finder in sys.meta_path if "Path" not in str(finder)])
    settings.JWT_UPSTREAM = {}  # whose backends could not be imported either, if no test has yet
    settings.JWT_UPSTREAM_METRICS = ["prometheus"]
    assert not call_finished.receivers
    (message,) = [each for each in checks.check_settings() if each.id == "jwt_upstream.E018"]
    assert (message.msg, message.hint) == (
        "JWT_UPSTREAM_METRICS names 'prometheus', but prometheus_client is not installed, so nothing is measured.",
        "pip install prometheus_client",
    )


def test_libraries_that_are_there(settings: Any) -> None:
    """The setting is in order where what it names is installed."""
    settings.JWT_UPSTREAM_METRICS = ["prometheus", "opentelemetry"]
    assert [each for each in checks.check_settings() if each.id == "jwt_upstream.E018"] == []
    settings.JWT_UPSTREAM_METRICS = []


@pytest.mark.parametrize("value", ["prometheus", ["statsd"], None, [["prometheus"]]])
def test_bad_setting(settings: Any, value: Any) -> None:
    """What is no list of the known names is found by a system check."""
    settings.JWT_UPSTREAM_METRICS = value
    assert [each.id for each in checks.check_settings()].count("jwt_upstream.E018") == 1
    settings.JWT_UPSTREAM_METRICS = []
