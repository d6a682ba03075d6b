"""Fixtures: a server of others, one account at it, and the app configured for it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core import mail
from django.utils import timezone
from requests import Response

from jwt_upstream import exceptions
from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.live.pages import Opens, PageInChromium
from tests.live.process import NotInstalled, Server
from tests.live.products import Effect, Product
from tests.support.chromium import Chromium, require

PASSWORD = "Correct-horse-7"
HOUR = 3600
#: How long a token may take to end that lives for a second.
END_SECONDS = 60

_numbers = itertools.count(1)
_STATES = {Effect.REJECTED: Credential.State.REJECTED, Effect.LOCKED: Credential.State.LOCKED}
_ERRORS: dict[type[Exception], Effect] = {
    exceptions.CredentialRejected: Effect.REJECTED,
    exceptions.AccountLocked: Effect.LOCKED,
    exceptions.RefreshUnavailable: Effect.UNAVAILABLE,
    exceptions.LoginRejected: Effect.LOGIN_REJECTED,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs other people's servers."""
    for item in items:
        if "live" in item.path.parts:
            item.add_marker("live")


@dataclass
class Account:
    """A user of a live server and the app's client for it."""

    product: Product
    server: Server
    username: str
    password: str = PASSWORD

    @property
    def client(self) -> UpstreamClient:
        """A new client, as each view makes one."""
        return UpstreamClient("live")

    @property
    def credential(self) -> Credential:
        return Credential.objects.get(upstream="live", account="default")

    def log_in(self) -> None:
        """Get a first pair, from a login or, where that takes a browser, from the server's operator."""
        if self.product.adopts:
            self.client.adopt(TokenPair(**self.server.order("tokens", self.username)))
        else:
            self.client.login(username=self.username, password=self.password)

    def call(self) -> Response:
        """Ask the server who we are."""
        return self.client.get(self.product.page)

    def is_served(self, response: Response) -> bool:
        return response.status_code == 200 and self.username in response.text

    def happens(self, event: str) -> None:
        """Let something happen to the user."""
        orders = {"locked": "lock", "deleted": "delete", "changed_password": "change_password", "revoked": "revoke"}
        more = ("Another-horse-8",) if event == "changed_password" else ()
        self.server.order(orders[event], self.username, *more)

    def wait_until_refused(self) -> None:
        """Wait until the server itself takes the stored access token no longer."""
        pair, give_up_at = self.credential.pair, time.monotonic() + END_SECONDS
        while self.is_served(self.bare_call(pair)):
            assert time.monotonic() < give_up_at, "a token that lives a second is still good"
            time.sleep(0.1)

    def wait_until_ended(self) -> None:
        """Wait until the app thinks so too; clocks are compared by whole seconds at some servers."""
        give_up_at = time.monotonic() + END_SECONDS
        while not self.credential.has_expired(timezone.now()):
            assert time.monotonic() < give_up_at, "the app doesn't know that the token has expired"
            time.sleep(0.1)

    def bare_call(self, pair: TokenPair) -> Response:
        """Call with a token and without the app."""
        request = requests.Request("GET", f"{self.server.url}{self.product.base}{self.product.page}").prepare()
        self.client.backend.authorize(request, pair)
        with requests.Session() as session:
            return session.send(request)

    def effect(self, act: Callable[[], Any]) -> Effect:
        """Call or refresh, and say what became of it; state, error, tokens and mails must fit together."""
        before = self.credential
        mail.outbox.clear()
        effect = self._outcome(act, before)
        self._check(effect, before)
        return effect

    def login_effect(self) -> Effect:
        """Log in once more, and say what became of it; a refusal leaves what is stored as it is."""
        before = self.credential
        effect = self._outcome(self.log_in, before)
        if effect is not Effect.RENEWED:
            row = self.credential
            assert (row.state, row.pair, row.generation) == (before.state, before.pair, before.generation)
        return effect

    def _outcome(self, act: Callable[[], Any], before: Credential) -> Effect:
        try:
            result = act()
        except tuple(_ERRORS) as error:
            return _ERRORS[type(error)]
        if isinstance(result, Response) and not self.is_served(result):
            return Effect.PASSED
        return Effect.RENEWED if self.credential.generation > before.generation else Effect.SERVED

    def _check(self, effect: Effect, before: Credential) -> None:
        row = self.credential
        assert row.state == _STATES.get(effect, Credential.State.ACTIVE)
        assert len(mail.outbox) == (row.state != before.state)
        if effect not in {Effect.RENEWED, Effect.PASSED}:
            assert row.pair == before.pair
        if effect in _STATES:
            assert row.reason
            with pytest.raises(exceptions.CredentialError):
                self.call()
            assert len(mail.outbox) == 1


def _start(product: Product, directory: Path) -> Server:
    try:
        return Server(product.program, product.arguments, directory)
    except NotInstalled as error:
        text = f"{product.name}: {error}; docs/reference/backends.rst says what the servers need"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)


@pytest.fixture(scope="session")
def running() -> Iterator[dict[Product, Server]]:
    """The servers that were started; each is when a test first wants it, and runs until all tests are done."""
    servers: dict[Product, Server] = {}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture
def server(
    request: pytest.FixtureRequest, running: dict[Product, Server], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Product, Server]:
    """A product with its server."""
    product: Product = request.param
    if product not in running:
        running[product] = _start(product, tmp_path_factory.mktemp("server"))
    return product, running[product]


@pytest.fixture
def account(server: tuple[Product, Server], settings: Any, transactional_db: None) -> Account:
    """A new user of the server; tokens live for an hour."""
    product, running = server
    settings.JWT_UPSTREAM = {
        "live": {
            "BACKEND": product.backend,
            "BASE_URL": f"{running.url}{product.base}",
            "OPTIONS": {"backoff": 0.01, **product.options, **running.options},
        }
    }
    running.order("lifetimes", HOUR, 24 * HOUR)
    username = f"bob{next(_numbers)}@example.com"
    running.order("create", username, PASSWORD)
    return Account(product, running, username)


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Opens]:
    """Opens pages in a headless Chromium that has never seen them."""
    require()
    with Chromium.started(tmp_path) as browser:
        yield partial(PageInChromium, browser)
