"""``upstream_rekey``, as an operator retires a key with it."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from io import StringIO
from typing import Any

from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection

from jwt_upstream.client import UpstreamClient
from jwt_upstream.clock import host_now
from jwt_upstream.fields import Encrypted
from jwt_upstream.models import Credential, Event
from jwt_upstream.testing import logged_in
from tests.support.commands import Terminal
from tests.support.rows import put
from tests.support.upstream import Upstream

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def rekey(*arguments: str, **options: Any) -> tuple[str, str]:
    """Run the command; return what it printed, and the line with which it failed."""
    out, failed = StringIO(), ""
    try:
        call_command("upstream_rekey", *arguments, stdout=out, **{"stderr": StringIO(), **options})
    except CommandError as error:
        failed = str(error)
    assert "secret-" not in out.getvalue() + failed
    return out.getvalue(), failed


def put_encrypted(keys: list[str], settings: Any, *accounts: str) -> None:
    """Store credentials while these are the keys."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = keys
    for account in accounts:
        logged_in("crm", account, access=f"secret-{account}", refresh=f"secret-{account}-r")


def test_rotation(db: None, settings: Any) -> None:
    """After the swap of keys one run encrypts everything with the new one; the old one can be removed."""
    put_encrypted([OLD], settings, "ann", "bob")
    put_encrypted([NEW, OLD], settings, "cleo")
    out, failed = rekey("--check")
    assert out == (
        "key 1 of JWT_UPSTREAM_ENCRYPTION_KEYS: 1\nkey 2 of JWT_UPSTREAM_ENCRYPTION_KEYS: 2\n"
        "the key derived from SECRET_KEY: 0\n"
    )
    assert (
        failed == "2 are not yet encrypted with the first key and bound to their credential: run it without --check."
    )
    out, failed = rekey()
    assert out.startswith("2 of 3 credentials encrypted anew.\nkey 1 of JWT_UPSTREAM_ENCRYPTION_KEYS: 3\n")
    assert "The first key reads everything: the others may be removed." in out
    assert failed == ""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS, settings.JWT_UPSTREAM_ACCEPT_OLD_VALUES = [NEW], False
    assert [row.pair.access for row in Credential.objects.all()] == ["secret-ann", "secret-bob", "secret-cleo"]
    assert rekey("--check") == (
        "key 1 of JWT_UPSTREAM_ENCRYPTION_KEYS: 3\nThe first key reads everything: the others may be removed.\n",
        "",
    )


def test_moving_from_secret_key(db: None, settings: Any) -> None:
    """A project that sets its first keys loses nothing, and is told when the derived key is needed no more."""
    settings.SECRET_KEY_FALLBACKS = ["before"]
    put_encrypted([], settings, "ann")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [NEW]
    out, failed = rekey("--check")
    assert "the key derived from SECRET_KEY: 1\nthe key derived from SECRET_KEY_FALLBACKS[0]: 0\n" in out
    assert failed
    assert "JWT_UPSTREAM_ACCEPT_OLD_VALUES may be False" in rekey()[0]
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "lost", []
    assert Credential.objects.get().pair.access == "secret-ann"


def test_values_that_are_not_bound(db: None) -> None:
    """Tokens that were stored before they were bound to their row are bound, by whichever key they are encrypted."""
    put("crm")
    with connection.cursor() as cursor:
        unbound = Encrypted.seal("secret-ann").ciphertext
        cursor.execute("UPDATE jwt_upstream_credential SET access_token = %s", [unbound])
    assert rekey("--check")[1].startswith("1 is not yet")
    assert rekey()[1] == ""
    row = Credential.objects.get()
    assert (row.access_token.open(), row.access_token.is_bound()) == ("secret-ann", True)


def test_nothing_but_the_ciphertext_changes(db: None, settings: Any) -> None:
    """State, times and history stay as they are: it is the same token."""
    put_encrypted([OLD], settings, "ann")
    Credential.objects.update(state="locked", reason="said so", failed_fingerprint="123456789abc")
    Credential.objects.update(lease="")
    before: dict[str, Any] = dict(Credential.objects.values().get())
    events = Event.objects.count()
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [NEW, OLD]
    rekey()
    after: dict[str, Any] = dict(Credential.objects.values().get())
    assert {name for name in before if before[name] != after[name]} == {"access_token", "refresh_token"}
    assert Event.objects.count() == events


def test_what_can_not_be_read_is_kept(db: None, settings: Any) -> None:
    """A credential of a lost key is left as it is and named; whoever finds the key can still use it."""
    put_encrypted([OLD], settings, *(f"a{number:02}" for number in range(25)))
    put_encrypted([NEW], settings, "ann")
    logged_in("crm", "empty", access="")
    Credential.objects.filter(account="empty").update(access_token="", refresh_token="")
    out, failed = rekey()
    assert "unreadable: 25 (crm/a00, crm/a01" in out
    assert "crm/a20" not in out
    assert failed == "25 can't be read: keep their key, or log in again."
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [NEW, OLD]
    assert Credential.objects.get(account="a24").pair.access == "secret-a24"


def test_a_credential_that_is_being_refreshed(db: None, settings: Any) -> None:
    """It is left to the refresh, which compares the ciphertext, and is counted as not done."""
    put_encrypted([OLD], settings, "ann")
    Credential.objects.update(lease="somebody")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [NEW, OLD]
    before = Credential.objects.get().access_token
    assert rekey()[1].endswith("it was being refreshed: run it again.")
    assert Credential.objects.get().access_token == before


def test_a_refresh_that_was_abandoned(db: None, settings: Any) -> None:
    """A lease that has lapsed long ago is in nobody's way; one that has just lapsed may yet get its answer."""
    put_encrypted([OLD], settings, "ann", "bob")
    Credential.objects.filter(account="ann").update(lease="gone", lease_expires_at=host_now() - timedelta(hours=2))
    Credential.objects.filter(account="bob").update(lease="late", lease_expires_at=host_now() - timedelta(minutes=5))
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [NEW, OLD]
    assert rekey()[1].startswith("1 is not yet encrypted")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [NEW]
    assert Credential.objects.get(account="ann").pair.access == "secret-ann"


def test_while_the_site_runs(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Calls and refreshes go on while everything is encrypted anew, again and again, and no refresh is lost."""
    keys = [*settings.JWT_UPSTREAM_ENCRYPTION_KEYS, NEW]
    done = threading.Event()

    def serve() -> None:
        try:
            for _ in range(15):
                client.refresh()
                assert client.get("orders/").status_code == 200
        finally:
            done.set()
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    while not done.wait(0.02):  # SQLite has one writer at a time, and the refreshes want their turn
        keys.reverse()
        settings.JWT_UPSTREAM_ENCRYPTION_KEYS = list(keys)
        rekey()
    thread.join()
    assert upstream.refreshes == 15
    assert Credential.objects.get().state == "active"


def test_json(db: None, settings: Any) -> None:
    """--json has the same counts for programs, on standard output alone."""
    put_encrypted([OLD], settings, "ann")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [NEW, OLD]
    out, failed = rekey("--check", "--json")
    assert json.loads(out) == {
        "seen": 1,
        "renewed": 0,
        "old": 1,
        "by_key": {
            "key 1 of JWT_UPSTREAM_ENCRYPTION_KEYS": 0,
            "key 2 of JWT_UPSTREAM_ENCRYPTION_KEYS": 1,
            "the key derived from SECRET_KEY": 0,
        },
        "unreadable": 0,
        "names": [],
    }
    assert failed


def test_progress_on_a_terminal(db: None, settings: Any) -> None:
    """Somebody who watches sees how far it is."""
    put("crm")
    terminal = Terminal()
    rekey(stderr=terminal)
    assert terminal.getvalue() == "1 credential seen\r"


def test_no_credentials(db: None) -> None:
    """Before the first login all is well."""
    assert rekey()[1] == ""
