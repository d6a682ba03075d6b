"""One call with the stored token as it is: what the upstream thinks of it, with nothing changed."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet

from jwt_upstream.admin.trial import try_call
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialUnreadable, ForeignOrigin, NotLoggedIn, UpstreamError
from jwt_upstream.models import Credential
from tests.support.rows import kinds, unbind
from tests.support.upstream import Answer, Upstream


def test_answer_is_explained(client: UpstreamClient, upstream: Upstream) -> None:
    """A good answer is read as the backend reads it, and its fields are named without their values."""
    reading = try_call("up", "default", "me/")
    assert (reading.verdict.name, reading.status) == ("OK", 200)
    assert reading.fields == ["path (text)", "token (text)"]
    assert [seen.method for seen in upstream.seen] == ["GET"]


def test_expired_token_is_not_refreshed(client: UpstreamClient, upstream: Upstream) -> None:
    """A refused token costs one request and changes nothing, however a call would go on."""
    upstream.expire()
    assert try_call("up", "default", "me/").verdict.name == "EXPIRED"
    assert [seen.path for seen in upstream.seen] == ["/me/"]
    assert kinds() == ["logged_in"]


def test_locked_account_is_not_recorded(client: UpstreamClient, upstream: Upstream) -> None:
    """An answer that would lock the credential, and quotes its token, is told without the token, and locks nothing."""
    upstream.answers["/me/"] = Answer(401, {"message": "Account is disabled.", "x": "access-1"})
    reading = try_call("up", "default", "me/")
    assert (reading.verdict.name, reading.reason) == ("LOCKED", "HTTP 401: Account is disabled.")
    assert Credential.objects.get().state == "active"


def test_redirect_is_not_followed(client: UpstreamClient, upstream: Upstream) -> None:
    """It is one request, also where the answer leads elsewhere."""
    upstream.answers["/me/"] = Answer(302, {}, {"Location": f"{upstream.url}other"})
    assert try_call("up", "default", "me/").headers["Location"] == f"{upstream.url}other"
    assert len(upstream.seen) == 1


def test_state_does_not_matter(client: UpstreamClient, upstream: Upstream) -> None:
    """A credential that needs a human can be tested: the upstream may have changed its mind."""
    Credential.objects.update(state="locked")
    assert try_call("up", "default", "me/").verdict.name == "OK"


def test_no_token(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Without a token, or without the key, nothing is sent."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CredentialUnreadable):
        try_call("up", "default", "me/")
    client.logout()
    with pytest.raises(NotLoggedIn, match="up/default has no access token to call with"):
        try_call("up", "default", "me/")
    assert upstream.seen == []


def test_other_hosts_get_no_token(client: UpstreamClient) -> None:
    """The token goes to the upstream only."""
    with pytest.raises(ForeignOrigin):
        try_call("up", "default", "https://elsewhere.example.com/")


def test_nobody_answers(client: UpstreamClient, settings: Any) -> None:
    """Where there is no answer the error says why, and neither it nor its cause has the token."""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://127.0.0.1:1/"
    unbind()
    with pytest.raises(UpstreamError, match="No answer: NewConnectionError: Connection refused") as caught:
        try_call("up", "default", "me/")
    assert (caught.value.request, caught.value.__suppress_context__) == (None, True)
