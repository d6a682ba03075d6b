"""The client: each row of the design's first table, over real HTTP, and what else is said of a call."""

from __future__ import annotations

import asyncio
import gc
import pickle
import threading
import time
import weakref
from collections.abc import Callable
from copy import copy, deepcopy
from cProfile import Profile
from functools import partial
from typing import Any

import pytest
import requests
import responses
from django.core import mail
from django.core.exceptions import SynchronousOnlyOperation
from requests.adapters import HTTPAdapter

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import (
    AccountLocked,
    CredentialRejected,
    ForeignOrigin,
    NotLoggedIn,
    UpstreamNotConfigured,
)
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Answer, Upstream

LOCKED = Answer(401, {"code": 401, "message": "Account is disabled."})


# -- the design's first table


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
    assert response.history[0].json()["code"] == "token_not_valid"
    first, again = upstream.calls("/orders/")
    assert first.body == again.body == b'{"a": 1}'


def test_what_a_call_costs(client: UpstreamClient, upstream: Upstream) -> None:
    """With a good token it calls less than twice as many functions as requests' adapter alone with a ready request.

    A session of requests calls four times as many as the adapter. Functions are counted, since their time depends on
    what else the machine does.
    """
    url, adapter = f"{upstream.url}orders/", HTTPAdapter()
    ready = requests.Request("GET", url, {"Authorization": "Bearer access-1"}).prepare()
    alone = functions(lambda: adapter.send(ready, timeout=10).content)
    assert functions(lambda: client.get("orders/").content) < 1.7 * alone
    assert functions(lambda: UpstreamClient("up").get("orders/").content) < 2.0 * alone


def functions(call: Callable[[], Any]) -> int:
    """Return how many functions written in Python a call calls, the second time."""
    call()
    profile = Profile(builtins=False)
    profile.runcall(call)
    return sum(entry.callcount for entry in profile.getstats())


def test_client_is_freed_at_once(client: UpstreamClient) -> None:
    """A client that nobody has any more is gone, and is not left to the garbage collector."""
    gc.disable()
    try:
        each = UpstreamClient("up")
        each.get("orders/")
        gone = weakref.ref(each)
        del each
        assert gone() is None
    finally:
        gc.enable()


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
        with pytest.raises(CredentialRejected, match="upstream_login up") as caught:
            client.get("orders/")
        assert (str(caught.value.credential), caught.value.reason) == (
            "up/default",
            "HTTP 401: Token is invalid or expired",
        )
    assert [seen.path for seen in upstream.seen] == ["/orders/", "/refresh"]
    assert Credential.objects.get().state == "rejected"
    assert [message.subject for message in mailoutbox] == ["[Django] jwt_upstream: up/default is rejected"]


def test_account_locked(client: UpstreamClient, upstream: Upstream, mailoutbox: list[mail.EmailMessage]) -> None:
    """A 401 that says the account is disabled locks the credential: no refresh, no retry, one mail."""
    upstream.answers["/orders/"] = LOCKED
    with pytest.raises(AccountLocked) as caught:
        client.get("orders/")
    assert caught.value.response is not None
    assert caught.value.response.json()["message"] == "Account is disabled."
    for another in (client, UpstreamClient("up")):
        with pytest.raises(AccountLocked):
            another.get("orders/")
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


# -- further states


def test_never_logged_in(upstream: Upstream, transactional_db: None) -> None:
    """Without a credential the error says how to log in, and nothing is sent."""
    with pytest.raises(NotLoggedIn, match=r"up/ann was never logged in.*upstream_login up --account ann"):
        UpstreamClient("up", account="ann").get("orders/")
    assert upstream.seen == []


def test_logged_out(client: UpstreamClient, upstream: Upstream) -> None:
    """After a logout nothing is sent and no token is stored, until the next login."""
    client.logout()
    with pytest.raises(NotLoggedIn, match="logged out"):
        client.get("orders/")
    assert (upstream.seen, bool(Credential.objects.get().access_token)) == ([], False)
    client.login(username=upstream.user, password=upstream.password)
    assert client.get("orders/").status_code == 200


def test_another_client_of_the_process_learns_at_once(client: UpstreamClient, upstream: Upstream) -> None:
    """What one client finds out another one of the same process doesn't have to find out by a call."""
    another = UpstreamClient("up")
    another.get("orders/")
    client.refresh()
    assert another.get("orders/").json()["token"] == "access-2"
    assert len(upstream.calls("/orders/")) == 2


def test_token_stored_by_other_means(client: UpstreamClient, upstream: Upstream) -> None:
    """A token that somebody wrote into the row revives a rejected credential."""
    upstream.expire()
    pair, upstream.refresh = upstream.refresh, "another"
    with pytest.raises(CredentialRejected):
        client.get("orders/")
    upstream.access.add("restored")
    Credential.objects.update(access_token="restored", refresh_token=pair)
    assert client.get("orders/").json()["token"] == "restored"
    assert Credential.objects.get().state == "active"


def test_no_query_after_the_first_call(client: UpstreamClient, django_assert_num_queries: Any) -> None:
    """A client asks the database once, not on every call."""
    with django_assert_num_queries(1):
        client.get("orders/")
    with django_assert_num_queries(0):
        client.get("orders/")


def test_cached_token_expires_with_the_token(client: UpstreamClient, upstream: Upstream) -> None:
    """A token that is about to expire is not cached for longer than half of the time that is left."""
    upstream.lifetime = 2
    client.refresh()
    token = client._tokens.current(client.backend)
    assert 0 < token.good_until - time.monotonic() <= 1


def test_accounts_are_separate(client: UpstreamClient, upstream: Upstream) -> None:
    """Two accounts at one upstream are two credentials with a token each."""
    another = UpstreamClient("up", account="tenant-42")
    another.adopt(TokenPair("tenant"))
    upstream.access.add("tenant")
    assert another.get("orders/").json()["token"] == "tenant"
    assert client.get("orders/").json()["token"] == "access-1"


def test_unknown_alias() -> None:
    """An alias that is not configured is an error of the deployment, which names those that are."""
    with pytest.raises(UpstreamNotConfigured, match="no upstream 'nobody' in JWT_UPSTREAM; it has crm, erp"):
        UpstreamClient("nobody")


# -- where the token goes


@pytest.mark.parametrize(
    "url",
    ["orders/", "./orders/", "x/../orders/", "/orders/", "?", b"orders/", "HTTP://127.0.0.1:{port}/orders/"],
)
def test_own_origin(client: UpstreamClient, upstream: Upstream, url: str | bytes) -> None:
    """Paths are joined to BASE_URL as a browser would, and absolute URLs may lead to the same origin."""
    if isinstance(url, str):
        url = url.format(port=upstream.url.rsplit(":", 1)[1].strip("/"))
    assert client.get(url).json()["token"] == "access-1"


@pytest.mark.parametrize(
    "url",
    [
        "http:///orders/",
        "https:///orders/",
        " HTTP:///x",
        "http://",
        "https://?a=1",
        "http://#a",
        "http://fe80::5054:ff",
    ],
)
def test_url_without_a_host(client: UpstreamClient, upstream: Upstream, url: str) -> None:
    """A URL that has a scheme and no host that can be read is not taken for a path, nor for another origin."""
    with pytest.raises(requests.exceptions.InvalidURL):
        client.get(url)
    assert upstream.seen == []


def test_request_that_is_not_prepared(client: UpstreamClient, upstream: Upstream) -> None:
    """Only a prepared request can be sent, as with a plain session, and the error says how to make one."""
    with pytest.raises(ValueError, match="prepare_request"):
        client.send(requests.Request("GET", upstream.url))  # type: ignore[arg-type]


class Crm(UpstreamClient):
    """A project's own client, which is made in another way and has attributes of its own."""

    def __init__(self, tenant: int) -> None:
        super().__init__("up", f"tenant-{tenant}")
        self.tenant = tenant
        self._cache = {"a": 1}


class WithLock(UpstreamClient):
    """One that says what travels, as requests has its subclasses say, since a lock can't."""

    __attrs__ = [*requests.Session.__attrs__, "tenant"]

    def __init__(self, tenant: int) -> None:
        super().__init__("up", f"tenant-{tenant}")
        self.tenant, self.lock = tenant, threading.Lock()


def test_copy_of_a_subclass_with_attrs(upstream: Upstream, transactional_db: None) -> None:
    """Where a subclass has ``__attrs__`` of its own, what it lists travels besides the account, and nothing else."""
    client = WithLock(42)
    client.headers["X-Own"] = "mine"
    for copied in (copy(client), deepcopy(client), pickle.loads(pickle.dumps(client))):
        assert (copied.account, copied.tenant, copied.headers["X-Own"]) == ("tenant-42", 42, "mine")
        assert not hasattr(copied, "lock")


@pytest.mark.parametrize("copied", [copy, deepcopy, lambda client: pickle.loads(pickle.dumps(client))])
def test_copy_of_a_subclass(upstream: Upstream, transactional_db: None, copied: Callable[[Crm], Crm]) -> None:
    """A copied or pickled client of a project's own class keeps its account and its attributes."""
    client = Crm(42)
    client.headers["X-Own"] = "mine"
    client.adopt(TokenPair(upstream.issue()["access"]))
    other = copied(client)
    assert (type(other), other.account, other.tenant, other._cache) == (Crm, "tenant-42", 42, {"a": 1})
    assert other.get("orders/").status_code == 200
    assert upstream.seen[-1].headers["X-Own"] == "mine"


def test_use_in_an_event_loop(client: UpstreamClient, upstream: Upstream) -> None:
    """In async code a call, a login and the like say what to do, whether the token is cached or not."""

    async def use(method: Callable[[], object]) -> None:
        with pytest.raises(SynchronousOnlyOperation, match=r"await client\.aget\(\)"):
            method()

    client.get("orders/")
    cold = UpstreamClient("up", "cold")
    pair = TokenPair("a")
    for each in (client, cold):
        for method in (partial(each.get, "orders/"), each.refresh, each.logout, partial(each.adopt, pair), each.login):
            asyncio.run(use(method))
    assert len(upstream.seen) == 1


def test_request_prepared_by_hand(client: UpstreamClient, upstream: Upstream) -> None:
    """A prepared request goes through the same door."""
    with pytest.raises(ForeignOrigin):
        client.send(requests.Request("GET", "http://evil.example.net/").prepare())
    prepared = requests.Request("GET", f"{upstream.url}orders/").prepare()
    assert client.send(prepared).json()["token"] == "access-1"
    assert "Authorization" not in prepared.headers


@pytest.mark.parametrize("how", [{"headers": {"Authorization": "Bearer mine"}}, {"auth": ("me", "secret")}])
def test_authorization_of_the_caller(client: UpstreamClient, upstream: Upstream, how: dict[str, Any]) -> None:
    """A caller's own Authorization is refused, with a word on what to do."""
    with pytest.raises(requests.exceptions.InvalidHeader, match="remove yours"):
        client.get("orders/", **how)
    for name, value in how.items():
        setattr(client, name, value)
    with pytest.raises(requests.exceptions.InvalidHeader, match="remove yours"):
        client.get("orders/")
    assert upstream.seen == []


def redirect(to: str, status: int = 302) -> Answer:
    return Answer(status, b"", {"Location": to})


# -- like a plain Session


def test_hooks_see_the_answer_of_the_caller(client: UpstreamClient, upstream: Upstream) -> None:
    """Hooks run for the answer which the caller gets, not for the 401 that was dealt with."""
    upstream.expire()
    seen: list[int] = []

    def hook(response: requests.Response, **_: Any) -> None:
        seen.append(response.status_code)
        response.raise_for_status()

    assert client.get("orders/", hooks={"response": hook}).status_code == 200
    assert seen == [200]


def test_stream(client: UpstreamClient, upstream: Upstream) -> None:
    """With stream=True the body is read by nobody but the caller, also after a refresh."""
    upstream.expire()
    upstream.answers["/big/"] = lambda seen: Answer(200, b"x" * 200_000) if seen.token == "access-2" else None
    with client.get("big/", stream=True) as response:
        assert not response._content_consumed
        assert b"".join(response.iter_content(1000)) == b"x" * 200_000


def test_long_401_can_be_read(client: UpstreamClient, upstream: Upstream) -> None:
    """A final 401 is whole, however long its body is."""
    upstream.answers["/big/"] = Answer(401, b"x" * 200_000)
    assert client.get("big/").content == b"x" * 200_000
    with client.get("big/", stream=True) as response:
        assert b"".join(response.iter_content(1000)) == b"x" * 200_000


def test_timeout(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A call without a timeout of its own, or with None, has the backend's, and so has each hop of a redirect."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["timeout"] = (1, 0.1)
    upstream.answers["/slow/"] = Answer(200, {}, delay=0.5)
    upstream.answers["/old/"] = redirect("/slow/")
    calls: list[Callable[[], requests.Response]] = [
        lambda: client.get("slow/"),
        lambda: client.get("slow/", timeout=None),
        lambda: client.get("old/"),
        lambda: client.send(requests.Request("GET", f"{upstream.url}slow/").prepare()),
    ]
    for call in calls:
        with pytest.raises(requests.ReadTimeout):
            call()
    assert client.get("slow/", timeout=5).status_code == 200


def test_closing(client: UpstreamClient, upstream: Upstream) -> None:
    """A client is a context manager; closing it closes what was mounted on it, not the connections of others."""
    mounted = HTTPAdapter()
    with UpstreamClient("up") as another:
        another.mount("https://api.example.com/", mounted)
        another.get("orders/")
    client.get("orders/")
    assert upstream.connections == 2  # one for the login, which shares nothing, one for the calls


def test_pickled_client(client: UpstreamClient) -> None:
    """A client can be sent to a worker and copied: it is its alias, its account and what was set, without a token."""
    client.headers["X-Tenant"], client.params = "7", {"page": "2"}
    client.get("orders/")
    pickled = pickle.dumps(client)
    assert b"access-1" not in pickled
    for another in (pickle.loads(pickled), copy(client), deepcopy(client)):
        response = another.get("orders/")
        assert response.json()["path"] == "/orders/?page=2"
        assert response.request.headers["X-Tenant"] == "7"
    assert repr(client) == "<UpstreamClient up/default>"


@pytest.mark.django_db
def test_with_responses(settings: Any) -> None:
    """Users' tests can use responses, and see the token there."""
    client = UpstreamClient("crm")
    client.adopt(TokenPair("old", "r1"))
    with responses.RequestsMock() as mocked:
        good = responses.matchers.header_matcher({"Authorization": "Bearer new"})
        old = responses.matchers.header_matcher({"Authorization": "Bearer old"})
        mocked.get("https://crm.example.com/api/orders/", status=401, match=[old])
        mocked.post("https://crm.example.com/api/token/refresh/", json={"access": "new", "refresh": "r2"})
        mocked.get("https://crm.example.com/api/orders/", json=[1], match=[good])
        assert client.get("orders/").json() == [1]
        assert mocked.calls[0].request.headers["Authorization"] == "Bearer old"


# -- no token in what comes back


def test_token_is_not_in_the_response(client: UpstreamClient) -> None:
    """The answer's request is without the token, so an answer can be logged and pickled."""
    response = client.get("orders/", headers={"X-Mine": "1"})
    assert "Authorization" not in response.request.headers
    assert response.request.headers["X-Mine"] == "1"
    response._content = b""  # which, in this upstream, is the token
    assert b"access-1" not in pickle.dumps(response)


def test_refresh_token_is_not_cached(client: UpstreamClient) -> None:
    """A client caches the access token for a while, the refresh token never."""
    client.get("orders/")
    token = client._tokens.current(client.backend)
    assert (token.pair.access, token.pair.refresh) == ("access-1", "")


def test_repr_of_one_that_is_not_finished(settings: Any) -> None:
    """Where making a client fails, tools that show variables can show it."""
    settings.JWT_UPSTREAM = {}
    half_made = UpstreamClient.__new__(UpstreamClient)
    with pytest.raises(UpstreamNotConfigured):
        UpstreamClient.__init__(half_made, "up", "anna")
    assert repr(half_made) == "<UpstreamClient up/anna>"
