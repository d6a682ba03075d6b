"""No tool that shows errors with their variables shows a secret, whatever is done and whatever goes wrong."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
import sentry_sdk
from asgiref.sync import async_to_sync
from django.contrib import admin
from django.core.management import get_commands, load_command_class
from django.views.debug import get_default_exception_reporter_filter
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from requests import RequestException
from sentry_sdk import integrations
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.stdlib import StdlibIntegration
from sentry_sdk.transport import Transport

from jwt_upstream import login
from jwt_upstream.backends import FirebaseBackend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.support.interruptions import interrupted, places
from tests.support.leaky_operations import OPERATIONS
from tests.support.leaky_site import FAULTS, GIVEN, Site
from tests.support.pages import blocks
from tests.support.reporters import REPORTERS, everything, searcher
from tests.support.upstream import Answer, Upstream

found = searcher(GIVEN.secrets)
#: What the default run does; the slow one does everything.
USUAL = ["login", "call with refresh", "check", "device login", "browser login", "admin: browser login"]


@pytest.fixture
def site(upstream: Upstream, settings: Any, db: None) -> Site:
    return Site(upstream, settings)


def shown(error: BaseException) -> list[tuple[str, list[str]]]:
    """Return the secrets that an error shows to anybody, each with its place."""
    return [(place, secrets) for place, text in everything(error) if (secrets := found(text))]


def errors(site: Site, fault: str, operations: list[str]) -> Iterator[tuple[str, BaseException]]:
    """Do things while something is wrong, and yield what they raise."""
    with FAULTS[fault](site):
        for operation in operations:
            try:
                OPERATIONS[operation](site)
            except Exception as error:
                yield operation, error


@pytest.mark.parametrize("fault", list(FAULTS)[::6])
def test_faults(site: Site, fault: str) -> None:
    """Whatever goes wrong, no variable and no text of what is raised shows a secret."""
    raised = [shown(error) for _, error in errors(site, fault, USUAL)]
    assert raised == [[]] * len(raised)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_all_operations(site: Site, fault: str) -> None:
    """Nor does anything that anybody can do with the package, whatever else goes wrong."""
    for operation in OPERATIONS:
        site.reset()
        assert [shown(error) for _, error in errors(site, fault, [operation])] in ([[]], [])


def public() -> dict[CodeType, str]:
    """Return the code behind every public method of the client, command, and page and action of the admin."""
    found = {f"client: {name}": attribute for name, attribute in vars(UpstreamClient).items() if name[0] != "_"}
    for name in get_commands():
        if name.startswith("upstream_"):
            found[name] = load_command_class("jwt_upstream", name).handle
    pages = admin.site.get_model_admin(Credential)
    actions = [str(name) for name in pages.actions or ()]
    views = [name for name in dir(pages) if name.endswith("_view") and name[0] != "_"]
    found |= {f"admin: {name}": getattr(pages, name) for name in [*actions, *views]}
    found |= {f"login: {name}": getattr(login, name) for name in ("begin_device_login", "register", "adopt")}
    found |= {f"browser: {name}": getattr(login.BrowserLogin, name) for name in ("begin", "complete")}
    functions = {name: inspect.unwrap(getattr(each, "__func__", each)) for name, each in found.items()}
    ours = {name: each for name, each in functions.items() if inspect.isfunction(each)}
    return {each.__code__: name for name, each in ours.items() if each.__module__.startswith("jwt_upstream.")}


#: What handles no secret: it sets the client up.
SETS_UP = {"client: mount"}


@pytest.mark.slow
def test_no_operation_is_missing(site: Site) -> None:
    """Everything public is among the operations that the other tests break and interrupt."""
    missing = public()

    def follow(frame: FrameType, event: str, _: Any) -> None:
        missing.pop(frame.f_code, None)

    threading.setprofile(follow)
    for operation in OPERATIONS.values():
        site.reset()
        sys.setprofile(follow)
        with suppress(Exception):
            operation(site)
        sys.setprofile(None)
    threading.setprofile(None)
    assert set(missing.values()) - SETS_UP == set()


def interruptions(site: Site, operation: str, number: int) -> Iterator[tuple[str, BaseException]]:
    """Interrupt an operation at so many places, and yield each with the error."""
    passed = places(lambda: OPERATIONS[operation](site))
    for place in passed[:: max(len(passed) // number, 1)]:
        site.reset()
        if error := interrupted(lambda: OPERATIONS[operation](site), place):
            yield f"{place}", error


def check_interruptions(site: Site, operation: str, number: int) -> None:
    seen = [(place, shown(error)) for place, error in interruptions(site, operation, number)]
    gc.collect()
    assert seen
    assert [each for each in seen if each[1]] == []


# A connection that was interrupted as it was made is closed by the garbage collector, with a warning.
unclosed = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("operation", [pytest.param(name, marks=unclosed) for name in USUAL[1:2]])
def test_interruptions(site: Site, operation: str) -> None:
    """A signal that interrupts the package anywhere, and ends the process with a traceback, shows no secret."""
    check_interruptions(site, operation, 5)


@pytest.mark.slow
@pytest.mark.parametrize("operation", [pytest.param(name, marks=unclosed) for name in OPERATIONS])
def test_many_interruptions(site: Site, operation: str) -> None:
    """Nor does one that interrupts anything else."""
    check_interruptions(site, operation, 8)


def test_cancellation(site: Site) -> None:
    """The traceback of an awaited call that is cancelled, as it refreshes, shows no secret."""
    site.server.expire()
    site.server.answers["/token"] = lambda _: Answer(200, site.issue(), delay=0.1)

    async def call() -> None:
        async with asyncio.timeout(0.02):
            await UpstreamClient("up").aget("orders/")

    with pytest.raises(TimeoutError) as caught:
        async_to_sync(call)()
    assert shown(caught.value) == []
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


# -- real tools


def broken() -> None:
    password, pair = GIVEN.password, {"refresh": GIVEN.refresh}
    raise RuntimeError(len(password), len(pair))


# better-exceptions 0.3.3 shows none from Python 3.13 on.
SHOW_NONE = {"celery", "pickle", *(["better_exceptions"] if sys.version_info >= (3, 13) else [])}


@pytest.mark.parametrize("name", [name for name in REPORTERS if name not in SHOW_NONE])
def test_tool_that_shows_variables(name: str) -> None:
    """The tools do show the variables of whoever takes no care; otherwise the other tests would show nothing."""
    with pytest.raises(RuntimeError) as caught:
        broken()
    assert found(REPORTERS[name](caught.value))


@pytest.fixture
def hidden_settings(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What docs/explanation/security.rst says of Django's own pages, which list all settings."""
    (tmp_path / "upstreams_are_hidden.py").write_text(next(blocks("explanation/security.rst", "python")))
    monkeypatch.syspath_prepend(tmp_path)
    settings.DEFAULT_EXCEPTION_REPORTER_FILTER = "upstreams_are_hidden.UpstreamsAreHidden"
    forget = get_default_exception_reporter_filter.cache_clear  # type: ignore[attr-defined]  # django-stubs has no cache
    forget()
    yield
    forget()


def check_reports(site: Site, fault: str, operations: list[str]) -> None:
    for operation, error in errors(site, fault, operations):
        for name, reporter in REPORTERS.items():
            assert (operation, name, found(reporter(error))) == (operation, name, [])


@pytest.mark.usefixtures("hidden_settings")
@pytest.mark.parametrize(
    ("fault", "operation"),
    [("bug in login_body", "login"), ("no such option", "get_backend"), ("500", "a pair of spoilt tokens")],
)
def test_reports(site: Site, fault: str, operation: str) -> None:
    """No tool shows a secret of a bug, of settings or of values that are wrong."""
    check_reports(site, fault, [operation])


@pytest.mark.slow
@pytest.mark.usefixtures("hidden_settings")
@pytest.mark.parametrize("fault", FAULTS)
def test_many_reports(site: Site, fault: str) -> None:
    """No tool shows a secret, whatever fails."""
    check_reports(site, fault, USUAL)


# -- tools that listen all the time


class Heard(Transport):
    """Keeps what Sentry would send."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.events += [str(item.payload.json) for item in envelope.items]


@pytest.fixture
def sentry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """Sentry as in production: it follows what http.client sends and what is logged."""
    replaced = [(HTTPConnection, "putrequest"), (HTTPConnection, "getresponse"), (logging.Logger, "callHandlers")]
    for owner, name in replaced:
        monkeypatch.setattr(owner, name, getattr(owner, name))  # to be restored
    for name in ("_processed_integrations", "_installed_integrations"):
        monkeypatch.setattr(integrations, name, set())
    heard = Heard()
    sentry_sdk.init(
        "https://key@sentry.invalid/1",
        transport=heard,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[StdlibIntegration(), LoggingIntegration(logging.DEBUG, logging.WARNING)],
        send_default_pii=True,
        traces_sample_rate=1.0,
    )
    yield heard
    # init() without arguments would patch Django, for all tests that follow.
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """The spans of OpenTelemetry's instrumentation of requests."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    RequestsInstrumentor().instrument(tracer_provider=provider)
    yield exporter
    RequestsInstrumentor().uninstrument()


def listen(site: Site, fault: str) -> None:
    """Log in, call and refresh, within a trace of Sentry that ends with the error."""
    with sentry_sdk.start_transaction(name=fault):
        for _, error in errors(site, fault, ["login", "call", "call with refresh"]):
            sentry_sdk.capture_exception(error)


#: Its successor is in few versions.
OLD_NAME = "ignore:The send_default_pii:DeprecationWarning"


@pytest.mark.filterwarnings(OLD_NAME)
@pytest.mark.parametrize("fault", ["401 locked", "500", "nobody listens", "bug in token_pair"])
def test_listeners(
    site: Site, sentry: Heard, spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """Neither Sentry's events, breadcrumbs and spans, nor OpenTelemetry's, nor urllib3's log have a secret."""
    caplog.set_level(logging.DEBUG)
    listen(site, fault)
    finished = [span.to_json() for span in spans.get_finished_spans()]
    for heard in (sentry.events, finished, [caplog.text]):
        assert heard
        assert found("\n".join(heard)) == []
    assert "http.query" in "".join(sentry.events)


@pytest.mark.filterwarnings(OLD_NAME)
def test_key_of_firebase(caplog: pytest.LogCaptureFixture, spans: InMemorySpanExporter, sentry: Heard) -> None:
    """The key that Google would take in the query as well is in no URL that is logged."""
    caplog.set_level(logging.DEBUG)
    with Upstream() as server, sentry_sdk.start_transaction(name="firebase"):
        server.answers.update({"/login": Answer(400, {}), "/refresh": Answer(400, {})})
        paths = {"login_path": "/login", "refresh_path": "/refresh"}
        backend = FirebaseBackend("fire", server.url, api_key="AIza-our-key", **paths)
        backend.login({"username": GIVEN.username, "password": GIVEN.password})
        backend.refresh(TokenPair("a", "r"))
    assert [seen.headers["X-Goog-Api-Key"] for seen in server.seen] == ["AIza-our-key"] * 2
    heard = [caplog.text, *sentry.events, *(span.to_json() for span in spans.get_finished_spans())]
    assert "/refresh" in heard[0]
    assert not any("AIza-our-key" in each for each in heard)


#: What some servers want: everything in the query.
QUERIES: dict[str, Any] = {
    "login_method": "GET",
    "refresh_method": "GET",
    "api_query": {"token": "{access}"},
    "api_headers": {},
    "retries": 1,
}


@pytest.mark.filterwarnings(OLD_NAME)
def test_secrets_in_queries(
    site: Site, settings: Any, caplog: pytest.LogCaptureFixture, spans: InMemorySpanExporter, sentry: Heard
) -> None:
    """What a server wants in the query of token requests and calls reaches it, and nobody who listens."""
    caplog.set_level(logging.DEBUG)
    server, client, texts = site.server, UpstreamClient("up"), list[str]()
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": server.url, "OPTIONS": QUERIES}}
    server.answers.update({"/login": Answer(404, {}), "/refresh": Answer(503, {}), "/orders/": Answer(401, {})})
    with sentry_sdk.start_transaction(name="queries"):
        for call in (
            lambda: client.login(username=GIVEN.username, password=GIVEN.password),
            lambda: client.adopt(TokenPair(GIVEN.access[0], GIVEN.refresh[0])),
            lambda: client.get("orders/"),
            lambda: server.__exit__(),
            lambda: client.get("orders/"),
        ):
            try:
                call()
            except RequestException as error:
                sentry_sdk.capture_exception(error)
                texts += [text for _, text in everything(error)]
    asked = {seen.route: seen.path for seen in server.seen}
    assert (GIVEN.access[0] in asked["/orders/"], GIVEN.refresh[0] in asked["/refresh"]) == (True, True)
    assert "password=" in asked["/login"]
    finished = [str(span.to_json()) for span in spans.get_finished_spans()]
    assert all(["/refresh" in caplog.text, sentry.events, finished, len(texts) > 10])
    assert found("\n".join([caplog.text, *sentry.events, *finished, *texts])) == []
