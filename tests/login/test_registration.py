"""Registering an account: bad values stop at the door, and those that came past it are sent nowhere."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import responses
from django.db import connection, transaction
from django.utils.functional import SimpleLazyObject

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountMisconfigured, RefreshBlocked
from jwt_upstream.models import Credential, Event
from jwt_upstream.tokens import TokenPair
from tests.support.accounts import ACME, BAD_LABELS, BAD_SEGMENTS, SECRETS, shop
from tests.support.database import at_level, is_sqlite
from tests.support.rows import kinds

BAD = [*({"subdomain": value} for value in BAD_LABELS), *({"region": value} for value in BAD_SEGMENTS)]

REFUSED = r"^shop/acme: nothing was sent: parameter '"


@responses.activate
def test_bad_values(settings: Any, db: None) -> None:
    """A bad value is refused by registration, which stores nothing; no row, no event, no request."""
    settings.JWT_UPSTREAM = shop()
    for bad in BAD:
        with pytest.raises(AccountMisconfigured, match=REFUSED):
            UpstreamClient.register("shop", "acme", parameters={**ACME, **bad}, secrets=SECRETS)
            pytest.fail(f"{bad!a} is not refused")
    for secret in ("a\r\nX-Admin: 1", "", "file:/etc/passwd", "call:os.getcwd", "a\0", None, 5, ["a"]):
        with pytest.raises(AccountMisconfigured, match="secret 'client_secret' must be"):
            UpstreamClient.register("shop", "acme", parameters=ACME, secrets={"client_secret": secret})  # type: ignore[dict-item]
    for other in ("BASE_URL", "subdomain ", "__class__", "client_secret", 5):
        with pytest.raises(AccountMisconfigured, match="there is no parameter"):
            UpstreamClient.register("shop", "acme", parameters={**ACME, other: "x"}, secrets=SECRETS)  # type: ignore[dict-item]
    wrong: Any
    for wrong in (42, SimpleLazyObject(lambda: "acme")):
        name = type(wrong).__name__
        with pytest.raises(AccountMisconfigured, match=rf"must be a string, not {name}; set: .* --set NAME=VALUE$"):
            UpstreamClient.register("shop", "acme", parameters={**ACME, "subdomain": wrong}, secrets=SECRETS)
        with pytest.raises(AccountMisconfigured, match=f"must be a string, not {name}; set: .* --new-secrets$"):
            UpstreamClient.register("shop", "acme", parameters=ACME, secrets={"client_secret": wrong})
    for wrong in ({"parameters": None}, {"secrets": None}):
        with pytest.raises(TypeError, match="must be a mapping of names and values, not NoneType"):
            UpstreamClient.register("shop", "acme", **wrong)
    assert not Credential.objects.exists()
    assert not Event.objects.exists()
    assert not responses.calls


@responses.activate
def test_bad_values_in_the_database(settings: Any, db: None) -> None:
    """A bad value that somebody wrote to the row of an account that works is refused by calls, and nothing is sent."""
    settings.JWT_UPSTREAM = shop()
    UpstreamClient.register("shop", "acme", parameters=ACME, secrets=SECRETS)
    client = UpstreamClient("shop", "acme")
    client.adopt(TokenPair("access-1"))
    for bad in [*BAD, "acme", 5, []]:
        if connection.vendor != "sqlite" and {"\\u0000", "\\ud800"} & set(re.findall(r"\\u....", json.dumps(bad))):
            continue  # which no other database stores
        Credential.objects.update(parameters={**ACME, **bad} if isinstance(bad, dict) else bad)
        with pytest.raises(AccountMisconfigured, match=REFUSED):
            client.get("orders/")
            pytest.fail(f"{bad!a} is not refused")
    assert not responses.calls


def test_in_a_transaction(settings: Any, transactional_db: None) -> None:
    """In a transaction each call is stored at once, whatever its snapshot shows, and its rollback undoes none."""
    settings.JWT_UPSTREAM = shop()
    with at_level("REPEATABLE READ"):
        assert is_sqlite or not Credential.objects.exists()  # the snapshot is taken; SQLite's would lock the file
        for _ in range(2):
            UpstreamClient.register("shop", "acme", parameters=ACME, secrets=SECRETS)
        UpstreamClient.register("shop", "acme", parameters={"region": "us"})
        transaction.set_rollback(True)
    assert Credential.objects.get().parameters == {**ACME, "region": "us"}
    assert kinds() == ["configured", "configured"]


@pytest.mark.skipif(is_sqlite, reason="SQLite has no row locks")
def test_row_that_the_caller_deletes(settings: Any, transactional_db: None) -> None:
    """An account that the caller's transaction deletes isn't taken for one that is registered already."""
    settings.JWT_UPSTREAM = shop()
    UpstreamClient.register("shop", "acme", parameters=ACME, secrets=SECRETS)
    with transaction.atomic():
        Credential.objects.get().delete()
        with pytest.raises(RefreshBlocked):
            UpstreamClient.register("shop", "acme", parameters=ACME, secrets=SECRETS)
    assert not Credential.objects.exists()
