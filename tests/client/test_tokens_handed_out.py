"""Access tokens for what speaks no HTTP of ours: WebSocket, gRPC, an SDK that asks for its key."""

from __future__ import annotations

import asyncio
import copy
import pickle
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import SynchronousOnlyOperation
from django.utils import timezone

from jwt_upstream.client import UpstreamClient
from jwt_upstream.client.async_threads import call_threads
from jwt_upstream.exceptions import CredentialRejected, NotLoggedIn
from jwt_upstream.models import Credential
from jwt_upstream.tokens import AccessToken
from tests.support.reporters import everything, searcher
from tests.support.upstream import Upstream


def test_good_token(client: UpstreamClient, upstream: Upstream, django_assert_num_queries: Any) -> None:
    """A token is handed out with its expiry; while it is good, the same one, without a query and a request."""
    upstream.lifetime = 600
    client.refresh()
    token = client.token()
    assert token.access in upstream.access
    assert token.expires_at is not None
    assert timedelta(seconds=590) < token.expires_at - timezone.now() < timedelta(seconds=600)
    upstream.seen.clear()
    with django_assert_num_queries(0):
        assert client.token().access == token.access
    assert upstream.seen == []


def test_token_whose_expiry_is_near(client: UpstreamClient, upstream: Upstream) -> None:
    """It is refreshed before it is handed out."""
    before = client.token()
    now = timezone.now()
    Credential.objects.update(obtained_at=now - timedelta(hours=1), access_expires_at=now + timedelta(seconds=5))
    assert client.token().access != before.access
    assert upstream.refreshes == 1


def test_refused_token(client: UpstreamClient, upstream: Upstream) -> None:
    """A token that was refused is replaced once, whoever says so."""
    first, other = client.token(), UpstreamClient("up").token()
    upstream.expire()
    second = client.refused(first)
    assert second.access in upstream.access
    assert UpstreamClient("up").refused(other).access == second.access
    assert upstream.refreshes == 1


def test_error_shows_no_token(client: UpstreamClient, upstream: Upstream) -> None:
    """The error of a refresh that is refused shows neither the token that was refused, nor another one."""
    upstream.expire()
    upstream.refresh = "another"
    with pytest.raises(CredentialRejected) as caught:
        client.refused(client.token())
    found = searcher(["access-1", "refresh-1"])
    assert [(place, shown) for place, text in everything(caught.value) if (shown := found(text))] == []


def test_refreshes_that_do_not_help(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """What refuses every token does not make the token endpoint be hammered."""
    token = client.token()
    for _ in range(5):
        token = client.refused(token)
    assert upstream.refreshes == 1


def test_old_token_that_is_refused(client: UpstreamClient, upstream: Upstream) -> None:
    """The replacement of a token that has served for long may be replaced as well."""
    token = client.token()
    Credential.objects.update(obtained_at=timezone.now() - timedelta(hours=1))
    for _ in range(5):
        token = client.refused(token)
    assert upstream.refreshes == 2


def test_no_token(client: UpstreamClient, upstream: Upstream) -> None:
    """Where a person must act there is none."""
    token = client.token()
    upstream.refresh = "gone"
    with pytest.raises(CredentialRejected):
        client.refused(token)
    client.logout()
    with pytest.raises(NotLoggedIn):
        client.token()


def test_awaited(client: UpstreamClient, upstream: Upstream) -> None:
    """Tokens are awaited in async code, where the methods that block are refused."""

    async def use() -> str:
        token = await client.atoken()
        upstream.expire()
        return (await client.arefused(token)).access

    assert async_to_sync(use)() in upstream.access

    async def block() -> None:
        with pytest.raises(SynchronousOnlyOperation, match="atoken"):
            client.token()
        with pytest.raises(SynchronousOnlyOperation):
            client.refused(AccessToken("a"))

    asyncio.run(block())


def test_cached_token_needs_no_thread(client: UpstreamClient, settings: Any) -> None:
    """Awaited, a token that this process has read a moment ago is there at once, whatever its threads are doing."""
    settings.JWT_UPSTREAM_ASYNC_THREADS = 7
    known = client.token()
    assert asyncio.run(client.atoken()).access == known.access
    pool = call_threads()._pools.get(("up", 0))
    assert pool is None or pool._max_workers != 7  # else a new one would have been made


def test_copied() -> None:
    """A copy of a token is the token, so that a dataclass which holds one can be copied and made a dict."""

    @dataclass
    class Session:
        token: AccessToken

    session = Session(AccessToken("s3cret"))
    assert asdict(session) == {"token": session.token}
    assert copy.copy(session.token) is copy.deepcopy(session).token is session.token


def test_nothing_is_shown() -> None:
    """The token is in no repr, string or pickle."""
    token = AccessToken("s3cret")
    assert "s3cret" not in f"{token} {token!r}"
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(token)
