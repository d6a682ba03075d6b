"""Tokens that somebody copies in the database, from one row or column to another, are sent nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.db import connection

from jwt_upstream.background import refresh_due
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialUnreadable
from jwt_upstream.models import Credential, Event
from jwt_upstream.testing import logged_in
from tests.support.commands import status
from tests.support.upstream import Upstream

#: As an attacker with SQL does it: neither the app nor Django is asked.
COPY = """UPDATE jwt_upstream_credential SET access_token = %s, refresh_token = %s, state = 'active'
    WHERE upstream = 'up' AND account = %s"""


@pytest.fixture(autouse=True)
def _database(transactional_db: None) -> None:
    """Real commits, as the app's own threads need them."""


def columns(account: str, upstream: str = "up") -> tuple[str, str]:
    """Return the ciphertexts of a row."""
    row = Credential.objects.get(upstream=upstream, account=account)
    return row.access_token.ciphertext, row.refresh_token.ciphertext


def copy(access: str, refresh: str, to: str) -> None:
    """Write ciphertexts into the row of another account."""
    with connection.cursor() as cursor:
        cursor.execute(COPY, [access, refresh, to])


def test_tokens_of_another_credential(
    client: UpstreamClient, upstream: Upstream, settings: Any, mailoutbox: list[mail.EmailMessage]
) -> None:
    """Neither a call nor a refresh sends them; the credential's own come back with its row."""
    settings.JWT_UPSTREAM_OUTAGE_SECONDS = 0
    settings.JWT_UPSTREAM["crm"] = settings.JWT_UPSTREAM["up"]
    logged_in("crm", access="of-the-crm", refresh="of-the-crm")
    upstream.seen.clear()
    own = columns("default")
    copy(*columns("default", "crm"), to="default")
    with pytest.raises(CredentialUnreadable, match="find out who wrote to the database"):
        UpstreamClient("up").get("orders/")
    with pytest.raises(CredentialUnreadable, match="are another credential's"):
        UpstreamClient("up").refresh()
    refresh_due()
    assert upstream.seen == []
    assert [(row.kind, "another credential's" in row.reason) for row in Event.objects.filter(kind="unreadable")] == [
        ("unreadable", True)
    ]
    assert [message.subject for message in mailoutbox] == ["[Django] jwt_upstream: up/default is unreadable"]
    assert "of-the-crm" not in mailoutbox[0].body + str(status())
    copy(*own, to="default")
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-1"


def test_tokens_of_another_account(upstream: Upstream) -> None:
    """Nor does one account ever speak with the tokens of another at the same upstream."""
    logged_in("up", "ann", access="access-1", refresh="refresh-1")
    logged_in("up", "bob", access="access-1b", refresh="refresh-1b")
    copy(*columns("bob"), to="ann")
    with pytest.raises(CredentialUnreadable):
        UpstreamClient("up", "ann").get("orders/")
    assert upstream.seen == []


def test_tokens_in_each_other_s_column(upstream: Upstream) -> None:
    """A refresh token isn't sent with every call because it stands in the access token's column."""
    logged_in("up", access="access-1", refresh="refresh-1")
    copy(*columns("default")[::-1], to="default")
    with pytest.raises(CredentialUnreadable):
        UpstreamClient("up").get("orders/")
    assert upstream.seen == []
