"""No token, password, client secret or key in anything that a person or a log may see."""

from __future__ import annotations

import io
import logging
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError, call_command
from django.dispatch import Signal
from django.test import Client as Browser
from django.views.debug import ExceptionReporter
from rich.console import Console
from rich.traceback import Traceback
from sentry_sdk.consts import DEFAULT_OPTIONS
from sentry_sdk.utils import event_from_exception

from jwt_upstream import backends, signals
from jwt_upstream.backends import AuthorizationRequest, get_backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.clock import host_now
from jwt_upstream.exceptions import UpstreamError, UpstreamNotConfigured
from jwt_upstream.login import BrowserLogin
from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.tokens import TokenPair
from tests.support.device import CODES
from tests.support.rows import unbind
from tests.support.signatures import google_key_file, pem, private_key
from tests.support.upstream import Answer, Seen, Upstream

PASSWORD = "hunter2-Zebra"
CLIENT_SECRET = "squid-Ink-77"
KEY = "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBieXRlcyE="
#: Long ones look like tokens; short ones are only known to be secret.
ACCESS = [f"acc-{number}-Qq" for number in range(10)]
REFRESH = [f"eyJref{number}.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{'s' * 30}" for number in range(10)]
DEVICE_CODE = "kraken-Code-9"
CODE, STATE, VERIFIER = "walrus-Code-9", "walrus-State-9", "walrus-Verifier-9"
#: The lines of a private key, and what each JWT that it signs begins with.
SIGNING_KEY = [line for line in pem().splitlines() if "-----" not in line]
SIGNED = jwt.encode({}, private_key("RS256"), "RS256", {"kid": "k-1"}).partition(".")[0]
SECRETS = [PASSWORD, CLIENT_SECRET, KEY, DEVICE_CODE, CODE, STATE, VERIFIER, SIGNED, *SIGNING_KEY, *ACCESS, *REFRESH]


class Texts(list[str]):
    """What was shown so far; reports of errors, which show variables, don't show all of it again."""

    def __repr__(self) -> str:
        return f"<{len(self)} texts>"


@pytest.fixture
def shown(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Collects what is shown; at the end everything is searched."""
    texts = Texts()

    def receive(sender: Any, signal: Any, **arguments: Any) -> None:
        texts.append(repr(arguments) + str(arguments) + repr(pickle.dumps(arguments)))

    every = [signal for signal in vars(signals).values() if isinstance(signal, Signal)]
    for signal in every:
        signal.connect(receive)
    caplog.set_level(logging.DEBUG)
    yield texts
    for signal in every:
        signal.disconnect(receive)
    texts += [caplog.text, *(str(message.message()) for message in mail.outbox)]
    text = "\n".join(texts)
    assert len(text) > 1000
    assert [secret for secret in SECRETS if secret in text] == []


@pytest.fixture
def leaky(upstream: Upstream, settings: Any, transactional_db: None) -> Upstream:
    """An upstream which echoes every secret that it is sent in its error messages."""
    pairs = iter(zip(ACCESS, REFRESH, strict=True))

    def issue() -> dict[str, Any]:
        access, refresh = next(pairs)
        upstream.access, upstream.refresh = {access}, refresh
        return {"access_token": access, "refresh_token": refresh}

    upstream.issue = issue  # type: ignore[method-assign]
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [KEY]
    settings.JWT_UPSTREAM["up"] = {
        "BACKEND": "jwt_upstream.backends.OAuth2Backend",
        "BASE_URL": upstream.url,
        "OPTIONS": {"client_id": "us", "client_secret": CLIENT_SECRET, "client_authentication": "post"},
    }
    upstream.answers["/token"] = lambda _: Answer(200, issue())
    return upstream


def echo(status: int, error: str) -> Callable[[Seen], Answer]:
    """Answer with an error that quotes the request."""

    def answer(seen: Seen) -> Answer:
        quoted = f"{seen.body.decode()} {seen.headers.get('Authorization')} {seen.headers.get('apikey')}"
        return Answer(status, {"error": error, "error_description": quoted}, {"WWW-Authenticate": f"Bearer {quoted}"})

    return answer


def without_own(frame: dict[str, Any]) -> bool:
    """Tell whether a frame is not this test's, which has the secrets itself."""
    return frame["module"] != __name__ and "tests/" not in frame["abs_path"]


def by_sentry(error: BaseException) -> list[str]:
    """Return what Sentry would send of an error: it expands local variables that are mappings and sequences."""
    event, _ = event_from_exception(error, client_options={**DEFAULT_OPTIONS, "include_local_variables": True})
    traces = [value.get("stacktrace") or {"frames": []} for value in event["exception"]["values"]]
    frames = [frame for trace in traces for frame in trace["frames"]]
    return [str(frame["vars"]) for frame in filter(without_own, frames)]


def by_rich(error: BaseException) -> str:
    """Return what rich prints of an error: it expands dataclasses and containers of its own choice as well."""
    trace = Traceback.extract(type(error), error, error.__traceback__, show_locals=True, locals_max_string=10_000)
    for stack in trace.stacks:
        stack.frames = [frame for frame in stack.frames if "tests/" not in frame.filename]
        for frame in stack.frames:
            # Then its lines, which hold no secret, are left out: to colour them takes most of the time.
            frame.filename = f"<{frame.filename}>"
    console = Console(file=io.StringIO(), width=200, record=True)
    console.print(Traceback(trace, show_locals=True, locals_max_string=10_000, width=200))
    return console.export_text()


def report(error: BaseException, shown: list[str]) -> None:
    """Show an error in every way that a project might; the answer of the upstream itself is its own."""
    error.response = None  # type: ignore[attr-defined]
    shown += [str(error), repr(error), repr(vars(error)), repr(pickle.dumps(error))]
    traced = traceback.TracebackException.from_exception(error, capture_locals=True)
    shown += [*traced.format(), *by_sentry(error), by_rich(error)]
    reporter = ExceptionReporter(None, type(error), error, error.__traceback__)
    shown += [reporter.get_traceback_html(), reporter.get_traceback_text()]


def failing(call: Callable[[], Any], shown: list[str]) -> None:
    try:
        call()
    except (UpstreamError, requests.RequestException, CommandError, TypeError) as error:
        report(error, shown)
    else:
        pytest.fail("no error")


def log_in() -> UpstreamClient:
    client = UpstreamClient("up")
    client.login(username="bob", password=PASSWORD)
    return client


def show_rows(shown: list[str]) -> None:
    for model in (Credential, Event, Incident):
        for row in model._default_manager.all():
            shown += [repr(row), str(row), repr(vars(row)), repr(pickle.dumps(row))]


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, "invalid_grant"), (401, "invalid_client"), (503, "server_error"), (400, "invalid_grant")],
)
def test_refresh_that_fails(leaky: Upstream, shown: list[str], status: int, error: str) -> None:
    """A refresh that fails, with the upstream quoting what it was sent, shows nothing anywhere."""
    client = log_in()
    leaky.expire()
    leaky.answers["/token"] = echo(status, error)
    for _ in range(2):
        failing(lambda: client.get("orders/"), shown)
    show_rows(shown)


def test_locked(leaky: Upstream, shown: list[str], settings: Any) -> None:
    """The error of a locked account shows nothing, where the upstream quotes the access token."""
    options = {
        "locked_statuses": [423],
        "api_headers": {"Authorization": "Bearer {access}", "apikey": "{client_secret}"},
    }
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= options
    client = log_in()
    leaky.answers["/orders/"] = echo(423, "locked")
    failing(lambda: client.post("orders/", json={}), shown)
    show_rows(shown)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 503])
def test_login_that_fails(leaky: Upstream, shown: list[str], status: int) -> None:
    """A login that fails shows nothing of what it sent."""
    leaky.answers["/token"] = echo(status, "invalid_grant")
    failing(log_in, shown)
    failing(lambda: UpstreamClient("up").login(password=PASSWORD), shown)


#: By name, since reports show the variables of a test.
REDIRECTS = {
    "refused code": f"code={CODE}&state={STATE}",
    "other state": f"code={CODE}&state=other",
    "other issuer": f"code={CODE}&state={STATE}&iss={CODE}",
    "error that quotes": f"code={CODE}&error={CODE}&error_description={VERIFIER}+{STATE}+{CODE}&state={STATE}",
}


@pytest.mark.parametrize("redirect", REDIRECTS)
def test_browser_login_that_fails(leaky: Upstream, shown: list[str], settings: Any, redirect: str) -> None:
    """The code, state and verifier of a login by a browser are shown by nothing, where the upstream quotes them."""
    code = {"grant_type": "authorization_code", "authorize_path": "authorize"}
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= code
    leaky.answers["/token"] = echo(400, "invalid_grant")
    request = AuthorizationRequest("", "https://us.example.com/", STATE, VERIFIER)
    begun = BrowserLogin("up", "default", request, host_now())
    response = get_backend("up").authorization_response(request, REDIRECTS[redirect])
    shown += [repr(begun), repr(request), repr(response), begun.seal(), str(vars(begun)), " " * 1000]
    failing(lambda: begun.complete(f"/?{REDIRECTS[redirect]}"), shown)


@pytest.mark.parametrize(("status", "error"), [(400, "access_denied"), (400, "invalid_grant"), (200, "no_token")])
def test_device_login_that_fails(leaky: Upstream, shown: list[str], settings: Any, status: int, error: str) -> None:
    """The secret code of a device login is shown by nothing, where the upstream quotes it."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["device_path"] = "device"
    leaky.answers["/device"] = Answer(200, {**CODES, "device_code": DEVICE_CODE})
    leaky.answers["/token"] = echo(status, error)
    begun = UpstreamClient("up").begin_device_login()
    shown += [repr(begun), repr(vars(begun)), str(vars(begun)), " " * 1000]
    failing(begun.poll, shown)


@pytest.mark.parametrize(
    "kind",
    [
        "GoogleServiceAccountBackend",
        pytest.param("KeycloakBackend", marks=pytest.mark.slow),
        pytest.param("SelfSignedBackend", marks=pytest.mark.slow),
    ],
)
def test_signing_key(leaky: Upstream, shown: list[str], settings: Any, tmp_path: Path, kind: str) -> None:
    """A key, in settings or in a file, and what it signs are shown by nothing, where the upstream quotes the JWT."""
    (tmp_path / "key").write_text(google_key_file(private_key_id="k-1"))
    plain = {"key_id": "k-1", "client_id": "us", "grant_type": "client_credentials", "scope": "read", "realm": "r"}
    plain["client_authentication"] = "private_key_jwt" if kind == "KeycloakBackend" else "none"
    known = getattr(backends, kind).option_types()
    options: dict[str, Any] = {name: value for name, value in plain.items() if name in known}
    if kind == "GoogleServiceAccountBackend":
        del options["grant_type"]
    for key in (f"file:{tmp_path}/key", google_key_file(private_key_id="k-1"), [pem(passphrase="x"), "no key"]):
        settings.JWT_UPSTREAM["up"] = {
            "BACKEND": f"jwt_upstream.backends.{kind}",
            "BASE_URL": leaky.url,
            "OPTIONS": {**options, "login_path": "token", "signing_key": key},
        }
        for answer in (lambda _: Answer(200, leaky.issue()), echo(400, "invalid_grant")):
            leaky.answers["/token"] = answer
            use_signed(shown)


def use_signed(shown: list[str]) -> None:
    """Do with a service account what may fail, and show what comes of it."""
    Credential.objects.all().delete()
    for act in (lambda: UpstreamClient("up").get("orders/"), lambda: UpstreamClient("up").login()):
        try:
            act()
        except (UpstreamError, UpstreamNotConfigured) as error:
            report(error, shown)
    out = io.StringIO()
    for command in ("upstream_probe up", "upstream_probe up --login", "upstream_status", "check"):
        try:
            call_command(*command.split(), stdout=out, stderr=out)
        except (CommandError, SystemExit) as error:
            report(error, shown)
    shown += [out.getvalue()]
    show_rows(shown)


def test_network_that_fails(leaky: Upstream, shown: list[str], settings: Any) -> None:
    """A network that fails at login, call and refresh makes no error show what was to be sent."""
    client = log_in()
    client.get("orders/")
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://127.0.0.1:1/"
    failing(lambda: client.get("orders/"), shown)
    failing(client.refresh, shown)
    failing(log_in, shown)
    show_rows(shown)


def test_body_that_fails(leaky: Upstream, shown: list[str]) -> None:
    """A body that fails while it is sent shows no secret; the error is the caller's own, with its frames."""

    def body() -> Iterator[bytes]:
        yield b"one"
        raise KeyError("two")

    client = log_in()
    with pytest.raises(KeyError) as caught:
        client.post("orders/", data=body())
    report(caught.value, shown)
    assert "body" in [frame.name for frame in traceback.extract_tb(caught.tb)]


def test_error_while_another_is_handled(leaky: Upstream, settings: Any) -> None:
    """An error of the network leaves the traceback alone of the one that the caller is just handling."""
    client = log_in()
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://127.0.0.1:1/"
    unbind()
    with pytest.raises(requests.ConnectionError) as caught:
        try:
            raise KeyError("first")
        except KeyError:
            client.get("orders/")
    link: BaseException | None = caught.value
    while link and not isinstance(link, KeyError):
        link = link.__context__
    assert link is not None
    assert link.__traceback__ is not None


def test_wrong_key(leaky: Upstream, shown: list[str], settings: Any) -> None:
    """Tokens that no key opens are shown by nothing."""
    client = log_in()
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = ["YW5vdGhlciBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE="]
    failing(client.refresh, shown)
    show_rows(shown)


def test_values(leaky: Upstream, shown: list[str]) -> None:
    """The values that pass through a project's code show no secret."""
    client = log_in()
    pair = client.refresh()
    credential = Credential.objects.get()
    for value in (pair, client, client.backend, get_backend("up"), credential, credential.access_token, [pair]):
        shown += [repr(value), str(value)]
    shown += [repr(pickle.dumps(client)), repr(pickle.dumps(credential)), repr(vars(client))]
    response = client.get("orders/")
    shown += [repr(response), repr(dict(response.request.headers)), repr(vars(response.request))]
    with pytest.raises(TypeError, match="be pickled"):
        pickle.dumps(pair)
    with pytest.raises(ValueError, match="character") as caught:
        TokenPair(f"{REFRESH[0]}\n{ACCESS[0]}")
    shown += [str(caught.value)]


def probe(alias: str, shown: list[str], **options: Any) -> None:
    """Have an answer explained, whether it is a good one or not."""
    out = io.StringIO()
    try:
        call_command("upstream_probe", alias, stdout=out, stderr=out, **options)
    except CommandError as error:
        report(error, shown)
    shown.append(out.getvalue())


def test_commands(leaky: Upstream, shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands show no secret, whether they succeed or fail."""
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD))
    call_command("upstream_login", "up", username="bob", password_stdin=True, stdout=out, stderr=out)
    call_command("upstream_status", stdout=out)
    call_command("upstream_status", json=True, stdout=out)
    leaky.answers["/token"] = echo(401, "invalid_grant")
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD))
    arguments = {"username": "bob", "password_stdin": True, "stdout": out, "stderr": out}
    failing(lambda: call_command("upstream_login", "up", **arguments), shown)
    call_command("dumpdata", "jwt_upstream", stdout=out)
    probe("up", shown)
    probe("up", shown, refresh=True)
    probe("up", shown, api="orders/")
    monkeypatch.setenv("JWT_UPSTREAM_USERNAME", "bob")
    monkeypatch.setenv("JWT_UPSTREAM_PASSWORD", PASSWORD)
    probe("up", shown, login=True)
    leaky.answers["/token"] = lambda _: Answer(200, leaky.issue())
    probe("up", shown, login=True, json=True)
    probe("up", shown, login=True, store=True)
    leaky.answers["/orders/"] = echo(400, "no")
    probe("up", shown, api="orders/")
    leaky.answers["/orders/"] = echo(401, "no")
    probe("up", shown, api="orders/")
    leaky.answers["/token"] = echo(400, "invalid_grant")
    probe("up", shown, refresh=True)
    shown.append(out.getvalue())


def test_admin(leaky: Upstream, shown: list[str]) -> None:
    """The admin shows no secret on any of its pages."""
    log_in()
    leaky.expire()
    leaky.answers["/token"] = echo(400, "invalid_grant")
    failing(lambda: UpstreamClient("up").get("orders/"), shown)
    browser = Browser()
    browser.force_login(User.objects.create_superuser("root"))
    for path in ("credential/", f"credential/{Credential.objects.get().pk}/change/", "event/", "incident/"):
        page = browser.get(f"/admin/jwt_upstream/{path}")
        assert page.status_code == 200
        shown.append(page.content.decode())


def test_redirect_that_was_followed(leaky: Upstream, shown: list[str], settings: Any) -> None:
    """An answer that redirected doesn't keep, as ``next``, the request with the token."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["api_headers"] = {"X-Token": "{access}"}
    client = log_in()
    leaky.answers["/old/"] = Answer(302, None, {"Location": "/orders/"})
    for answer in client.get("old/").history:
        shown.append(f"{vars(answer)} {answer.next and vars(answer.next)}" + " " * 1000)
