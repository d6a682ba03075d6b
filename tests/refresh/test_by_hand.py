"""Refreshing on a person's word, whatever was found out before."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import (
    AccountLocked,
    CredentialRejected,
    NotLoggedIn,
    RefreshUnavailable,
)
from jwt_upstream.models import Credential
from jwt_upstream.refresh import try_again
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
    """A credential that was logged out has nothing to be tried again with."""
    client.logout()
    with pytest.raises(NotLoggedIn):
        try_again(Credential.objects.get())
    assert Credential.objects.get().state == "logged_out"
