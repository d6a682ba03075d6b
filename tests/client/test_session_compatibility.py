"""A client is a Session: what works with the one works with the other, before and after a refresh."""

from __future__ import annotations

import gzip
import inspect
import io
import json
import logging
import pickle
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from django.db import connections
from requests_toolbelt import threaded
from requests_toolbelt.adapters.source import SourceAddressAdapter
from requests_toolbelt.downloadutils import stream
from requests_toolbelt.utils import dump
from urllib3 import HTTPResponse

from jwt_upstream import backends
from jwt_upstream.backends.core.bodies import PEEK_BYTES
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked
from jwt_upstream.tokens import TokenPair
from tests.support.raw_server import RawServer
from tests.support.rows import unbind
from tests.support.upstream import Answer, Seen, Upstream

PAGE = b"first line\nsecond line, na\xc3\xafve\n" * 1000
LOCKED = {"code": 401, "message": "Account is disabled."}


def page(seen: Seen) -> Answer | None:
    """A compressed page, behind a redirect, for whoever has a token that is good."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip", "ETag": '"1"'}
    return Answer(200, gzip.compress(PAGE, mtime=0), {**headers, "Link": '</next/>; rel="next"'})


def half_then_closed(response: requests.Response) -> Any:
    with response:
        return next(response.iter_content(10))


USES: dict[str, Callable[[requests.Response], Any]] = {
    "content": lambda response: response.content,
    "text": lambda response: (response.encoding, response.text),
    "iter_content": lambda response: list(response.iter_content(1000)),
    "iter_content as text": lambda response: list(response.iter_content(1000, decode_unicode=True)),
    "iter_lines": lambda response: list(response.iter_lines()),
    "iteration": lambda response: b"".join(response),
    "raw": lambda response: gzip.decompress(response.raw.read()),
    "raw, decoded": lambda response: (response.raw.read(10, decode_content=True), response.raw.headers["ETag"]),
    "line by line": lambda response: gzip.GzipFile(fileobj=response.raw).readline(),
    "half, then closed": lambda response: half_then_closed(response),
    "facts": lambda response: (response.status_code, response.ok, response.reason, response.is_redirect),
    "links": lambda response: (response.links, response.headers["ETag"], response.next),
    "request": lambda response: (response.request.method, response.request.path_url, response.request.body),
    "elapsed": lambda response: timedelta(0) < response.elapsed < timedelta(minutes=1),
    "pickled": lambda response: pickle.loads(pickle.dumps(response)).text,
}


@pytest.mark.parametrize("streamed", [False, True])
def test_answers(client: UpstreamClient, upstream: Upstream, streamed: bool) -> None:
    """Whatever can be done with an answer of a Session's can be done with a client's, after a refresh too."""
    with Upstream() as plain, requests.Session() as session:
        plain.answers["/page/"] = page
        upstream.answers["/page/"] = lambda seen: page(seen) if seen.token in upstream.access else None
        for name, use in USES.items():
            expected = use(session.post(f"{plain.url}page/", data=b"body", stream=streamed))
            assert use(client.post("page/", data=b"body", stream=streamed)) == expected, name
            upstream.expire()
            assert use(client.post("page/", data=b"body", stream=streamed)) == expected, f"{name} after a refresh"
    assert upstream.refreshes == len(USES)


def test_signatures() -> None:
    """No method of a Session's takes more, or less, than it does there, and none is missing."""
    for name in ("request", "get", "options", "head", "post", "put", "patch", "delete", "prepare_request"):
        theirs = inspect.signature(getattr(requests.Session, name)).parameters
        assert list(inspect.signature(getattr(UpstreamClient, name)).parameters) == list(theirs), name
    assert inspect.signature(UpstreamClient.request) == inspect.signature(requests.Session.request)
    assert UpstreamClient.request is requests.Session.request
    assert {name for name, _ in inspect.getmembers(requests.Session)} <= set(dir(UpstreamClient))


def test_raise_for_status(client: UpstreamClient, upstream: Upstream) -> None:
    """``raise_for_status`` raises what it does elsewhere, and nothing for the 401 that was dealt with."""
    upstream.expire()
    client.get("orders/").raise_for_status()
    upstream.answers["/orders/"] = Answer(404, {"detail": "none"})
    with pytest.raises(requests.HTTPError, match="404 Client Error: Not Found for url: http:") as caught:
        client.get("orders/").raise_for_status()
    assert caught.value.response is not None
    assert caught.value.response.json() == {"detail": "none"}


def test_hooks(client: UpstreamClient, upstream: Upstream) -> None:
    """Hooks of the call and of the client see each answer of a redirect, may replace it, and know no 401."""
    seen: list[tuple[str, int]] = []

    def note(response: requests.Response, **kwargs: Any) -> None:
        assert {"timeout", "verify", "proxies", "stream", "cert"} <= kwargs.keys()
        seen.append((response.request.path_url, response.status_code))
        response.raise_for_status()

    def replace(response: requests.Response, **_: Any) -> requests.Response:
        response.replaced = True  # type: ignore[attr-defined]
        return response

    upstream.answers["/old/"] = lambda seen: (
        Answer(302, b"", {"Location": "/orders/"}) if seen.token in upstream.access else None
    )
    client.hooks["response"] = [note, replace]
    upstream.expire()
    assert client.get("old/").replaced  # type: ignore[attr-defined]
    assert seen == [("/old/", 302), ("/orders/", 200)]
    upstream.expire()
    client.get("old/", hooks={"response": []})
    assert len(seen) == 4  # as in requests, an empty list doesn't replace those of the session
    client.get("old/", hooks={"response": replace})
    assert len(seen) == 4


def test_what_is_set_on_the_client(client: UpstreamClient, upstream: Upstream) -> None:
    """Headers, parameters and the limit of redirects of a Session count, in both sendings of a call."""
    client.headers["X-Tenant"] = "7"
    client.params = {"page": "2"}
    client.max_redirects = 2
    upstream.expire()
    no_user_agent: Any = {"User-Agent": None}  # which requests' stubs know of sessions' headers only
    client.get("orders/", params={"sort": "id"}, headers=no_user_agent)
    calls = upstream.calls("/orders/")
    assert [(seen.path, seen.headers["X-Tenant"]) for seen in calls] == [("/orders/?page=2&sort=id", "7")] * 2
    upstream.answers["/round/"] = Answer(302, b"", {"Location": "/round/"})
    with pytest.raises(requests.TooManyRedirects):
        client.get("round/")
    assert len(upstream.calls("/round/")) == 3


# -- stream=True


def test_stream_reads_nothing(client: UpstreamClient, settings: Any) -> None:
    """The caller has its answer before the first byte of a body is there."""
    may_go_on = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n")
        may_go_on.wait(20)
        connection.sendall(b'{"a":1}')

    with RawServer(answer) as server:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = server.url
        unbind()
        with client.get("orders/", stream=True, timeout=10) as response:
            may_go_on.set()
            assert response.json() == {"a": 1}


def test_only_rules_that_look_at_success_read_of_it(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A backend which finds its signal in answers of 200 reads a bounded part of them, and the caller all."""
    body = json.dumps({"ok": True, "items": "x" * 500_000}).encode()
    upstream.answers["/orders/"] = lambda seen: (
        Answer(200, body) if seen.token in upstream.access else Answer(200, {"ok": False, "error": "token_expired"})
    )
    rule = {"verdict": "EXPIRED", "json": "error", "pattern": "^token_expired$"}
    for rules, read, refreshes in (([], range(1), 0), ([rule], range(1, 3 * PEEK_BYTES), 1)):
        settings.JWT_UPSTREAM["up"]["OPTIONS"]["rules"] = rules
        upstream.access = {"access-1"}
        with UpstreamClient("up").get("orders/", stream=True) as response:
            assert response.raw.tell() in read
            assert b"".join(response.iter_content(1000)) == body
        upstream.expire()
        assert UpstreamClient("up").get("orders/").json()["ok"] == bool(rules)
        assert upstream.refreshes == refreshes


BACKENDS = [getattr(backends, name) for name in backends.__all__ if name.endswith("Backend")]


@pytest.mark.parametrize("kind", BACKENDS)
def test_which_backends_read_of_success(kind: type[backends.Backend]) -> None:
    """Slack says in a 200 that a token has expired; nobody else's answers pay."""
    response = requests.Response()
    response.status_code, response.raw = 200, HTTPResponse(io.BytesIO(b'{"ok": true}'), preload_content=False)
    kind("up", "https://up.example.com/").verdict("api", response)
    assert bool(response._content_consumed) == (kind is backends.SlackBackend)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 100000000000", b"Transfer-Encoding: chunked", b"Connection: close"]
)
def test_401_without_end(client: UpstreamClient, upstream: Upstream, settings: Any, framing: bytes) -> None:
    """Of a 401 a bounded part is read, then its connection is dropped; a server could send for ever."""
    sent: list[int] = []
    has_ended = threading.Event()

    def flood(connection: socket.socket) -> None:
        piece = b"x" * 65536
        piece = b"10000\r\n" + piece + b"\r\n" if b"chunked" in framing else piece
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\n" + framing + b"\r\n\r\n")
        sent.append(0)
        try:
            while True:
                connection.sendall(piece)
                sent[-1] += len(piece)
        finally:
            has_ended.set()

    with RawServer(flood) as server:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = server.url
        settings.JWT_UPSTREAM["up"]["OPTIONS"]["refresh_path"] = f"{upstream.url}refresh"
        unbind()
        with client.get("orders/", stream=True) as response:
            assert response.status_code == 401
            assert len(response.history[0].content) <= PEEK_BYTES
            assert len(next(response.iter_content(200_000))) > PEEK_BYTES
        assert has_ended.wait(20)
    # What the buffers between two sockets take, beside what was read.
    assert max(sent) < 20_000_000
    assert len(server.received) == 2


@pytest.mark.parametrize("streamed", [False, True])
def test_locked_is_seen_first(client: UpstreamClient, upstream: Upstream, streamed: bool) -> None:
    """The words for a locked account are found in whatever way the answer comes: nothing is refreshed or resent."""
    content = gzip.compress(json.dumps({**LOCKED, "trace": "x" * 30_000}).encode())
    upstream.answers["/orders/"] = Answer(401, content, {"Content-Encoding": "gzip"})

    def hook(response: requests.Response, **_: Any) -> None:
        raise AssertionError("no answer for the caller")

    with pytest.raises(AccountLocked):
        client.post("orders/", data=iter([b"once"]), stream=streamed, hooks={"response": hook})
    assert [seen.path for seen in upstream.seen] == ["/orders/"]


# -- other people's tools


def test_toolbelt(client: UpstreamClient, upstream: Upstream, tmp_path: Path) -> None:
    """requests-toolbelt: a dump without the token, a download to a file, an adapter of its own."""
    upstream.expire()
    upstream.answers["/page/"] = lambda seen: Answer(200, PAGE) if seen.token in upstream.access else None
    dumped = dump.dump_all(client.get("page/", headers={"X-Mine": "1"}))
    assert dumped.count(b"X-Mine: 1") == 2
    assert dumped.endswith(PAGE)
    assert b"access-" not in dumped
    with client.get("page/", stream=True) as response:
        name = stream.stream_response_to_file(response, path=str(tmp_path / "page"))
    assert Path(name).read_bytes() == PAGE
    with UpstreamClient("up") as another:
        another.mount("http://", SourceAddressAdapter("127.0.0.1"))
        upstream.expire()
        assert another.get("page/").status_code == 200


class ThreadsClient(UpstreamClient):
    """One for threads that nobody tells to close their database connection, as Django does after a request."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        try:
            return super().send(request, **kwargs)
        finally:
            connections.close_all()


def test_toolbelt_s_threads(client: UpstreamClient, upstream: Upstream) -> None:
    """The threads of requests-toolbelt's pool, each with a client, make one refresh."""
    upstream.expire()
    urls = [f"{upstream.url}orders/?page={number}" for number in range(20)]
    pool = threaded.pool.Pool.from_urls(urls, num_processes=4, session=lambda: ThreadsClient("up"))
    pool.join_all()
    assert [response.status_code for response in pool.responses()] == [200] * 20
    assert (upstream.refreshes, upstream.reuses) == (1, 0)


def echo(request: requests.PreparedRequest) -> tuple[int, dict[str, str], bytes]:
    assert isinstance(request.body, bytes)
    return 201, {"X-Echo": "1"}, request.body


@pytest.mark.django_db
def test_responses(settings: Any) -> None:
    """responses: redirects, callbacks, streams, uploads and errors as with a plain Session."""
    client = UpstreamClient("crm")
    client.adopt(TokenPair("good", "r1"))
    url = "https://crm.example.com/api/"
    with responses.RequestsMock() as mocked:
        mocked.get(f"{url}old/", status=302, headers={"Location": "/api/new/"})
        mocked.get(f"{url}new/", body=PAGE)
        mocked.add_callback("POST", f"{url}echo/", echo)
        mocked.get(f"{url}broken/", body=requests.ConnectionError("no"))
        with client.get("old/", stream=True) as response:
            assert b"".join(response.iter_content(100)) == PAGE
        assert [past.status_code for past in response.history] == [302]
        assert client.post("echo/", data=b"body").content == b"body"
        with pytest.raises(requests.ConnectionError, match="no"):
            client.get("broken/")
        assert all(call.request.headers["Authorization"] == "Bearer good" for call in mocked.calls)


def test_log(client: UpstreamClient, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """urllib3's debugging log says as little of the token as ever."""
    caplog.set_level(logging.DEBUG)
    upstream.expire()
    client.post("orders/", data=io.BytesIO(b"x"))
    assert "POST /orders/" in caplog.text
    assert "access-" not in caplog.text
    assert "refresh-" not in caplog.text
