"""Libraries that keep answers, share calls out among threads or limit their rate, with accounts that stay apart."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from copy import copy
from pathlib import Path
from typing import Any

import pytest
import requests
from cachecontrol import CacheControl, CacheControlAdapter
from cachecontrol.caches import FileCache, SeparateBodyFileCache
from django.db import connections
from requests_cache import CachedSession, CacheMixin
from requests_cache.backends.base import BaseCache
from requests_futures.sessions import FuturesSession
from requests_ratelimiter import LimiterAdapter, LimiterMixin

from jwt_upstream.client import UpstreamClient
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Answer, Seen, Upstream


class CachedClient(CacheMixin, UpstreamClient):
    """A client with requests-cache, as its documentation says."""


class OtherCachedClient(CachedSession, UpstreamClient):
    """The same, in another way."""


def whose(seen: Seen) -> Answer | None:
    """An answer that says whose token it was asked with, and may be kept for an hour."""
    return Answer(200, {"token": seen.token}, {"Cache-Control": "max-age=3600"})


@pytest.fixture
def names(upstream: Upstream, transactional_db: None) -> list[str]:
    """The names of two accounts, each with a token of its name."""
    names = ["ann", "bob"]
    for account in names:
        UpstreamClient("up", account).adopt(TokenPair(account))
    upstream.answers["/me/"] = whose
    return names


# -- requests-cache


@pytest.mark.parametrize("kind", [CachedClient, OtherCachedClient])
@pytest.mark.parametrize("options", [{}, {"match_headers": True}, {"ignored_parameters": None}])
def test_accounts_are_apart(names: list[str], upstream: Upstream, kind: Any, options: dict[str, Any]) -> None:
    """Of a cache that is shared, each account is given its own answers alone, by paths and prepared requests alike."""
    cache = BaseCache()
    prepared = UpstreamClient("up", "ann").prepare_request(requests.Request("GET", "me/"))
    for _ in range(2):
        for name in names:
            client = kind(backend=cache, alias="up", account=name, **options)
            assert client.get("me/").json() == {"token": name}
            assert client.send(prepared.copy()).json() == {"token": name}
            assert copy(client).get("me/").json() == {"token": name}
    assert [seen.token for seen in upstream.seen] == names
    client.cache.clear()
    assert not cache.responses


def test_schemas_are_apart(names: list[str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account of the same name in another tenant's schema is another account."""
    client = CachedClient(backend="memory", alias="up", account="ann")
    for schema in ("acme", "globex", "acme"):
        monkeypatch.setitem(vars(connections["default"]), "schema_name", schema)
        client.get("me/")
    assert len(upstream.seen) == 2


def test_what_is_cached(client: UpstreamClient, upstream: Upstream) -> None:
    """A call with a redirect and a refresh is answered from the cache afterwards, which holds no token."""
    upstream.answers["/old/"] = lambda seen: (
        Answer(302, b"", {"Location": "/new/"}) if seen.token in upstream.access else None
    )
    upstream.answers["/new/"] = lambda seen: Answer(200, {"id": 7}) if seen.token in upstream.access else None
    upstream.expire()
    cache = BaseCache()
    for is_cached in (False, True):
        cached: Any = CachedClient(backend=cache, alias="up")
        response = cached.get("old/")
        assert (response.json(), response.from_cache) == ({"id": 7}, is_cached)
        assert response.history[-1].status_code == 302
    assert upstream.refreshes == 1
    assert asyncio.run(cached.aget("old/")).from_cache
    assert b"access-" not in pickle.dumps(dict(cache.responses))


def test_cache_of_another_kind(upstream: Upstream, transactional_db: None) -> None:
    """A client of a project's own may call anything its cache."""
    client = UpstreamClient("up")
    assert not hasattr(client, "cache")
    client.cache = {"a": 1}
    assert (client.cache, copy(client).cache) == ({"a": 1}, {"a": 1})


INSTALLED_FIRST = """
import requests_cache
requests_cache.install_cache(backend="memory", allowable_methods=["GET", "POST"])
import django
django.setup()
import sys
from jwt_upstream.client import UpstreamClient
from django.conf import settings
from django.core.management import call_command
settings.DATABASES["default"]["NAME"] = ":memory:"
settings.JWT_UPSTREAM = {"up": {"BASE_URL": sys.argv[1], "OPTIONS": {"refresh_fields": {"refresh": "{refresh}"}}}}
call_command("migrate", "jwt_upstream", verbosity=0)
UpstreamClient("up").login(username="bob", password="correct horse")
for _ in range(2):
    UpstreamClient("up").get("orders/")
    UpstreamClient("up").refresh()
"""


def test_cache_for_all_sessions(upstream: Upstream) -> None:
    """``requests_cache.install_cache()`` answers no call, login or refresh, even if it comes before our import."""
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    command = [sys.executable, "-c", INSTALLED_FIRST, upstream.url]
    subprocess.run(command, env=environment, check=True, timeout=60)
    tokens = [(seen.path, seen.token) for seen in upstream.seen]
    assert tokens == [
        ("/login", ""),
        ("/orders/", "access-1"),
        ("/refresh", ""),
        ("/orders/", "access-2"),
        ("/refresh", ""),
    ]


# -- CacheControl


@pytest.mark.parametrize("kind", [FileCache, SeparateBodyFileCache])
def test_cache_control(names: list[str], upstream: Upstream, kind: Any, tmp_path: Path) -> None:
    """Of CacheControl's cache, too, each account is given its own answers alone, by any client."""
    cache = kind(tmp_path)
    for _ in range(2):
        for name in names:
            client = CacheControl(UpstreamClient("up", name), cache)
            assert client.get("me/").json() == {"token": name}
    assert [seen.token for seen in upstream.seen] == names


def test_adapter_of_two_accounts(names: list[str]) -> None:
    """An adapter that keeps the answers of one account may be mounted by its clients, and by no other account's."""
    adapter = CacheControlAdapter()
    for _ in range(2):
        UpstreamClient("up", "ann").mount("https://", adapter)
    with pytest.raises(ValueError, match="another account"):
        UpstreamClient("up", "bob").mount("https://", adapter)


# -- requests-futures, requests-ratelimiter


class ThreadsClient(UpstreamClient):
    """A client for threads that nobody tells to close their database connection, as Django does after a request."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        try:
            return super().send(request, **kwargs)
        finally:
            connections.close_all()


def test_futures(names: list[str], upstream: Upstream) -> None:
    """Sessions of requests-futures that call in the same threads keep to their own accounts."""
    futures = [FuturesSession(session=ThreadsClient("up", name), max_workers=2) for name in names]
    answers = [(name, session.get("me/")) for _ in range(5) for name, session in zip(names, futures, strict=True)]
    assert all(answer.result(20).json() == {"token": name} for name, answer in answers)
    for session in futures:
        session.close()


class LimitedClient(LimiterMixin, UpstreamClient):
    """A client with requests-ratelimiter, as its documentation says."""


def test_rate_limits(client: UpstreamClient, upstream: Upstream) -> None:
    """As a class requests-ratelimiter counts a call once; as an adapter it counts what is sent again as well."""
    with LimitedClient(per_hour=1, max_delay=0, alias="up") as limited:
        upstream.expire()
        assert limited.get("orders/").status_code == 200
        with pytest.raises(requests.Timeout):
            limited.get("orders/")
    adapter = LimiterAdapter(per_hour=1, max_delay=0)
    client.mount("http://", adapter)
    upstream.expire()
    with pytest.raises(requests.Timeout):
        client.get("orders/")
    adapter.close()
