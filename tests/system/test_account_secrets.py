"""Secrets that an account has of its own are shown by nothing, whatever goes wrong."""

from __future__ import annotations

import copy
import gc
import io
import logging
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import responses
from django.core import serializers
from django.core.management import call_command
from django.db import connection
from django.test import Client

from jwt_upstream.accounts import values_of
from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.models import Credential, Event
from tests.support.accounts import ACME, SHOP
from tests.support.admin_pages import act_url, own_page, page
from tests.support.reporters import REPORTERS

SECRET, KEY = "marmalade", "gooseberry"
LOGIN = "https://acme.shop.example.com/eu/login"
CALL = "https://acme.shop.example.com/eu/orders/"
PAIR = {"token": "access-1", "refresh_token": "refresh-1", "expires_in": 3600}


def own(**more: str) -> dict[str, str]:
    """Return what the account has, which no variable of the tests holds."""
    return {"client_secret": SECRET, "own_key": KEY, **more}


class Buggy(Backend):
    """A project's own backend, which fails with the secrets in its hands."""

    def token_pair(self, *args: Any, **kwargs: Any) -> Any:
        """Fail."""
        given = self.client_secret, dict(self._texts), self.own_account_secrets
        raise RuntimeError(len(given))


@pytest.fixture(autouse=True)
def _settings(settings: Any, db: None) -> None:
    options = {**SHOP["OPTIONS"], "api_headers": {"Authorization": "Bearer {access}", "X-Key": "{own_key}"}}
    accounts = {"parameters": ["subdomain", "region"], "secrets": ["client_secret", "own_key"]}
    settings.JWT_UPSTREAM = {"shop": {**SHOP, "OPTIONS": options, "ACCOUNTS": accounts}}


def hidden(text: str) -> bool:
    return not any(secret in text for secret in (SECRET, KEY))


def registered() -> UpstreamClient:
    return UpstreamClient.register("shop", "acme", parameters=ACME, secrets=own())


@responses.activate
def test_values_and_pages(admin_client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """No repr, pickle, copy, log, row, event, fixture, page and output of a command has one."""
    caplog.set_level(logging.DEBUG)
    client = registered()
    responses.post(LOGIN, json=PAIR)
    responses.get(CALL, status=403)
    client.login(username="bob", password="correct horse")
    response, row, backend = client.get("orders/"), Credential.objects.get(), get_backend("shop", "acme")
    assert responses.calls[-1].request.headers["X-Key"] == KEY
    shown = [
        repr(each) for each in (client, row, row.secrets, backend, values_of("shop", row), vars(row), vars(client))
    ]
    shown += [repr(pickle.dumps(client)), repr(pickle.dumps(row)), repr(vars(copy.deepcopy(row)))]
    shown += [repr(dict(response.request.headers)), repr(backend._options), repr(backend.binding), caplog.text]
    shown += [repr(list(Event.objects.values())), serializers.serialize("json", Credential.objects.all())]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM jwt_upstream_credential")
        shown.append(repr(cursor.fetchall()))
    for command in (("upstream_status", "--json"), ("upstream_probe", "shop", "--account", "acme")):
        out = io.StringIO()
        call_command(*command, stdout=out)
        shown.append(out.getvalue())
    for url in (own_page(row), act_url("register", "shop", "acme"), act_url("log-in", "shop", "acme")):
        shown.append(page(admin_client, url))
    assert [each for each in shown if not hidden(each)] == []


def misspelt() -> None:
    UpstreamClient.register("shop", "acme", parameters={**ACME, "subdomain": "a.b/"}, secrets=own())


def unknown() -> None:
    UpstreamClient.register("shop", "acme", parameters=ACME, secrets=own(other="x"))


def quoted() -> None:
    registered().login(username="bob", password="x")


@pytest.fixture
def buggy(settings: Any) -> None:
    """Settings that name the backend which fails."""
    settings.JWT_UPSTREAM["shop"]["BACKEND"] = f"{__name__}.Buggy"


@responses.activate
@pytest.mark.parametrize("operation", [misspelt, unknown, quoted])
def test_reports(operation: Callable[[], None]) -> None:
    """No error's text and no report of one has a secret, nor has what an upstream says that quotes it."""
    responses.post(LOGIN, json={"error": "invalid_client", "error_description": f"bad {SECRET} {KEY}"}, status=401)
    with pytest.raises(UpstreamError) as caught:
        operation()
    assert hidden(f"{caught.value} {vars(caught.value)}")
    assert [name for name, reporter in REPORTERS.items() if not hidden(str(reporter(caught.value)))] == []


@responses.activate
def test_bug_in_a_backend(buggy: None) -> None:
    """A bug in a project's own backend shows none either."""
    client = registered()
    responses.post(LOGIN, json=PAIR)
    with pytest.raises(RuntimeError) as caught:
        client.login(username="bob", password="x")
    reporters = [reporter for name, reporter in REPORTERS.items() if name != "pickle"]
    assert [reporter for reporter in reporters if not hidden(str(reporter(caught.value)))] == []


@responses.activate
def test_deleted_account(transactional_db: None) -> None:
    """With the row its secrets are gone, from the database and from what this process keeps."""
    responses.post(LOGIN, json=PAIR)
    responses.get(CALL, json={})
    client = registered()
    client.login(username="bob", password="correct horse")
    client.get("orders/")
    del client
    kept = weakref.ref(get_backend("shop", "acme"))
    gc.collect()
    assert kept(), "a warm call finds it"
    Credential.objects.get().delete()
    gc.collect()
    assert kept() is None
    with pytest.raises(UpstreamError):
        UpstreamClient("shop", "acme").get("orders/")
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM jwt_upstream_credential")
        assert cursor.fetchone() == (0,)
    assert {event.credential_id for event in Event.objects.all()} == {None}
