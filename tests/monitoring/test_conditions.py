"""How upstreams are, as the health view and the metrics see it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jwt_upstream.models import Credential, Incident
from jwt_upstream.monitoring import conditions
from tests.support.accounts import shop
from tests.support.rows import put


@pytest.fixture(autouse=True)
def _upstreams(db: None, settings: Any) -> None:
    backend = {"BACKEND": "jwt_upstream.backends.Backend", "BASE_URL": "https://crm.example.com/"}
    settings.JWT_UPSTREAM = {"crm": backend, "erp": backend}


def statuses() -> dict[str, str]:
    """Return the status of each upstream."""
    return {condition.upstream: condition.status for condition in conditions()}


def test_states_are_counted() -> None:
    """Each state has its number, those that can't be refreshed one of their own, and empty states none."""
    put("crm", "a")
    put("crm", "b", failures=2)
    put("crm", "c", state="locked")
    Credential.objects.create(upstream="old", state="logged_out")
    numbers = {condition.upstream: condition.credentials for condition in conditions()}
    assert numbers == {"crm": {"active": 1, "locked": 1, "failing": 1}, "erp": {}, "old": {"logged_out": 1}}
    assert [condition.upstream for condition in conditions(["crm"])] == ["crm"]


def test_status() -> None:
    """A person has to act for what no attempt of ours can mend; what may mend itself is degraded."""
    for name in ("crm", "erp"):
        put(name)
    assert statuses() == {"crm": "ok", "erp": "ok"}
    Credential.objects.filter(upstream="crm").update(failures=1)
    Incident.objects.create(upstream="erp", kind="down")
    assert statuses() == {"crm": "degraded", "erp": "degraded"}
    Credential.objects.filter(upstream="crm").update(state="rejected")
    assert statuses()["crm"] == "needs_human"
    Credential.objects.filter(upstream="crm").update(state="logged_out")
    assert statuses()["crm"] == "ok"


def test_mismatch(settings: Any) -> None:
    """Tokens that were obtained for other settings than there are need a person, unless LOGIN does."""
    put("crm")
    put("erp", "out", state="logged_out", obtained_for={"origin": "https://old.example.com"})
    other = {**settings.JWT_UPSTREAM["crm"], "BASE_URL": "https://staging.example.com/"}
    settings.JWT_UPSTREAM = {**settings.JWT_UPSTREAM, "crm": other}
    assert statuses() == {"crm": "needs_human", "erp": "ok"}
    assert [condition.is_mismatched for condition in conditions()] == [True, False]
    other["LOGIN"] = {"username": "us", "password": "secret"}
    assert statuses() == {"crm": "ok", "erp": "ok"}


def test_never_logged_in(settings: Any) -> None:
    """An upstream that nobody has logged in to needs a person, unless it logs in by itself; so does a mistake."""
    login = {"LOGIN": {"username": "us", "password": "secret"}}
    settings.JWT_UPSTREAM = {**settings.JWT_UPSTREAM, "crm": {**settings.JWT_UPSTREAM["crm"], **login}, "bad": {}}
    assert statuses() == {"bad": "needs_human", "crm": "ok", "erp": "needs_human"}


def test_wrong_settings(settings: Any) -> None:
    """Mistakes in the settings of an upstream need a person, whatever its credentials are; no settings are none."""
    put("crm")
    put("erp")
    Credential.objects.create(upstream="gone", state="active")
    settings.JWT_UPSTREAM = {"crm": {**settings.JWT_UPSTREAM["crm"], "BACKEND": "nope.Nope"}, "erp": None}
    assert statuses() == {"crm": "needs_human", "erp": "needs_human", "gone": "ok"}


def test_next_expiry() -> None:
    """The next expiry is that of an active credential that is well."""
    now = timezone.now()
    for account, minutes, columns in (
        ("a", 3, {"failures": 1}),
        ("b", 5, {}),
        ("c", 9, {}),
        ("d", 1, {"state": "locked"}),
    ):
        put("crm", account, access_expires_at=now + timedelta(minutes=minutes), **columns)
    put("crm", "unknown", access_expires_at=None)
    assert conditions(["crm"])[0].next_expiry == now + timedelta(minutes=5)
    assert conditions(["erp"])[0].next_expiry is None


def test_upstream_of_no_account_yet(settings: Any) -> None:
    """An upstream whose accounts have values of their own may have none yet."""
    settings.JWT_UPSTREAM = shop()
    assert statuses() == {"shop": "ok"}
