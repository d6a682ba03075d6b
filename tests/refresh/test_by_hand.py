"""Refreshing on a person's word, whatever was found out before."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.mail import EmailMessage

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import (
    AccountLocked,
    CredentialRejected,
    CredentialUnreadable,
    NotLoggedIn,
    RefreshUnavailable,
)
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh import mark_rejected, try_again
from jwt_upstream.store import transitions
from tests.support.upstream import Answer, Upstream


def test_try_again(client: UpstreamClient, upstream: Upstream) -> None:
    """A locked credential is tried with the stored tokens on a person's word, since servers often keep them good."""
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})
    with pytest.raises(AccountLocked):
        client.get("orders/")
    del upstream.answers["/orders/"]
    assert try_again(Credential.objects.get(), by="ops").access == "access-2"
    assert Credential.objects.get().state == "active"
    assert client.get("orders/").status_code == 200


def test_try_again_does_not_wait(client: UpstreamClient, upstream: Upstream) -> None:
    """Trying again on a person's word doesn't wait for the backoff to be over."""
    upstream.answers["/refresh"] = Answer(503, {}, {"Retry-After": "600"})
    with pytest.raises(RefreshUnavailable):
        client.refresh()
    del upstream.answers["/refresh"]
    assert try_again(Credential.objects.get()).access == "access-2"


def test_try_again_with_the_login_in_settings(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A login that was refused is tried once more on a person's word: what was wrong may be mended at the upstream."""
    settings.JWT_UPSTREAM["up"]["LOGIN"] = {"username": upstream.user, "password": "new"}
    upstream.expire()
    upstream.refresh = "lost"
    for _ in range(2):
        with pytest.raises(CredentialRejected):
            client.get("orders/")
    assert len(upstream.calls("/login")) == 1
    upstream.password = "new"
    assert try_again(Credential.objects.get()).access == "access-2"


def test_try_again_without_tokens(client: UpstreamClient, upstream: Upstream) -> None:
    """A credential that was logged out, or deleted since it was read, has nothing to be tried again with."""
    client.logout()
    with pytest.raises(NotLoggedIn):
        try_again(row := Credential.objects.get())
    assert Credential.objects.get().state == "logged_out"
    Credential.objects.all().delete()
    with pytest.raises(NotLoggedIn):
        try_again(row)


def test_mark_rejected(client: UpstreamClient, upstream: Upstream, mailoutbox: list[EmailMessage]) -> None:
    """Tokens that must not be used any more are not, on a person's word; the admins are told who said so."""
    mark_rejected(Credential.objects.get(), "the laptop was stolen", by="admin by ann")
    with pytest.raises(CredentialRejected, match="marked as rejected: the laptop was stolen"):
        client.get("orders/")
    assert upstream.seen == []
    event = Event.objects.latest("pk")
    assert (event.kind, event.reason) == ("rejected", "marked as rejected: the laptop was stolen")
    assert event.by.startswith("admin by ann (")
    assert Credential.objects.get().pair.access == "access-1"
    assert [message.subject for message in mailoutbox] != []
    client.login(username=upstream.user, password=upstream.password)
    assert client.get("orders/").status_code == 200


def test_mark_rejected_what_needs_a_human(client: UpstreamClient, settings: Any) -> None:
    """A credential that needs a human already keeps its state, and one that no key opens is left as it is."""
    row = Credential.objects.get()
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CredentialUnreadable):
        mark_rejected(row, "stolen")
    Credential.objects.update(state="locked")
    with pytest.raises(AccountLocked):
        mark_rejected(row, "stolen")
    assert Credential.objects.get().state == "locked"


def test_mark_rejected_while_it_is_refreshed(client: UpstreamClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the tokens are replaced in the same moment, it is the new ones that are not used any more."""
    row, mark = Credential.objects.get(), transitions.mark

    def after_a_refresh(*args: Any) -> Event | None:
        monkeypatch.undo()
        client.refresh()
        return mark(*args)

    # Patched, since nothing else comes between the look at the row and the write.
    monkeypatch.setattr(transitions, "mark", after_a_refresh)
    mark_rejected(row, "stolen")
    assert (Credential.objects.get().state, Credential.objects.get().pair.access) == ("rejected", "access-2")
