"""Calls from async code."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import async_to_sync

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialRejected
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.upstream import Upstream


@pytest.mark.parametrize("verb", ["get", "options", "head", "post", "put", "patch", "delete"])
def test_verbs(client: UpstreamClient, upstream: Upstream, verb: str) -> None:
    """Each verb has its async namesake, which refreshes as well."""
    upstream.expire()
    response = async_to_sync(getattr(client, f"a{verb}"))("orders/")
    assert response.status_code == 200
    assert [seen.method for seen in upstream.calls("/orders/")] == [verb.upper()] * 2


def test_concurrent_calls(client: UpstreamClient, upstream: Upstream) -> None:
    """Many tasks with an expired token make one refresh."""
    upstream.expire()
    upstream.refresh_delay = 0.3

    async def calls() -> list[int]:
        responses = await asyncio.gather(*(client.aget("orders/") for _ in range(12)))
        return [response.status_code for response in responses]

    assert async_to_sync(calls)() == [200] * 12
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


def test_cancelled_call(client: UpstreamClient, upstream: Upstream) -> None:
    """A refresh that a cancelled call was waiting for is finished and stored."""
    upstream.expire()
    upstream.refresh_delay = 0.5

    async def call() -> None:
        async with asyncio.timeout(0.2):
            await client.aget("orders/")

    with pytest.raises(TimeoutError):
        async_to_sync(call)()
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-2"
    assert upstream.refreshes == 1


def test_loop_that_is_gone(client: UpstreamClient) -> None:
    """A call that outlives the event loop it was awaited on ends with an error, and leaves nothing unawaited."""
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        client._request_in_thread(loop, "GET", "orders/")


@pytest.mark.django_db
def test_inside_a_test_case(upstream: Upstream) -> None:
    """In users' async tests the database is used where the test's transaction is."""
    client = UpstreamClient("up")
    client.adopt(TokenPair("stale", "refresh-1"))
    upstream.issue()
    assert async_to_sync(client.aget)("orders/").json()["token"] == "access-2"
    assert Credential.objects.get().pair.refresh == "refresh-2"
    upstream.refresh = "gone"
    upstream.expire()
    with pytest.raises(CredentialRejected):
        async_to_sync(client.apost)("orders/", data=b"x")
