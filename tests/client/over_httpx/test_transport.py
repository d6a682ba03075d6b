"""The transport, where httpx differs from requests; what they have in common is in ``test_every_caller``."""

from __future__ import annotations

import asyncio
import io
import pickle
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from copy import copy, deepcopy
from pathlib import Path
from shutil import which
from typing import Any

import anyio
import httpx
import httpx2
import pytest
import requests
import trustme
from asgiref.sync import async_to_sync
from requests.exceptions import InvalidHeader, InvalidURL

from jwt_upstream.backends import Backend, Verdict, Where
from jwt_upstream.client import UpstreamClient
from jwt_upstream.client.over_httpx.pools import pools
from jwt_upstream.exceptions import (
    BodyNotReplayable,
    CredentialRejected,
    ForeignOrigin,
    NotLoggedIn,
    UpstreamMisconfigured,
    UpstreamNotConfigured,
)
from jwt_upstream.httpx_auth import AsyncUpstreamClient, UpstreamAuth, UpstreamTransport
from jwt_upstream.measurements import call_finished
from jwt_upstream.tokens import Secrets, TokenPair
from tests.support import forks
from tests.support.callers import CALLERS, Awaited, Caller, Waiting
from tests.support.interruptions import Interrupted
from tests.support.proxy import Proxy
from tests.support.rows import unbind
from tests.support.upstream import Answer, Upstream

MODULES = pytest.mark.parametrize("module", [httpx2, httpx], ids=lambda module: module.__name__)


def client_of(module: Any, upstream: Upstream, **options: Any) -> Any:
    return module.Client(base_url=upstream.url, transport=UpstreamTransport("up"), **options)


def test_names(client: UpstreamClient) -> None:
    """Each says whose it is, and an account or alias that can't be is an error at once."""
    made = [UpstreamTransport("up", "acme"), UpstreamAuth("up", "acme"), AsyncUpstreamClient("up", "acme")]
    assert [repr(each) for each in made] == [
        "<UpstreamTransport up/acme>",
        "<UpstreamAuth up/acme>",
        "<AsyncUpstreamClient up/acme>",
    ]
    with pytest.raises(UpstreamNotConfigured):
        UpstreamTransport("nope")
    with pytest.raises(ValueError, match="account"):
        UpstreamAuth("up", "")


@pytest.mark.parametrize("copied", [copy, deepcopy, lambda sending: pickle.loads(pickle.dumps(sending))])
@pytest.mark.parametrize("kind", [UpstreamTransport, UpstreamAuth])
def test_copies(client: UpstreamClient, upstream: Upstream, kind: Any, copied: Any) -> None:
    """A copy is the account's, with what was set on it; it has no token, and is told of those that are replaced."""
    parameter = {UpstreamTransport: "transport", UpstreamAuth: "auth"}[kind]
    used = kind("up")
    used.note = "mine"
    with httpx2.Client(**{parameter: used}) as calling:
        calling.get(f"{upstream.url}orders/")
    another = copied(used)
    assert (repr(another), another.note) == (repr(used), "mine")
    with httpx2.Client(**{parameter: another}) as calling:
        assert calling.get(f"{upstream.url}orders/").status_code == 200
        another = copied(another)
        client.logout()
    with httpx2.Client(**{parameter: another}) as calling, pytest.raises(NotLoggedIn):
        calling.get(f"{upstream.url}orders/")


# -- what sends


@MODULES
def test_transport_that_is_given(client: UpstreamClient, module: Any) -> None:
    """A transport that is given sends, such as a test's own, and is closed with ours."""

    class Own(module.MockTransport):  # type: ignore[misc]  # the module varies
        is_closed = False

        def close(self) -> None:
            self.is_closed = True

    own = Own(lambda request: module.Response(200, json=dict(request.headers)))
    with module.Client(transport=UpstreamTransport("up", transport=own)) as sending:
        assert sending.get(f"{client.backend.base_url}a/").json()["authorization"] == "Bearer access-1"
    assert own.is_closed


def test_awaited_transport_that_is_given(client: UpstreamClient) -> None:
    """So does one that is awaited."""
    closed = []

    class Own(httpx2.MockTransport):
        async def aclose(self) -> None:
            closed.append(self)

    async def call() -> Any:
        own = Own(lambda request: httpx2.Response(200, json=dict(request.headers)))
        async with AsyncUpstreamClient("up", transport=own) as sending:
            return (await sending.get("a/")).json()

    assert async_to_sync(call)()["authorization"] == "Bearer access-1"
    assert len(closed) == 1


@MODULES
def test_connections_are_kept(client: UpstreamClient, upstream: Upstream, module: Any) -> None:
    """However short the life of a client, the next one finds its connection."""
    before = upstream.connections
    for _ in range(3):
        with client_of(module, upstream) as short:
            short.get("orders/")
    assert upstream.connections == before + 1
    pools().close()  # as at the end of the process
    with client_of(module, upstream) as another:
        assert another.get("orders/").status_code == 200
    assert upstream.connections == before + 2


def test_connections_of_an_event_loop(client: UpstreamClient, upstream: Upstream) -> None:
    """Clients of an event loop share connections, which are closed as the loop ends; the next loop has its own."""
    before = upstream.connections

    async def calls() -> None:
        for _ in range(3):
            async with AsyncUpstreamClient("up") as short:
                await short.get("orders/")

    for _ in range(2):
        asyncio.run(calls())
    assert upstream.connections == before + 2


def test_fork(client: UpstreamClient, upstream: Upstream) -> None:
    """A child that was forked shares no connection with its parent, whose transport it uses."""
    with client_of(httpx2, upstream) as used:
        used.get("orders/")
        before = upstream.connections
        result = forks.in_child(lambda: used.get("orders/").json()["token"])
        assert result() == "access-1"
        assert upstream.connections == before + 1
        assert used.get("orders/").json()["token"] == "access-1"
        assert upstream.connections == before + 1


def test_many_hosts(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Wherever redirects lead, a transport doesn't grow."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["origins"] = [f"http://127.0.0.1:{port}" for port in range(1, 251)]
    unbind()
    transport = UpstreamTransport("up")
    with httpx2.Client(transport=transport, timeout=0.5) as trying:
        for port in range(1, 251):
            with pytest.raises(httpx2.ConnectError):
                trying.get(f"http://127.0.0.1:{port}/")
    assert len(transport._wires) <= 100


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize("kind", ["file", "folder", "unverified", "certificate of the client"])
def test_certificates(client: UpstreamClient, settings: Any, tmp_path: Path, authority: trustme.CA, kind: str) -> None:
    """What the upstream is verified with, and what we show it, are the options of the upstream."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle, own = tmp_path / "ca.pem", tmp_path / "own.pem"
    authority.cert_pem.write_to_path(str(bundle))
    authority.issue_cert("us@example.com").private_key_and_cert_chain_pem.write_to_path(str(own))
    options: dict[str, Any] = {"verify": str(bundle)}
    if kind == "folder":
        options["verify"] = str(hashed(tmp_path, bundle))
    elif kind == "unverified":
        options["verify"] = False
    elif kind == "certificate of the client":
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
        options["cert"] = str(own)
    with Upstream(context) as secure:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = secure.url
        settings.JWT_UPSTREAM["up"]["OPTIONS"] |= options
        unbind()
        secure.access = {"access-1"}
        assert CALLERS["httpx2, transport"]("GET", "orders/").status_code == 200


@pytest.mark.parametrize("name", ["UpstreamClient", "httpx2, transport", "AsyncUpstreamClient"])
def test_certificates_that_are_renewed(
    client: UpstreamClient, settings: Any, tmp_path: Path, authority: trustme.CA, name: str
) -> None:
    """The next connection, on the same event loop too, reads the bundle and our own certificate as they are then."""

    async def awaited() -> Any:
        async with AsyncUpstreamClient("up") as calling:
            return await calling.get("orders/")

    context, others, (bundle, own) = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), trustme.CA(), files(tmp_path)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    others.cert_pem.write_to_path(bundle)
    others.issue_cert("old@example.com").private_key_and_cert_chain_pem.write_to_path(own)
    with Upstream(context) as secure, asyncio.Runner() as runner:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = secure.url
        settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"verify": bundle, "cert": own}
        unbind()
        secure.access = {"access-1"}

        def call() -> Any:
            return runner.run(awaited()) if CALLERS[name].is_awaited else CALLERS[name]("GET", "orders/")

        for _ in range(2):
            with pytest.raises((requests.ConnectionError, httpx2.TransportError, ssl.SSLError)):
                call()
            authority.cert_pem.write_to_path(bundle, append=True)
        authority.issue_cert("renewed@example.com").private_key_and_cert_chain_pem.write_to_path(own)
        assert call().status_code == 200


def files(folder: Path) -> list[str]:
    return [str(folder / "bundle.pem"), str(folder / "own.pem")]


def hashed(folder: Path, bundle: Path) -> Path:
    """Return a folder of certificates, each under the hash of its name, as OpenSSL wants it."""
    if not which("openssl"):
        pytest.skip("only openssl knows the hash")
    found = folder / "folder"
    found.mkdir()
    (found / "ca.pem").write_bytes(bundle.read_bytes())
    subprocess.run(["openssl", "rehash", str(found)], check=True)
    return found


# -- shapes of calls


@MODULES
def test_query(
    client: UpstreamClient, upstream: Upstream, settings: Any, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    """A token in the query is in no URL that the caller gets, nor in one that a tracer of httpx's transports sees."""
    traced: list[str] = []
    send = module.HTTPTransport.handle_request

    def tracing(transport: Any, request: Any) -> Any:
        traced.append(str(request.url))
        return send(transport, request)

    monkeypatch.setattr(module.HTTPTransport, "handle_request", tracing)  # as OpenTelemetry does
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"api_headers": {}, "api_query": {"key": "{access}"}}
    upstream.answers["/orders/"] = lambda seen: Answer(200, {"path": seen.path})
    with client_of(module, upstream) as calling:
        response = calling.get("orders/?page=2")
        assert response.json() == {"path": "/orders/?page=2&key=access-1"}
        assert [str(response.url), *traced] == [f"{upstream.url}orders/?page=2"] * 2
        with pytest.raises(ValueError, match="adds key to the query itself"):
            calling.get("orders/?key=mine")
    with Proxy(plain=upstream.url) as proxy, client_of(module, upstream) as calling:
        settings.JWT_UPSTREAM["up"]["OPTIONS"]["proxies"] = {"http": proxy.url}
        calling.get("orders/")
    assert proxy.seen[0] == f"{upstream.url}orders/?key=access-1"


@MODULES
def test_query_that_a_redirect_repeats(client: UpstreamClient, upstream: Upstream, settings: Any, module: Any) -> None:
    """A redirect that repeats the query takes the token to no other origin; inside, the query has it once."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"api_headers": {}, "api_query": {"key": "{access}"}}
    repeated = "page=2&key=access-1"
    upstream.answers["/orders/"] = lambda seen: Answer(200, {"path": seen.path})
    upstream.answers["/old"] = lambda _: Answer(301, b"", {"Location": f"/orders/?{repeated}"})
    with Upstream() as other, client_of(module, upstream, follow_redirects=True) as calling:
        upstream.answers["/away"] = lambda _: Answer(307, b"", {"Location": f"{other.url}there?{repeated}#part"})
        response = calling.get("old?page=2")
        assert response.json() == {"path": f"/orders/?{repeated}"}
        assert str(response.url) == f"{upstream.url}orders/?page=2"
        assert str(calling.get("away?page=2").url) == f"{other.url}there?page=2#part"
        assert [seen.path for seen in other.seen] == ["/there?page=2"]
        shown = calling.get("old?page=2", follow_redirects=False).next_request
        assert str(shown.url) == f"{upstream.url}orders/?page=2"


def addressed(settings: Any, upstream: Upstream, address: str) -> None:
    """Have the API at an address that came with the token."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"base_url_paths": ["address"], "base_url_hosts": ["*.example.com"]}
    UpstreamClient("up").adopt(TokenPair("access-1", "refresh-1", answer=Secrets(base_url=address)))


def test_address_that_came_with_the_token(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A call that was made for BASE_URL goes to the address that came with the token; no other one is called."""
    addressed(settings, upstream, f"{upstream.url}acme/")
    with client_of(httpx2, upstream) as calling:
        assert calling.get("orders/").json()["path"] == "/acme/orders/"
        assert calling.get(f"{upstream.url}acme/orders/").json()["path"] == "/acme/acme/orders/"
        with pytest.raises(ForeignOrigin):
            calling.get("https://other.example.com/")


def test_address_elsewhere(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """An address at a host that the settings don't name is an error, and nothing is sent."""
    addressed(settings, upstream, "https://evil.net/")
    with client_of(httpx2, upstream) as calling, pytest.raises(UpstreamMisconfigured, match="base_url_hosts"):
        calling.get("orders/")
    assert upstream.seen == []


def test_within_base_url(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Where calls may not leave the path of BASE_URL, they don't, however it is written."""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = f"{upstream.url}api/"
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"within_base_url": True, "refresh_path": "/refresh"}
    unbind()
    with client_of(httpx2, upstream) as calling:
        assert calling.get("api/orders/").status_code == 200
        for path in ("orders/", "api/../orders/", "api/%2e%2e/orders/"):
            with pytest.raises(ForeignOrigin, match="below BASE_URL"):
                calling.get(f"{upstream.url}{path}")
        with pytest.raises(InvalidURL, match="extension target"):
            calling.get("api/orders/", extensions={"target": b"/orders/"})


def test_backend_of_the_project(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A backend that signs calls sees their method, URL and body; one that judges answers itself sees all of them."""
    settings.JWT_UPSTREAM["up"]["BACKEND"] = f"{Signing.__module__}.Signing"
    with client_of(httpx2, upstream) as calling:
        assert calling.post("orders/", content=b"body").json()["token"] == "access-2"
    (_, again) = upstream.calls("/orders/")
    assert again.headers["X-Signed"] == f"POST {upstream.url}orders/ b'body'"


class Signing(Backend):
    """Signs calls, and takes a 200 without a signature for a token that has expired."""

    def authorize(self, request: Any, pair: TokenPair) -> None:
        super().authorize(request, pair)
        if pair.access == "access-2":
            request.headers["X-Signed"] = f"{request.method} {request.url} {request.body}"

    def verdict(self, where: Where, response: Any) -> Verdict:
        if where == "api" and b"access-1" in response.content:
            return Verdict.EXPIRED
        return super().verdict(where, response)


# -- answers


def test_location_that_cannot_be_read(client: UpstreamClient, upstream: Upstream) -> None:
    """A redirect to nowhere is httpx's to complain of."""
    upstream.answers["/old/"] = Answer(302, b"", {"Location": "http://[::1/"})
    with client_of(httpx2, upstream) as calling, pytest.raises(httpx2.RemoteProtocolError):
        calling.get("old/", follow_redirects=True)


def test_request_that_is_sent_again(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A request whose answer once led away is the upstream's own all the same; what a hop is copied from is not."""
    with Upstream() as other, client_of(httpx2, upstream, follow_redirects=True) as calling:
        upstream.answers["/old/"] = Answer(302, b"", {"Location": f"{other.url}away/"})
        request = calling.build_request("GET", "old/")
        for _ in range(2):
            calling.send(request)
        assert upstream.pop_tokens() == [("/old/", "access-1")] * 2
        assert other.pop_tokens() == [("/away/", "")] * 2


def test_header_that_concerns_the_token(client: UpstreamClient, upstream: Upstream) -> None:
    """An answer whose header is all that could concern the token is handed on without a look into its body."""
    upstream.answers["/orders/"] = Answer(402, b"x", {"WWW-Authenticate": 'Bearer error="insufficient_scope"'})
    with client_of(httpx2, upstream) as calling, calling.stream("GET", "orders/") as response:
        assert (response.status_code, response.is_stream_consumed, response.read()) == (402, False, b"x")
    assert upstream.refreshes == 0


@MODULES
def test_stream(client: UpstreamClient, upstream: Upstream, module: Any) -> None:
    """A streamed answer is not read in advance."""
    upstream.answers["/large/"] = Answer(200, b"x" * 200_000)
    with client_of(module, upstream) as calling, calling.stream("GET", "large/") as response:
        assert not response.is_stream_consumed
        assert len(b"".join(response.iter_bytes())) == 200_000


def test_long_401_can_be_read(client: UpstreamClient, upstream: Upstream) -> None:
    """All of an answer whose beginning was examined is there for the caller, waiting or awaited, and is closed."""
    upstream.answers["/orders/"] = Answer(401, b"x" * 200_000)
    for name in ("httpx2, transport", "AsyncUpstreamClient"):
        response = CALLERS[name]("GET", "orders/")
        assert (response.status_code, len(response.content)) == (401, 200_000)


class Long(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A long body, which says when it is closed."""

    def __init__(self, closed: list[Any]) -> None:
        self._closed = closed

    def __iter__(self) -> Iterator[bytes]:
        yield from [b"x" * 100_000] * 3

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self._closed.append(self)

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self._closed.append(self)


def sending_by(own: Any, name: str) -> Caller:
    """Return a way to call by a transport that is given."""
    if name == "AsyncUpstreamClient":
        return Awaited(lambda: AsyncUpstreamClient("up", transport=own))
    return Waiting(lambda: httpx2.Client(transport=UpstreamTransport("up", transport=own)))


@pytest.mark.parametrize("name", ["httpx2, transport", "AsyncUpstreamClient"])
def test_answers_that_nobody_gets(client: UpstreamClient, upstream: Upstream, settings: Any, name: str) -> None:
    """A long answer in the place of which the caller gets an error is closed, and so is one that is sent again for."""
    closed: list[Any] = []

    def answer(request: Any) -> Any:
        is_good = request.headers["Authorization"] == "Bearer access-2"
        return httpx2.Response(200) if is_good else httpx2.Response(401, stream=Long(closed))

    own = httpx2.MockTransport(answer)
    call = sending_by(own, name)
    assert call("GET", "orders/").status_code == 200
    assert len(closed) == 1
    own.handler = lambda _: httpx2.Response(401, stream=Long(closed))
    settings.JWT_UPSTREAM["up"]["BACKEND"] = f"{Interrupting.__module__}.Interrupting"
    with pytest.raises(Interrupted):
        call("GET", "orders/")
    assert len(closed) == 2
    settings.JWT_UPSTREAM["up"]["BACKEND"] = "jwt_upstream.backends.Backend"
    upstream.refresh = "another"
    with pytest.raises(CredentialRejected):
        call("GET", "orders/")
    assert len(closed) == 3


class Interrupting(Backend):
    """Is interrupted while it judges the answer to a call."""

    def verdict(self, where: Where, response: Any) -> Verdict:
        raise Interrupted


def test_answer_of_a_call_that_is_cancelled(client: UpstreamClient, upstream: Upstream) -> None:
    """The long 401 of a call that is cancelled while it waits for a refresh is closed."""
    closed: list[Any] = []
    upstream.refresh_delay = 0.1

    async def call() -> None:
        own = httpx2.MockTransport(lambda _: httpx2.Response(401, stream=Long(closed)))
        async with asyncio.timeout(0.05), AsyncUpstreamClient("up", transport=own) as calling:
            await calling.get("orders/")

    with pytest.raises(TimeoutError):
        async_to_sync(call)()
    assert len(closed) == 1


def test_file(client: UpstreamClient, upstream: Upstream) -> None:
    """A file is sent again."""
    upstream.expire()
    with client_of(httpx2, upstream) as calling:
        assert calling.put("orders/", content=io.BytesIO(b"0123456789")).json()["token"] == "access-2"
    assert [seen.body for seen in upstream.calls("/orders/")] == [b"0123456789"] * 2


@pytest.mark.parametrize("name", [name for name, call in CALLERS.items() if call.is_awaited])
def test_file_that_is_awaited(client: UpstreamClient, upstream: Upstream, name: str) -> None:
    """A file of anyio or aiofiles, which can't be taken back without awaiting, is not sent again as an empty one."""
    upstream.expire()
    with pytest.raises(BodyNotReplayable):
        CALLERS[name]("PUT", "orders/", content=anyio.wrap_file(io.BytesIO(b"0123456789")))
    assert [seen.body for seen in upstream.calls("/orders/")] == [b"0123456789"]


class Unseekable(io.BytesIO):
    """A stream that can't go back."""

    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation


@MODULES
def test_length_of_a_stream(client: UpstreamClient, upstream: Upstream, module: Any) -> None:
    """The length of a stream may be said, and httpx breaks off one that has another; chunks beside it are refused."""
    with client_of(module, upstream) as sending:
        with pytest.raises(Exception, match="Too much data"):
            sending.post("broken/", content=iter([b"one", b"two"]), headers={"Content-Length": "5"})
        both = {"Content-Length": "6", "Transfer-Encoding": "chunked"}
        with pytest.raises(InvalidHeader, match="httpx sets Transfer-Encoding itself"):
            sending.post("orders/", content=iter([b"one", b"two"]), headers=both)
        sending.post("orders/", content=iter([b"one", b"two"]), headers={"Content-Length": "6"})
    assert [seen.body for seen in upstream.calls("/orders/")] == [b"onetwo"]


def test_form_with_a_stream(client: UpstreamClient, upstream: Upstream) -> None:
    """A file in a form that can't be read again is not sent as an empty one."""
    upstream.expire()
    with client_of(httpx2, upstream) as calling, pytest.raises(Exception, match="can't be sent again"):
        calling.post("orders/", files={"file": ("a.txt", Unseekable(b"once"))})
    assert len(upstream.calls("/orders/")) == 1


# -- measurements, queries


@pytest.mark.parametrize("name", [name for name in CALLERS if name != "UpstreamClient"])
def test_measured(client: UpstreamClient, upstream: Upstream, name: str) -> None:
    """Calls are measured, whatever became of them."""
    told: list[Any] = []

    def listen(sender: Any, **arguments: Any) -> None:
        told.append([arguments[key] for key in ("upstream", "account", "method", "status_code", "error")])

    call_finished.connect(listen)
    try:
        CALLERS[name]("GET", "orders/")
        client.logout()
        with pytest.raises(Exception, match="upstream_login"):
            CALLERS[name]("POST", "orders/")
    finally:
        call_finished.disconnect(listen)
    assert told == [["up", "default", "GET", 200, ""], ["up", "default", "POST", None, "NotLoggedIn"]]


@pytest.mark.parametrize("name", CALLERS)
def test_no_query(client: UpstreamClient, name: str, django_assert_num_queries: Any) -> None:
    """A client that is new needs no query where another one of the process had its token a moment ago."""
    client.get("orders/")
    with django_assert_num_queries(0):
        CALLERS[name]("GET", "orders/")
