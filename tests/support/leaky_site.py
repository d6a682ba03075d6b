"""An upstream that quotes what it is sent, everything that can be done with it, and everything that can go wrong."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock
from urllib.parse import urlencode

import jwt
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.handlers.wsgi import WSGIRequest
from django.core.management import call_command
from django.db import OperationalError, ProgrammingError, connection
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import resolve, reverse
from requests import PreparedRequest

from jwt_upstream.backends import AuthorizationRequest, Backend, get_backend
from jwt_upstream.background import refresh_due
from jwt_upstream.client import UpstreamClient
from jwt_upstream.clock import host_now
from jwt_upstream.fields import Encrypted
from jwt_upstream.login import BrowserLogin, begin_device_login
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.support.callers import CALLERS
from tests.support.device import CODES, Time
from tests.support.signatures import pem, private_key
from tests.support.upstream import Answer, Seen, Upstream

BACKEND = f"{__name__}.LeakyBackend"


class Given:
    """The secrets in play; no variable of a test holds one of them, since reports show the test's variables too."""

    __slots__ = ()
    username = "bob@example.com"
    password = 'hun+er2 "Zebra" / <ä>'
    client_secret = "squid&Ink=77 %"
    key = "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBieXRlcyE="
    device_code = "dev-Kk+77 /zz"
    code, state, code_verifier = "c0d-Kk+77 /zz", "st4-Kk+77 /zz", "ver-Kk+77 /zz"
    signing_key = pem("ES256")
    encrypted_key = pem("ES256", passphrase="pass-Word 9/ö")
    #: What every JWT begins with that is signed with the key.
    signed = jwt.encode({}, private_key("ES256"), "ES256", {"kid": "k-1"}).partition(".")[0]
    access = [f"acc-{number}-Qq~9" for number in range(12)]
    refresh = [f"eyJref{number}.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{'s' * 30}" for number in range(12)]
    #: What ``upstream_login --tokens-stdin`` reads.
    tokens = json.dumps({"access": access[0], "refresh": refresh[0]})
    spoilt_tokens = json.dumps({"access": f"{access[0]}\n{refresh[0]}", "refresh": refresh[0]})

    def __repr__(self) -> str:
        return "<Given>"

    @property
    def codes(self) -> list[str]:
        return [self.device_code, self.code, self.state, self.code_verifier]

    @property
    def secrets(self) -> list[str]:
        plain = [self.password, self.client_secret, self.key, *self.codes, self.signed]
        keys = [self.signing_key.splitlines()[1], self.encrypted_key.splitlines()[2]]
        return [*plain, *keys, *self.access, *self.refresh]


GIVEN = Given()


class LeakyBackend(Backend):
    """A project's own: OAuth's fields, every secret in the body and the client's in a header as well."""

    login_path = "token"
    refresh_path = "token"
    login_fields = {"grant_type": "password", "username": "{username}", "password": "{password}"}
    refresh_fields = {"grant_type": "refresh_token", "refresh": "{refresh}", "access": "{access}"}
    revoke_path = "revoke"
    test_path = "orders/"
    device_path = "device"
    authorize_path = "authorize"
    revoke_fields = {"token": "{token}", "refresh": "{refresh}", "access": "{access}"}
    login_headers = {"X-Proof": "JWT {assertion}"}
    refresh_headers = {"X-Proof": "JWT {assertion}"}
    client_authentication = "basic"
    api_headers = {"Authorization": "Bearer {access}", "X-Client": "{client_id}"}


class _Bug(LeakyBackend):
    """Has a bug in the method that its subclass names."""


def _broken(name: str) -> type[Backend]:
    def method(self: Backend, *args: Any, **kwargs: Any) -> Any:
        given = (args, kwargs)
        raise RuntimeError(f"a bug in {name}", len(given))

    return type(f"Breaks{name.title().replace('_', '')}", (_Bug,), {name: method, "__module__": __name__})


#: The methods that a project's own backend may override.
METHODS = [
    "login",
    "login_body",
    "login_request",
    "refresh",
    "refresh_body",
    "refresh_request",
    "revoke",
    "revoke_body",
    "revoke_request",
    "device_request",
    "device_login_request",
    "authorization_request",
    "authorization_response",
    "authorize",
    "token_pair",
    "assertion",
    "claims",
    "signed",
    "verdict",
    "reason",
    "outcome",
    "check",
    "url",
]
for _name in METHODS:
    globals()[_broken(_name).__name__] = _broken(_name)


def quoting(status: int, error: str) -> Callable[[Seen], Answer]:
    """Answer with an error that quotes the request, as it came and decoded."""

    def answer(seen: Seen) -> Answer:
        quoted = f"{seen.body.decode()} {seen.headers.get('Authorization')} {seen.headers.get('X-Proof')}"
        return Answer(status, {"error": error, "error_description": quoted, "message": quoted}, {"X-Quoted": quoted})

    return answer


class Site:
    """The upstream with its settings, logged in."""

    def __init__(self, server: Upstream, settings: Any) -> None:
        self.server, self.settings = server, settings
        self._number = 0
        server.issue = self.issue  # type: ignore[method-assign]
        self.reset()

    def reset(self) -> None:
        """Have good settings, answer well, and be logged in with a new pair."""
        self.settings.JWT_UPSTREAM_WAIT_SECONDS = self.settings.JWT_UPSTREAM_SETTLE_SECONDS = 0.2
        self.settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [GIVEN.key]
        self.configure()
        self.server.answers.clear()
        self.server.answers["/token"] = lambda _: Answer(200, self.issue())
        self.server.answers["/orders/"] = self._orders
        self.server.answers["/revoke"] = Answer(200, {})
        self.server.answers["/device"] = Answer(200, {**CODES, "device_code": GIVEN.device_code, "expires_in": 20})
        Credential.objects.all().delete()
        UpstreamClient("up").adopt(TokenPair(*self._pair()))

    def configure(self, **changes: Any) -> None:
        options = {"client_id": "us", "client_secret": GIVEN.client_secret, "signing_key": GIVEN.signing_key}
        options |= {"key_id": "k-1", **changes.pop("options", {})}
        written = {"BACKEND": BACKEND, "BASE_URL": self.server.url, "OPTIONS": options, **changes}
        self.settings.JWT_UPSTREAM = {"up": written, "drive": written}
        if isinstance(written["OPTIONS"], dict):
            code = {"code": "{code}", "verifier": "{code_verifier}"}
            self.settings.JWT_UPSTREAM["drive"] = {**written, "OPTIONS": {"login_fields": code, **written["OPTIONS"]}}

    def _orders(self, seen: Seen) -> Answer:
        return Answer(200 if seen.token in self.server.access else 401, [1, 2])

    def issue(self) -> dict[str, Any]:
        access, refresh = self._pair()
        return {"access_token": access, "refresh_token": refresh, "expires_in": 3600}

    def _pair(self) -> tuple[str, str]:
        self._number = (self._number + 1) % len(GIVEN.access)
        access, refresh = GIVEN.access[self._number], GIVEN.refresh[self._number]
        self.server.access, self.server.refresh = {access}, refresh
        return access, refresh


# -- everything that can be done


def _command(name: str, *args: str, stdin: Callable[[], str] = lambda: "", **options: Any) -> None:
    with mock.patch.object(sys, "stdin", io.StringIO(stdin())):
        out = io.StringIO()
        call_command(name, *args, stdout=out, stderr=out, **options)


def _log_in(site: Site) -> None:
    UpstreamClient("up").login(username=GIVEN.username, password=GIVEN.password)


def _call(site: Site) -> None:
    UpstreamClient("up").get("orders/")


def _call_with_refresh(site: Site) -> None:
    site.server.expire()
    UpstreamClient("up").post("orders/", json={"a": 1})


def _stream(site: Site) -> None:
    with UpstreamClient("up").get("orders/", stream=True) as response:
        for _ in response.iter_content(10):
            pass


def _await(site: Site) -> None:
    site.server.expire()
    async_to_sync(UpstreamClient("up").aget)("orders/")


def _over_httpx(caller: str) -> Callable[[Site], None]:
    def call(site: Site) -> None:
        site.server.expire()
        CALLERS[caller]("POST", "orders/", json={})

    return call


def _adopt(site: Site) -> None:
    UpstreamClient("up").adopt(TokenPair(GIVEN.access[0], GIVEN.refresh[0]))


def _begun() -> BrowserLogin:
    request = AuthorizationRequest("", "https://us.example.com/", GIVEN.state, GIVEN.code_verifier)
    return BrowserLogin("drive", "default", request, host_now())


def _redirected() -> str:
    return f"/?{urlencode({'code': GIVEN.code, 'state': GIVEN.state})}"


def _browser_login(site: Site) -> None:
    BrowserLogin.begin("drive", "default", "https://us.example.com/")
    BrowserLogin.unseal(_begun().seal()).complete(_redirected())


def _browser_login_in_the_admin(site: Site) -> None:
    url = reverse("admin:jwt_upstream_logged_in", args=["drive"])
    # Not by Django's test client, whose own variables are what it sends.
    request = _of_root(RequestFactory().get(url + _redirected().removeprefix("/")))
    request.session = SessionStore()
    request.session["jwt_upstream_logins"] = {"drive": _begun().seal()}
    resolve(request.path_info).func(request, "drive")


def _of_root(request: WSGIRequest) -> WSGIRequest:
    request.user = User.objects.filter(username="root").first() or User.objects.create_superuser("root")
    request.session = {}  # type: ignore[assignment]  # no more is needed to keep a message
    request._messages = CookieStorage(request)  # type: ignore[attr-defined]
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    return request


def _device_login(site: Site) -> None:
    time = Time()
    begin_device_login("up", "default", now=time.now).wait(time.sleep)


def _due(site: Site) -> None:
    refresh_due(ahead=1e6)


def _operate(action: str) -> Callable[[Site], None]:
    def act(site: Site) -> None:
        browser = Browser()
        browser.force_login(User.objects.filter(username="root").first() or User.objects.create_superuser("root"))
        data = {"action": action, "_selected_action": [Credential.objects.get().pk], "confirmed": "yes"}
        browser.post("/admin/jwt_upstream/credential/", data)

    return act


def _visit(url: str) -> Callable[[Site], None]:
    def act(site: Site) -> None:
        browser = Browser()
        browser.force_login(User.objects.filter(username="root").first() or User.objects.create_superuser("root"))
        browser.get(url)

    return act


def _fill_in(page: str, values: Callable[[], dict[str, str]]) -> Callable[[Site], None]:
    def send(site: Site) -> None:
        # Not by Django's test client, whose own variables are what it sends.
        url = reverse(f"admin:jwt_upstream_{page}", query={"upstream": "up", "account": "default"})
        request = _of_root(RequestFactory().post(url, values()))
        response = resolve(request.path_info).func(request)
        response.render() if hasattr(response, "render") else None

    return send


def _password() -> dict[str, str]:
    return {"login_username": GIVEN.username, "login_password": GIVEN.password}


def _tokens() -> dict[str, str]:
    return {"access_token": GIVEN.access[0], "refresh_token": GIVEN.refresh[0]}


OPERATIONS: dict[str, Callable[[Site], object]] = {
    "login": _log_in,
    "call": _call,
    "call with refresh": _call_with_refresh,
    "streamed call": _stream,
    "awaited call": _await,
    "call over httpx": _over_httpx("httpx2, transport"),
    "awaited call over httpx": _over_httpx("AsyncUpstreamClient"),
    "call by an auth": _over_httpx("httpx2, auth"),
    "refresh": lambda _: UpstreamClient("up").refresh(),
    "adopt": _adopt,
    "device login": _device_login,
    "browser login": _browser_login,
    "logout": lambda _: UpstreamClient("up").logout(),
    "background refresh": _due,
    "admin: try again": _operate("try_again"),
    "admin: log out": _operate("log_out"),
    "admin: log in": _fill_in("log_in", _password),
    "admin: browser login": _browser_login_in_the_admin,
    "admin: adopt tokens": _fill_in("adopt", _tokens),
    "admin: mark as rejected": _fill_in("mark_rejected", lambda: {"reason": "stolen"}),
    "admin: test": _fill_in("test", dict),
    "admin: upstreams": _visit("/admin/jwt_upstream/credential/upstreams/"),
    "upstream_login": lambda _: _command(
        "upstream_login", "up", username=GIVEN.username, password_stdin=True, stdin=lambda: GIVEN.password
    ),
    "upstream_login --tokens-stdin": lambda _: _command(
        "upstream_login", "up", tokens_stdin=True, stdin=lambda: GIVEN.tokens
    ),
    "upstream_login of spoilt tokens": lambda _: _command(
        "upstream_login", "up", tokens_stdin=True, stdin=lambda: GIVEN.spoilt_tokens
    ),
    "upstream_refresh": lambda _: _command("upstream_refresh", ahead=1e6),
    "upstream_status": lambda _: _command("upstream_status"),
    "upstream_logout": lambda _: _command("upstream_logout", "up", yes=True),
    "upstream_try_again": lambda _: _command("upstream_try_again", "up"),
    "upstream_request": lambda _: _command("upstream_request", "up", "GET", "orders/"),
    "upstream_probe": lambda _: _command("upstream_probe", "up"),
    "upstream_probe --login": lambda _: _command(
        "upstream_probe",
        "up",
        login=True,
        username=GIVEN.username,
        password_stdin=True,
        store=True,
        stdin=lambda: GIVEN.password,
    ),
    "upstream_probe --refresh": lambda _: _command("upstream_probe", "up", refresh=True),
    "upstream_probe --api": lambda _: _command("upstream_probe", "up", api="orders/"),
    "get_backend": lambda _: get_backend("up"),
    "check": lambda _: _command("check", deploy=True),
    "backend's login": lambda _: get_backend("up").login({"username": GIVEN.username, "password": GIVEN.password}),
    "backend's login without a name": lambda _: get_backend("up").login({"password": GIVEN.password}),
    "backend's revocation": lambda _: get_backend("up").revoke(TokenPair(GIVEN.access[0], GIVEN.refresh[0])),
    "backend's refresh": lambda _: get_backend("up").refresh(TokenPair(GIVEN.access[0], GIVEN.refresh[0])),
    "a pair of spoilt tokens": lambda _: TokenPair(f"{GIVEN.access[0]}\n", f"{GIVEN.refresh[0]}\n{GIVEN.access[0]}"),
    "encryption": lambda _: Encrypted.seal(GIVEN.password).open(),
}

# -- everything that can go wrong

Fault = Callable[[Site], Any]


def _answering(answer: Answer | Callable[[Seen], Answer], **answers: Any) -> Fault:
    def fault(site: Site) -> Any:
        site.server.answers.update({"/token": answer, "/orders/": answer, "/revoke": answer})
        return nullcontext()

    return fault


def _configured(**changes: Any) -> Fault:
    def fault(site: Site) -> Any:
        site.configure(**changes)
        return nullcontext()

    return fault


def _keys(*keys: str) -> Fault:
    def fault(site: Site) -> Any:
        site.settings.JWT_UPSTREAM_ENCRYPTION_KEYS = list(keys)
        return nullcontext()

    return fault


def _database(error: type[Exception], words: tuple[str, ...]) -> Fault:
    @contextmanager
    def fault(site: Site) -> Iterator[None]:
        def refuse(execute: Any, sql: str, params: Any, many: bool, context: Mapping[str, Any]) -> Any:
            if sql.startswith(words) and "jwt_upstream" in sql:
                raise error("the database says no")
            return execute(sql, params, many, context)

        with connection.execute_wrapper(refuse):
            yield

    return fault


def _timeout(site: Site) -> Any:
    site.configure(options={"timeout": 0.03, "deadline": 0.03})
    slow = Answer(200, {}, delay=0.06)
    site.server.answers.update({"/token": slow, "/orders/": slow, "/revoke": slow})
    return nullcontext()


def _no_codes(site: Site) -> Any:
    site.server.answers["/device"] = quoting(400, "unauthorized_client")
    return nullcontext()


def _refused_keys(site: Site) -> Any:
    site.configure(options={"signing_key": [GIVEN.signing_key, lambda: GIVEN.signing_key]})
    return _answering(quoting(401, "invalid_client"))(site)


def _spoilt(request: PreparedRequest) -> None:
    raise AssertionError


FAULTS: dict[str, Fault] = {
    "nobody listens": _configured(BASE_URL="http://127.0.0.1:1/"),
    "timeout": _timeout,
    "500": _answering(quoting(500, "server_error")),
    "400 invalid_grant": _answering(quoting(400, "invalid_grant")),
    "401 invalid_client": _answering(quoting(401, "invalid_client")),
    "no codes for a device login": _no_codes,
    "401 locked": _answering(lambda _: Answer(401, {"message": "Account is disabled."})),
    "not JSON": _answering(lambda seen: Answer(200, b'{"access_token": ' + seen.body)),
    "wrong types": _answering(lambda seen: Answer(200, {"access_token": [seen.body.decode()], "refresh_token": {}})),
    "token with a line break": _answering(lambda seen: Answer(200, {"access_token": f"a\n{GIVEN.access[0]}"})),
    "no such option": _configured(options={"client_secrte": GIVEN.client_secret}),
    "option of a wrong type": _configured(options={"client_secret": [GIVEN.client_secret]}),
    "signing key of a wrong type": _configured(options={"signing_key": {"pem": GIVEN.signing_key}}),
    "signing key that is encrypted": _configured(options={"signing_key": GIVEN.encrypted_key}),
    "signing key that is damaged": _configured(options={"signing_key": lambda: GIVEN.signing_key[:-60]}),
    "signing key of another algorithm": _configured(options={"signing_algorithm": "RS256"}),
    "signing keys that are refused": _refused_keys,
    "header that can't be sent": _configured(options={"headers": {"X-Key": f"{GIVEN.client_secret}\n"}}),
    "no such backend": _configured(BACKEND="jwt_upstream.backends.NoBackend"),
    "backend that is none": _configured(BACKEND="django.utils.timezone.now"),
    "bad URL": _configured(BASE_URL=f"http://us:{GIVEN.password}@[/"),
    "LOGIN that does not fit": _configured(LOGIN={"pin": GIVEN.password}),
    "settings that are a list": _configured(OPTIONS=[GIVEN.client_secret]),
    "certificate that is missing": _configured(BASE_URL="https://127.0.0.1:1/", options={"verify": "/no/such.pem"}),
    "wrong encryption key": _keys("YW5vdGhlciBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE="),
    "bad encryption key": _keys(f"{GIVEN.key}x", GIVEN.key),
    "database that is away": _database(OperationalError, ("SELECT", "UPDATE", "INSERT")),
    "database that can't be written": _database(OperationalError, ("UPDATE", "INSERT")),
    "table that is missing": _database(ProgrammingError, ("UPDATE", "INSERT")),
    **{f"bug in {name}": _configured(BACKEND=f"{__name__}.{_broken(name).__name__}") for name in METHODS},
}
