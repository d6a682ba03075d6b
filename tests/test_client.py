"""Each row of the design's first table, over real HTTP."""

from __future__ import annotations

import pytest
from django.core import mail

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked, CredentialRejected
from jwt_upstream.models import Credential
from tests.upstream import Answer, Upstream


def test_call_with_good_token(client: UpstreamClient, upstream: Upstream) -> None:
    """An answer of success is handed to the caller, with one request and no refresh."""
    response = client.get("orders/", params={"page": 2})
    assert response.json() == {"path": "/orders/?page=2", "token": "access-1"}
    assert len(upstream.seen) == 1
    assert response.history == []


def test_call_with_expired_token(client: UpstreamClient, upstream: Upstream) -> None:
    """A 401 is answered by one refresh and the same call again, whose answer the caller gets."""
    upstream.expire()
    response = client.post("orders/", json={"a": 1})
    assert response.json()["token"] == "access-2"
    assert [seen.path for seen in upstream.seen] == ["/orders/", "/refresh", "/orders/"]
    assert [past.status_code for past in response.history] == [401]
    first, again = upstream.calls("/orders/")
    assert first.body == again.body == b'{"a": 1}'


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429, 500, 503])
def test_error_that_is_not_about_the_token(client: UpstreamClient, upstream: Upstream, status: int) -> None:
    """Any error that is not about the token is handed to the caller, unchanged."""
    upstream.answers["/orders/"] = Answer(status, {"detail": "no"})
    response = client.get("orders/")
    assert (response.status_code, response.json()) == (status, {"detail": "no"})
    assert len(upstream.seen) == 1


def test_refresh_refused(client: UpstreamClient, upstream: Upstream, mailoutbox: list[mail.EmailMessage]) -> None:
    """A refused refresh makes the credential rejected, tells the admins once, and fails every further call at once."""
    upstream.expire()
    upstream.refresh = "another"
    for _ in range(3):
        with pytest.raises(CredentialRejected, match="upstream_login up"):
            client.get("orders/")
    assert [seen.path for seen in upstream.seen] == ["/orders/", "/refresh"]
    assert Credential.objects.get().state == "rejected"
    assert [message.subject for message in mailoutbox] == ["[Django] jwt_upstream: up/default is rejected"]


def test_account_locked(client: UpstreamClient, upstream: Upstream, mailoutbox: list[mail.EmailMessage]) -> None:
    """A 401 that says the account is disabled locks the credential: no refresh, no retry, one mail."""
    upstream.answers["/orders/"] = Answer(401, {"code": 401, "message": "Account is disabled."})
    for _ in range(3):
        with pytest.raises(AccountLocked):
            client.get("orders/")
    assert [seen.path for seen in upstream.seen] == ["/orders/"]
    assert Credential.objects.get().state == "locked"
    assert [message.subject for message in mailoutbox] == ["[Django] jwt_upstream: up/default is locked"]


def test_second_401(client: UpstreamClient, upstream: Upstream) -> None:
    """The second answer goes to the caller whatever it is, and the route does not hammer the token endpoint."""
    upstream.answers["/orders/"] = Answer(401, {"detail": "never"})
    for _ in range(3):
        assert client.get("orders/").status_code == 401
    assert upstream.refreshes == 1
    assert Credential.objects.get().state == "active"
