"""Everything that can be done with the upstream of ``leaky_site``."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock
from urllib.parse import urlencode

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.handlers.wsgi import WSGIRequest
from django.core.management import call_command
from django.db import transaction
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import resolve, reverse

from jwt_upstream.backends import AuthorizationRequest, get_backend
from jwt_upstream.background import refresh_due
from jwt_upstream.client import UpstreamClient
from jwt_upstream.clock import host_now
from jwt_upstream.fields import Encrypted
from jwt_upstream.login import BrowserLogin, begin_device_login
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.support.callers import CALLERS
from tests.support.device import Time
from tests.support.leaky_site import GIVEN, Site


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


def _register(site: Site) -> None:
    UpstreamClient.register(
        "shop", "acme", parameters={"region": "eu"}, secrets={"client_secret": GIVEN.client_secret}
    )


def _hand_out(site: Site) -> None:
    client = UpstreamClient("up")
    site.server.expire()
    client.refused(client.token())


async def _ahand_out() -> None:
    client = UpstreamClient("up")
    await client.arefused(await client.atoken())


def _move() -> None:
    """Have the tokens be those of another origin."""
    with transaction.atomic():  # which can be rolled back, if the fault is one of the database
        Credential.objects.update(obtained_for={"origin": "https://old.example.com", "client": "us"})


def _call_after_a_move(site: Site) -> None:
    _move()
    _call(site)


def _command_after_a_move(name: str, *args: str) -> Callable[[Site], None]:
    def run(site: Site) -> None:
        _move()
        _command(name, *args)

    return run


def _rebind_in_the_admin(site: Site) -> None:
    _move()
    browser = Browser()
    browser.force_login(User.objects.filter(username="root").first() or User.objects.create_superuser("root"))
    data = {"action": "rebind", "_selected_action": [Credential.objects.get().pk]}
    page = browser.post("/admin/jwt_upstream/credential/", data)
    browser.post("/admin/jwt_upstream/credential/", {**data, "confirmed": (page.context or {}).get("shown", "")})


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
    request.session["jwt_upstream_browser_logins"] = {"drive": [_begun().seal()]}
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


def _look_at_a_credential(site: Site) -> None:
    _visit(reverse("admin:jwt_upstream_credential_change", args=[Credential.objects.get().pk]))(site)


def _fill_in(
    page: str, values: Callable[[], dict[str, str]], upstream: str = "up", account: str = "default"
) -> Callable[[Site], None]:
    def send(site: Site) -> None:
        # Not by Django's test client, whose own variables are what it sends.
        url = reverse(f"admin:jwt_upstream_{page}", query={"upstream": upstream, "account": account})
        request = _of_root(RequestFactory().post(url, values()))
        response = resolve(request.path_info).func(request)
        response.render() if hasattr(response, "render") else None

    return send


def _password() -> dict[str, str]:
    return {"login_username": GIVEN.username, "login_password": GIVEN.password}


def _tokens() -> dict[str, str]:
    return {"access_token": GIVEN.access[0], "refresh_token": GIVEN.refresh[0]}


def _own_values() -> dict[str, str]:
    return {"parameter_region": "eu", "secret_client_secret": GIVEN.client_secret}


#: Everything public that an end user, an operator or a project's code can do; a test says if something is missing.
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
    "register": _register,
    "token that is handed out and refused": _hand_out,
    "awaited token that is refused": lambda _: async_to_sync(_ahand_out)(),
    "call after a move": _call_after_a_move,
    "device login": _device_login,
    "client's device login": lambda _: UpstreamClient("up").begin_device_login(),
    "browser login": _browser_login,
    "logout": lambda _: UpstreamClient("up").logout(),
    "background refresh": _due,
    "admin: try again": _operate("try_again"),
    "admin: log out": _operate("log_out"),
    "admin: log in": _fill_in("log_in", _password),
    "admin: browser login": _browser_login_in_the_admin,
    "admin: adopt tokens": _fill_in("adopt", _tokens),
    "admin: mark as rejected": _fill_in("mark_rejected", lambda: {"reason": "stolen"}),
    "admin: register": _fill_in("register", _own_values, "shop", "acme"),
    "admin: rebind": _rebind_in_the_admin,
    "admin: test": _fill_in("test", dict),
    "admin: credentials": _visit("/admin/jwt_upstream/credential/"),
    "admin: credential": _look_at_a_credential,
    "admin: upstreams": _visit("/admin/jwt_upstream/credential/upstreams/"),
    "upstream_login": lambda _: _command(
        "upstream_login", "up", username=GIVEN.username, password_stdin=True, stdin=lambda: GIVEN.password
    ),
    "upstream_login --tokens-stdin": lambda _: _command(
        "upstream_login", "up", tokens_stdin=True, stdin=lambda: GIVEN.tokens
    ),
    "upstream_login --set": lambda _: _command(
        "upstream_login",
        *("shop", "--account=acme", "--set=region=eu", "--no-login", "--password-stdin"),
        stdin=lambda: GIVEN.client_secret,
    ),
    "upstream_login of spoilt tokens": lambda _: _command(
        "upstream_login", "up", tokens_stdin=True, stdin=lambda: GIVEN.spoilt_tokens
    ),
    "upstream_refresh": lambda _: _command("upstream_refresh", ahead=1e6),
    "upstream_status": lambda _: _command("upstream_status"),
    "upstream_status --json": lambda _: _command("upstream_status", "--json"),
    "upstream_rekey": lambda _: _command("upstream_rekey"),
    "upstream_rekey --check": lambda _: _command("upstream_rekey", "--check", "--json"),
    "upstream_rebind": _command_after_a_move("upstream_rebind", "up"),
    "upstream_status after a move": _command_after_a_move("upstream_status", "--json"),
    "upstream_prune": lambda _: _command("upstream_prune"),
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
