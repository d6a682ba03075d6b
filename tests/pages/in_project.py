"""Tests that ``test_project`` copies into the project of the pages, of code which the pages don't test themselves."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
import responses
from asgiref.testing import ApplicationCommunicator
from celery import signals
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.test import AsyncClient, Client, RequestFactory

from jwt_upstream import tasks
from jwt_upstream.exceptions import AccountLocked, RefreshUnavailable
from jwt_upstream.models import Credential
from jwt_upstream.testing import FakeUpstream, logged_in
from tests.support.pages import blocks


def shop(name: str) -> Any:
    """Return a module of the pages."""
    return import_module(f"shop.{name}")


@pytest.fixture
def crm(fake_upstream: Any) -> FakeUpstream:
    """The upstream of the pages, which has an order."""
    crm: FakeUpstream = fake_upstream("crm")
    crm.answer("GET", "orders/", json=[{"id": 7}])
    crm.answer("GET", "customers/", json=["Ann"])
    return crm


@pytest.fixture
def ann(db: None) -> User:
    """Somebody who is logged in at the site."""
    return User.objects.create_user("ann")


def test_view_of_the_readme(client: Client, crm: FakeUpstream, settings: Any) -> None:
    """The first view that a reader sees passes the first test that the page on testing shows."""
    settings.ROOT_URLCONF = "readme_urls"
    import_module("test_orders").test_orders(client, crm)


def test_account_of_a_user(crm: FakeUpstream, client: Client, ann: User) -> None:
    """The view of accounts uses the tokens of whoever asks, and nobody else's."""
    crm.logged_in(f"user-{ann.pk}")
    crm.locked("user-0")
    assert client.get("/accounts/orders/").status_code == 302
    client.force_login(ann)
    assert client.get("/accounts/orders/").json() == [{"id": 7}]


def test_connecting(crm: FakeUpstream, client: Client, ann: User) -> None:
    """The form of accounts logs in, says so if it is refused, and shows no password again."""
    client.force_login(ann)
    crm.refuses_logins()
    refused = client.post("/accounts/connect/", {"username": "ann", "password": "s3cret"})
    assert b"The CRM refused this login: " in refused.content
    assert b"s3cret" not in refused.content
    crm.needs_login(f"user-{ann.pk}")
    assert client.post("/accounts/connect/", {"username": "ann", "password": "s3cret"}).status_code == 302
    assert Credential.objects.get(account=f"user-{ann.pk}").state == "active"


def test_reports_and_leaving(crm: FakeUpstream, ann: User) -> None:
    """Rejected accounts are listed, and an account that leaves leaves no row."""
    crm.rejected(f"user-{ann.pk}")
    with pytest.raises(Exception, match="rejected"):
        shop("upstreams").UpstreamClient("crm", f"user-{ann.pk}").get("orders/")
    assert shop("reports").who_needs_a_login() == [f"user-{ann.pk}"]
    crm.logged_in(f"user-{ann.pk}")
    shop("leaving").forget(ann)
    assert not Credential.objects.filter(account=f"user-{ann.pk}").exists()


def test_tenant() -> None:
    """The tenant of the request decides the account."""
    request: Any = RequestFactory().get("/")
    request.tenant = SimpleNamespace(pk=3)
    assert shop("upstreams").crm(request).account == "tenant-3"


@pytest.mark.django_db
def test_task(crm: FakeUpstream) -> None:
    """The task returns how many orders there are, and is tried again when the upstream says, or after a minute."""
    task = shop("tasks").sync_orders
    assert task() == 1
    waits: list[float] = []

    def note(reason: Any, **_: Any) -> None:
        waits.append(reason.when)

    signals.task_retry.connect(note)
    crm.logged_in(expires_in=0)
    crm.down()
    outcome = task.apply()
    assert isinstance(outcome.result, RefreshUnavailable)
    assert len(waits) == task.max_retries
    assert all(0 < seconds <= 60 for seconds in waits)
    known = {tasks.celery_refresh_due.name, tasks.celery_prune.name}
    assert {each["task"] for each in shop("celery").app.conf.beat_schedule.values()} == known


def test_own_handler_of_rest_framework(crm: FakeUpstream, db: None) -> None:
    """A handler of the project's own goes on to answer, and adds what it adds."""
    crm.locked()
    view: Any = type("Orders", (shop("api").Orders,), {"get_exception_handler": lambda self: shop("errors").handle})
    response = view.as_view()(RequestFactory().get("/api/orders/"))
    assert (response.status_code, response["X-Request-Path"]) == (503, "/api/orders/")


def test_async_views(crm: FakeUpstream) -> None:
    """Both async clients answer, and calls at a time are gathered."""

    async def look() -> list[Any]:
        visitor = AsyncClient()
        both = [await visitor.get("/async/orders/"), await visitor.get("/async/customers/")]
        return [*(response.json() for response in both), await shop("overview").overview()]

    assert asyncio.run(look()) == [[{"id": 7}], ["Ann"], {"orders": 1, "customers": 1}]


@pytest.mark.django_db
def test_migrating(crm: FakeUpstream) -> None:
    """What was adopted from the cache or from a dict of OAuth is stored, with its expiry, and used."""
    cache.set_many({"crm-access": "a1", "crm-refresh": "r1"})
    Credential.objects.all().delete()
    shop("adopting").adopt()
    assert Credential.objects.get().pair.refresh == "r1"
    token = {"access_token": "a2", "refresh_token": "r2", "expires_at": 2000000000, "token_type": "Bearer"}
    shop("adopting_oauth").adopt_dict(token, "acme")
    acme = Credential.objects.get(account="acme")
    assert (acme.pair.access, acme.pair.refresh) == ("a2", "r2")
    assert acme.access_expires_at == datetime.fromtimestamp(2000000000, UTC)
    user, backend = SimpleNamespace(pk=3), SimpleNamespace(name="crm")
    shop("pipeline").adopt_tokens(backend, user, {"access_token": "a3", "refresh_token": "r3"})
    shop("pipeline").adopt_tokens(backend, user, {"access_token": "a4"})
    assert Credential.objects.get(account="user-3").pair.access == "a3"


@pytest.mark.django_db
def test_moving_customers(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command makes an account of an alias, which keeps its tokens, and one of a customer who has none."""
    own = {"login_path": "oauth/token", "refresh_path": "oauth/token", "client_id": "acme-app", "client_secret": "s"}
    address = "https://acme.shop.example.com/eu/"
    oauth = "jwt_upstream.backends.OAuth2Backend"
    settings.JWT_UPSTREAM = {"shop-acme": {"BACKEND": oauth, "BASE_URL": address, "OPTIONS": own}}
    logged_in("shop-acme")
    shown: dict[str, Any] = {}
    exec(next(blocks("howto/accounts.rst", "python")), shown)
    settings.JWT_UPSTREAM = shown["JWT_UPSTREAM"]
    monkeypatch.setenv("SHOP_ACME_SECRET", "s")
    monkeypatch.setenv("SHOP_GLOBEX_SECRET", "s")
    call_command(shop("management.commands.move_customers").Command(), stdout=(out := io.StringIO()))
    assert out.getvalue().split("\n") == ["shop/acme: moved", "shop/globex: registered", ""]
    with responses.RequestsMock() as upstream:
        upstream.get(f"{address}orders/", json=[7])
        assert shop("upstreams").UpstreamClient("shop", "acme").get("orders/").json() == [7]


@pytest.mark.django_db
def test_ticket(crm: FakeUpstream, settings: Any) -> None:
    """A program is told in English on a site that speaks German."""
    settings.LANGUAGE_CODE = "de"
    settings.JWT_UPSTREAM_NOTIFIERS = ["shop.tickets.ticket"]
    settings.TICKETS_URL = "https://tickets.example.com/"
    crm.locked()
    with responses.RequestsMock() as tickets:
        title = responses.matchers.json_params_matcher({"title": "crm/default is locked"})
        tickets.post(settings.TICKETS_URL, match=[title])
        with pytest.raises(AccountLocked):
            shop("crm").get("orders/")


@pytest.mark.django_db
def test_cache(crm: FakeUpstream) -> None:
    """The second call is answered by the cache, and that of another account is not."""
    for account, calls in (("acme", 1), ("acme", 1), ("globex", 2)):
        crm.logged_in(account)
        client = shop("cached").cached(account)
        assert client.get("orders/").json() == [{"id": 7}]
        assert len(crm.calls) == calls
        client.cache.close()


def test_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function that reads a password returns what the vault's client gives."""
    answer = {"data": {"data": {"password": "s3cret"}}}
    kv = SimpleNamespace(v2=SimpleNamespace(read_secret={"crm": answer}.get))
    vault = SimpleNamespace(secrets=SimpleNamespace(kv=kv))
    monkeypatch.setattr(shop("vault"), "vault_client", lambda: vault, raising=False)
    assert shop("vault").crm_password() == "s3cret"


def test_calls_after_migrating(crm: FakeUpstream) -> None:
    """What takes the place of the old calls calls."""
    assert shop("crm").get("orders/").json() == [{"id": 7}]
    assert shop("calls").orders("default") == [{"id": 7}]


@pytest.mark.django_db
def test_social_auth(crm: FakeUpstream) -> None:
    """The tokens of all users are adopted."""
    pytest.importorskip("social_django")
    rows = import_module("social_django.models").UserSocialAuth
    user = User.objects.create_user("bob")
    data = {"access_token": "a1", "refresh_token": "r1", "auth_time": 1900000000, "expires": 3600}
    rows.objects.create(user=user, provider="crm", uid="1", extra_data=data)
    shop("adopting_social").adopt_all()
    row = Credential.objects.get(account=f"user-{user.pk}")
    assert (row.pair.refresh, row.access_expires_at) == ("r1", datetime.fromtimestamp(1900003600, UTC))


@pytest.mark.django_db(transaction=True)
def test_channels(crm: FakeUpstream) -> None:
    """The consumer sends orders, and says so if there are none to be had."""
    pytest.importorskip("channels")

    async def ask(page: int) -> Any:
        visitor = ApplicationCommunicator(shop("consumers").OrdersConsumer.as_asgi(), {"type": "websocket"})
        await visitor.send_input({"type": "websocket.connect"})
        assert (await visitor.receive_output(20))["type"] == "websocket.accept"
        await visitor.send_input({"type": "websocket.receive", "text": json.dumps({"page": page})})
        said = await visitor.receive_output(20)
        await visitor.send_input({"type": "websocket.disconnect", "code": 1000})
        await visitor.wait()
        return json.loads(said["text"])

    assert asyncio.run(ask(1)) == {"orders": [{"id": 7}]}
    crm.locked()
    assert asyncio.run(ask(1)) == {"error": "not available at the moment"}
