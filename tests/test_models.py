"""Credentials, events and incidents as rows: what the database has, what an instance shows, what saving changes."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import mail
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.db.models.functions import Upper
from django.utils import timezone

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialUnreadable
from jwt_upstream.fields import DecryptionError
from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.testing import logged_in
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Upstream

NOW = timezone.now()


def ciphertexts() -> list[tuple[str, str]]:
    """Return what the database itself has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT access_token, refresh_token FROM jwt_upstream_credential")
        return list(cursor.fetchall())


# -- secrets


def test_database_has_ciphertext_only(credential: Credential) -> None:
    """Neither token can be read in the database, and both come back with the key."""
    ((access, refresh),) = ciphertexts()
    assert access.startswith("gAAAA")
    assert refresh.startswith("gAAAA")
    assert credential.pair == TokenPair("access-1", "refresh-1")


def test_pickle_shows_no_token(credential: Credential) -> None:
    """A pickled credential holds no readable token, and is whole again where the key is."""
    pickled = pickle.dumps(credential)
    assert b"access-1" not in pickled
    assert b"refresh-1" not in pickled
    assert pickle.loads(pickled).pair == credential.pair


def test_dumpdata_and_loaddata(client: UpstreamClient, upstream: Upstream, tmp_path: Path) -> None:
    """A dump shows ciphertext only, and loading it restores a credential that works."""
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "jwt_upstream", output=str(dump))
    assert "access-1" not in dump.read_text()
    assert "refresh-1" not in dump.read_text()
    Credential.objects.all().delete()
    call_command("loaddata", str(dump), stdout=StringIO())
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-1"
    upstream.expire()
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-2"


# -- a lost key


@pytest.fixture
def lost_key(client: UpstreamClient, settings: Any) -> str:
    """Another key is configured than the one which encrypted, for long enough; the fixture is the lost one."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    lost: str = settings.JWT_UPSTREAM_ENCRYPTION_KEYS[0]
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    return lost


def test_lost_key_is_loud(lost_key: str, upstream: Upstream, mailoutbox: list[mail.EmailMessage]) -> None:
    """A token that no key opens makes the credential unreadable: an error for each caller, one mail, nothing sent."""
    before = ciphertexts()
    for _ in range(3):
        with pytest.raises(CredentialUnreadable, match="put the old key back"):
            UpstreamClient("up").get("orders/")
    assert Credential.objects.get().state == "unreadable"
    assert upstream.seen == []
    assert ciphertexts() == before
    assert [message.subject for message in mailoutbox] == ["[Django] jwt_upstream: up/default is unreadable"]


def test_returned_key_restores(
    lost_key: str, upstream: Upstream, settings: Any, mailoutbox: list[mail.EmailMessage]
) -> None:
    """Once the key is back, the next call works, and the admins hear of it."""
    with pytest.raises(CredentialUnreadable):
        UpstreamClient("up").get("orders/")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [*settings.JWT_UPSTREAM_ENCRYPTION_KEYS, lost_key]
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-1"
    assert Credential.objects.get().state == "active"
    assert mailoutbox[-1].subject == "[Django] jwt_upstream: up/default works again"


def test_saving_does_not_touch_what_can_not_be_read(lost_key: str) -> None:
    """Saving an unreadable credential leaves its ciphertext as it is."""
    before = ciphertexts()
    Credential.objects.get().save()
    assert ciphertexts() == before


# -- saving


def test_stale_instance_brings_no_old_token_back(client: UpstreamClient, credential: Credential) -> None:
    """Saving an instance that was read before a refresh keeps the new tokens and the state."""
    client.refresh()
    credential.state = "locked"
    credential.account = "renamed"
    credential.save()
    row = Credential.objects.get()
    assert (row.account, row.state, row.pair.access, row.generation) == ("renamed", "active", "access-2", 2)


def test_saving_named_fields(credential: Credential) -> None:
    """Naming a token's column in update_fields doesn't save it either."""
    credential.access_token = "spent"
    credential.account = "renamed"
    credential.save(update_fields=["access_token", "account"])
    row = Credential.objects.get()
    assert (row.account, row.pair.access) == ("renamed", "access-1")


def test_renamed_credential_keeps_its_tokens(client: UpstreamClient, credential: Credential) -> None:
    """Tokens are bound to the names of their row; renaming it binds those that it has now, whoever renewed them."""
    client.refresh()
    credential.account = "renamed"
    assert credential.pair.access == "access-1"
    credential.save()
    row = Credential.objects.get()
    assert (row.account, row.pair.access, row.access_token.is_bound()) == ("renamed", "access-2", True)


def test_renaming_many(db: None, settings: Any) -> None:
    """QuerySet.update() renames as well, and its other columns are written with the names."""
    settings.JWT_UPSTREAM_ACCEPT_OLD_VALUES = False
    for account in ("ann", "bob"):
        logged_in("crm", account, access=f"of-{account}")
    assert (
        Credential.objects.filter(upstream="crm").update(upstream="erp", username="us", failures=F("failures") + 1)
        == 2
    )
    rows = Credential.objects.order_by("account")
    assert [(row.upstream, row.pair.access, row.username, row.failures) for row in rows] == [
        ("erp", "of-ann", "us", 1),
        ("erp", "of-bob", "us", 1),
    ]


def test_names_that_the_database_computes_are_refused(credential: Credential) -> None:
    """Tokens can't be bound to a name that isn't known before it is stored: that is an error and changes nothing."""
    with pytest.raises(FieldError, match=r"rename by plain strings, or by save\(\)"):
        Credential.objects.update(account=Upper("account"))
    credential.account = "renamed"
    with pytest.raises(FieldError):
        Credential.objects.bulk_update([credential], ["account"])
    assert Credential.objects.get().pair.access == "access-1"


def test_renaming_what_can_not_be_read(lost_key: str, credential: Credential) -> None:
    """Without the key a credential can't be renamed, since its tokens would be lost: nothing is changed."""
    credential.account = "renamed"
    with pytest.raises(DecryptionError):
        credential.save()
    assert Credential.objects.get().account == "default"


def test_names_that_are_assigned_last(db: None) -> None:
    """Tokens that were assigned before the names are bound to those with which the row is inserted."""
    row = Credential(access_token="secret")
    row.upstream, row.account = "crm", "ann"
    row.save()
    assert (row.access_token.open(), Credential.objects.get().access_token.open()) == ("secret", "secret")


@pytest.mark.parametrize("names", [("ann", "Ann", "ann "), ("jose", "josé", "JOSE")])
def test_accounts_are_exact(db: None, names: tuple[str, ...]) -> None:
    """Accounts that differ in case, accents or trailing spaces are different credentials on every database."""
    for name in names:
        logged_in("crm", name, access=f"{name.encode().hex()}")
    for name in names:
        assert Credential.objects.get(account=name).pair.access == name.encode().hex()


def test_history_outlives_its_credential(credential: Credential) -> None:
    """Deleting a credential keeps its events, which still say whose they were."""
    credential.delete()
    event = Event.objects.get()
    assert (event.credential, event.upstream, event.account, event.kind) == (None, "up", "default", "logged_in")


def test_incident_of_a_renamed_credential(credential: Credential) -> None:
    """An incident that is open goes by the new name, by which the next success finds it; those that are over don't."""
    for is_open in (True, None):
        Incident.objects.create(
            upstream="up", account="default", kind="locked", credential=credential, is_open=is_open
        )
    credential.account = "renamed"
    credential.save(update_fields=["access_token"])
    assert Incident.objects.get(is_open=True).account == "default"
    credential.save()
    assert [(row.account, row.is_open) for row in Incident.objects.all()] == [("renamed", True), ("default", None)]


# -- words


def test_names() -> None:
    """Rows are named by what they are about."""
    assert str(Credential(upstream="crm", account="ann")) == "crm/ann"
    moment = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert str(Event(upstream="crm", account="ann", kind="locked", at=moment)) == "crm/ann locked 2030-01-02 03:04:05"
    assert str(Incident(upstream="crm", kind="down", since=moment)) == "crm: down since 2030-01-02 03:04:05"


@pytest.mark.parametrize(
    ("state", "account", "remedy"),
    [
        ("rejected", "default", "log in: manage.py upstream_login crm"),
        ("logged_out", "ann", "log in: manage.py upstream_login crm --account ann"),
        ("locked", "default", "have the account unlocked at the upstream, then try again"),
        ("unreadable", "default", "put the old key back into JWT_UPSTREAM_ENCRYPTION_KEYS, or log in"),
    ],
)
def test_remedy(state: str, account: str, remedy: str) -> None:
    """Every state that needs a human says what the human is to do."""
    credential = Credential(upstream="crm", account=account, state=state)
    assert credential.needs_human
    assert credential.remedy.startswith(remedy)


@pytest.mark.parametrize(
    "reason", ["HTTP 401: Username could not be found.", "HTTP 400: USER_NOT_FOUND", "HTTP 401: Username non trovato."]
)
def test_remedy_for_a_deleted_user(reason: str) -> None:
    """A user that was deleted can't be unlocked: it is created again, or another logs in."""
    credential = Credential(upstream="crm", account="ann", state="locked", reason=reason)
    assert credential.remedy == (
        "have the user created again at the upstream, then try again in the admin, or log in with another: "
        "manage.py upstream_login crm --account ann"
    )


def test_remedy_for_a_locked_user_whose_token_is_gone() -> None:
    """What was not found may be the refresh token; the user is locked."""
    reason = "automatic login: HTTP 401: Your account is locked.; refresh: HTTP 401: JWT Refresh Token Not Found"
    credential = Credential(upstream="crm", state="locked", reason=reason)
    assert credential.remedy.startswith("have the account unlocked")


# -- times


@pytest.mark.parametrize(("seconds", "has_expired"), [(None, False), (-1, True), (0, True), (1, False)])
def test_has_expired(seconds: float | None, has_expired: bool) -> None:
    """A token has expired from the moment of its expiry on; an unknown expiry is far away."""
    assert Credential(access_expires_at=after(seconds)).has_expired(NOW) is has_expired


@pytest.mark.parametrize(
    ("age", "seconds", "is_due"),
    [
        (0, None, False),
        (0, 61, False),
        (60, 60, True),
        (10, 20, False),
        (11, 10, True),
        (None, 1, False),
        (60, -1, True),
    ],
)
def test_is_due(age: float | None, seconds: float | None, is_due: bool) -> None:
    """A token is due a minute before its expiry, or in the second half of a shorter life."""
    obtained_at = None if age is None else after(-age)
    credential = Credential(obtained_at=obtained_at, access_expires_at=after(seconds))
    assert credential.is_due(NOW, 60) is is_due


@pytest.mark.parametrize(
    ("lease", "seconds", "is_leased"), [("", 1, False), ("x", None, False), ("x", 0, False), ("x", 1, True)]
)
def test_is_leased(lease: str, seconds: float | None, is_leased: bool) -> None:
    """A lease holds until it lapses."""
    assert Credential(lease=lease, lease_expires_at=after(seconds)).is_leased(NOW) is is_leased


@pytest.mark.parametrize(
    ("state", "failures", "seconds", "is_degraded"),
    [("active", 0, 60, False), ("active", 1, 60, True), ("active", 1, -60, False), ("locked", 1, 60, False)],
)
def test_is_degraded(state: str, failures: int, seconds: float, is_degraded: bool) -> None:
    """Degraded means that refreshing fails while the token still lives."""
    expires_at = timezone.now() + timedelta(seconds=seconds)
    credential = Credential(state=state, failures=failures, access_expires_at=expires_at)
    assert credential.is_degraded is is_degraded


def after(seconds: float | None) -> Any:
    """Return the moment so many seconds from the tests' now."""
    return None if seconds is None else NOW + timedelta(seconds=seconds)
