"""Sending a login or a refresh: within its deadline, to nobody else, and whatever the network does."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from requests import Request, Session

from jwt_upstream.backends import (
    Backend,
    Verdict,
)
from jwt_upstream.backends.core.transport import Deadline, OneRequest, kept_connections
from jwt_upstream.tokens import TokenPair
from tests.support.exchanges import refreshed
from tests.support.raw_server import Behaviour, RawServer, reset, say, self_signed
from tests.support.upstream import Answer, Upstream

CREDENTIALS = {"username": "bob", "password": "hunter2"}
PAIR = {"access": "a2", "refresh": "r2"}


def test_connection_made_too_late() -> None:
    """A connection that is there only after the deadline is cut at once."""
    ours, theirs = socket.socketpair()
    with ours, theirs, Deadline(0.01) as deadline:
        while not deadline.has_passed:
            time.sleep(0.01)
        deadline.watch(ours)
        assert theirs.recv(1) == b""


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect(server: Upstream, status: int) -> None:
    """A redirect is not followed, so the refresh token arrives nowhere else."""
    with Upstream() as elsewhere:
        server.answers["/refresh"] = Answer(status, b"", {"Location": f"{elsewhere.url}refresh"})
        assert refreshed(server).verdict is Verdict.TRANSIENT
        assert elsewhere.seen == []


def test_netrc(server: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password in .netrc goes along with no login or refresh."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.answers["/login"] = Answer(200, PAIR)
    Backend("up", server.url).login(CREDENTIALS)
    assert server.seen[0].headers.get("Authorization") is None


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


TROUBLES: dict[str, tuple[Behaviour, str, bool]] = {
    "reset": (reset, "Connection", True),
    "closed": (say(), "ProtocolError", True),
    "truncated": (say(HEAD + b"Content-Length: 100\r\n\r\n{"), "ChunkedEncodingError", True),
    "hang": (say(b"", pause=1.0), "no complete answer within 0.4 s", True),
    "trickled headers": (say(HEAD, *[b"X-A: b\r\n"] * 30, pause=0.1), "no complete answer within 0.4 s", True),
    "trickled body": (say(HEAD + b"\r\n", *[b" "] * 30, pause=0.1), "no complete answer within 0.4 s", True),
    "100 Continue": (say(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 100_000), "more than 50 interim answers", True),
    "slow 100 Continue": (say(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 30, pause=0.1), "no complete answer", True),
    "huge": (say(HEAD + b"\r\n", b" " * 3_000_000), "the answer is larger than", True),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_of_the_network(trouble: str) -> None:
    """Whatever the network does costs the credential nothing, and no more than the deadline."""
    behaviour, reason, is_ambiguous = TROUBLES[trouble]
    with RawServer(behaviour) as server:
        outcome = Backend("up", server.url, deadline=0.4).refresh(TokenPair("a1", "r1"))
    assert (outcome.verdict, outcome.is_ambiguous) == (Verdict.TRANSIENT, is_ambiguous)
    assert reason in outcome.reason
    assert outcome.seconds < 3


def test_interim_answers() -> None:
    """An answer is what comes after those that only announce it (RFC 9110, section 15.2), none of which is one."""
    body = b'{"access": "a2"}'
    final = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with RawServer(
        say(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n", final)
    ) as server:
        assert Backend("up", server.url).refresh(TokenPair("a1", "r1")).pair == TokenPair("a2")
    with RawServer(say(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")) as server:
        outcome = Backend("up", server.url).refresh(TokenPair("a1", "r1"))
    assert (outcome.verdict, outcome.status_code) == (Verdict.TRANSIENT, 101)


def test_no_time_left(server: Upstream) -> None:
    """Nothing is sent once the time is up, as after a freeze: another worker may have spent the token by then."""
    outcome = Backend("up", server.url, deadline=1e-9).refresh(TokenPair("a1", "r1"))
    assert (outcome.verdict, outcome.is_ambiguous, server.seen) == (Verdict.TRANSIENT, False, [])


def test_slow_name_lookup(server: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent after a look-up of the host's name that outlasted the deadline: the lease may have lapsed."""
    look_up = socket.getaddrinfo

    def slowly(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.5)
        return look_up(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    outcome = Backend("up", server.url, deadline=0.2).refresh(TokenPair("a1", "r1"))
    assert (outcome.verdict, outcome.is_ambiguous, server.seen) == (Verdict.TRANSIENT, False, [])


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://no-such-host.invalid/"], ids=["refused", "DNS"])
def test_nobody_there(url: str) -> None:
    """A request that never reached the upstream spent nothing."""
    outcome = Backend("up", url).refresh(TokenPair("a1", "r1"))
    assert (outcome.verdict, outcome.is_ambiguous) == (Verdict.TRANSIENT, False)


@pytest.mark.parametrize("verify", [True, "", "/no/such/file.pem"])
def test_certificate(tmp_path: Path, verify: bool | str) -> None:
    """A certificate that can't be verified is our settings' fault, and nothing is sent; only False verifies none."""
    with RawServer(say(HEAD + b"\r\n{}"), self_signed(tmp_path)) as server:
        outcome = Backend("up", server.url, verify=verify).refresh(TokenPair("a1", "r1"))
        assert (outcome.verdict, b"".join(server.received)) == (Verdict.CONFIG, b"")
        missing = "nothing was sent: verify names '/no/such/file.pem', and there is no such file"
        assert (outcome.reason == missing) is (verify not in {True, ""})
        # The file is missed before there is a request.
        assert outcome.asked == (f"POST {server.url}refresh" if verify in {True, ""} else "")


def test_tls(tmp_path: Path) -> None:
    """With the right certificate the answer comes through TLS, where the deadline holds."""
    body = json.dumps({"access": "a2"}).encode()
    answer = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with RawServer(say(answer), self_signed(tmp_path)) as server:
        backend = Backend("up", server.url, verify=str(tmp_path / "certificate.pem"))
        assert backend.refresh(TokenPair("a1", "r1")).verdict is Verdict.OK
    with RawServer(say(HEAD, pause=2.0), self_signed(tmp_path)) as server:
        backend = Backend("up", server.url, verify=str(tmp_path / "certificate.pem"), deadline=0.4)
        assert "no complete answer" in backend.refresh(TokenPair("a1", "r1")).reason


def test_broken_tls() -> None:
    """A server that speaks no TLS is trouble that may pass."""
    with RawServer(say(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        outcome = Backend("up", server.url.replace("http", "https")).refresh(TokenPair("a1", "r1"))
    assert outcome.verdict is Verdict.TRANSIENT


def test_proxy(server: Upstream) -> None:
    """A login goes through the upstream's proxy, where the deadline holds."""
    server.answers["http://up.example.com/login"] = Answer(200, PAIR)
    backend = Backend("up", "http://up.example.com/", proxies={"http": server.url})
    assert backend.login(CREDENTIALS).verdict is Verdict.OK


def test_large_answer_of_a_token_endpoint(server: Upstream) -> None:
    """An answer which holds all of a user's rights beside the tokens is read to its end."""
    server.answers["/refresh"] = Answer(200, {"rights": ["x" * 100] * 5000, "access": "a", "refresh": "r"})
    assert refreshed(server).pair == TokenPair("a", "r")


@pytest.mark.parametrize(
    "given",
    [
        {"data": {"a": "ü +&", "b": "x"}},
        {"data": {"a": ["1", "2"], "n": None}},
        {"data": {"a": "b"}, "headers": {"content-type": "text/x", "accept": None}},
        {"data": "raw"},
        {"json": {"a": 1}, "auth": ("u", "p")},
        {"method": "GET", "params": {"q": "ä b"}, "cookies": {"a": "b"}},
    ],
)
def test_prepared_as_requests_does(given: dict[str, Any]) -> None:
    """What is sent is what a session of requests would send, headers and body included."""
    request = Request(**{"method": "post", "url": "http://u:p@up.example.com/x?y=1", **given})
    usual = Session()
    usual.auth = lambda prepared: prepared
    sent, expected = OneRequest(Deadline(1)).prepare_request(request), usual.prepare_request(request)
    assert (sent.method, sent.url, sent.body) == (expected.method, expected.url, expected.body)
    assert {name.lower(): text for name, text in sent.headers.items()} == {
        name.lower(): text for name, text in expected.headers.items()
    }


# -- connections that are kept


def test_frequent_refreshes(server: Upstream) -> None:
    """Refreshes that follow each other share a connection from the second on, in whatever thread they are made."""
    server.answers["/refresh"] = Answer(200, PAIR)
    with ThreadPoolExecutor(1) as thread:
        verdicts = [refreshed(server).verdict, *(thread.submit(refreshed, server).result().verdict for _ in range(3))]
    assert verdicts == [Verdict.OK] * 4
    assert server.connections <= 2


@pytest.mark.parametrize("is_seen", [True, False])
def test_kept_connection_that_the_server_closes(is_seen: bool) -> None:
    """A closed connection is not used; one that is closed as a request comes has that request lost, not sent again."""
    body = json.dumps(PAIR).encode()
    answer = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def behave(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # the end comes with the answer
        connection.sendall(answer)
        if is_seen:
            connection.shutdown(socket.SHUT_WR)
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
            connection.recv(1)

    with RawServer(behave) as server, kept_connections():
        backend = Backend("up", server.url, deadline=2.0)
        outcomes = [backend.refresh(TokenPair("a1", name)) for name in ("r1", "r2")]
    verdicts = [(outcome.verdict, outcome.is_ambiguous) for outcome in outcomes]
    assert verdicts == [(Verdict.OK, False), (Verdict.OK, False) if is_seen else (Verdict.TRANSIENT, True)]
    assert len(server.received) == (2 if is_seen else 1)


def test_kept_connection(server: Upstream) -> None:
    """Refreshes of one thread share a connection, and nothing else: the second is not sent the first one's cookie."""
    server.answers["/refresh"] = Answer(200, PAIR, {"Set-Cookie": "a=b"})
    with kept_connections():
        assert [refreshed(server).verdict for _ in range(3)] == [Verdict.OK] * 3
        assert server.connections == 1
    assert [seen.headers.get("Cookie") for seen in server.seen] == [None] * 3
    assert refreshed(server).verdict is Verdict.OK
    assert server.connections == 2


def test_kept_connection_that_was_idle(server: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that has been idle is not used again, since its server may be closing it just then."""
    monkeypatch.setattr("jwt_upstream.backends.core.transport._MOST_IDLE_SECONDS", 0.0)
    server.answers["/refresh"] = Answer(200, PAIR)
    with kept_connections():
        assert [refreshed(server).verdict for _ in range(2)] == [Verdict.OK] * 2
    assert server.connections == 2


def test_deadline_on_a_kept_connection(server: Upstream) -> None:
    """The deadline holds for each refresh anew, and the connection on which one was missed is not used again."""
    answers = [Answer(200, PAIR), Answer(200, PAIR, delay=1.0), Answer(200, PAIR)]
    server.answers["/refresh"] = lambda _: answers.pop(0)
    with kept_connections():
        backend = Backend("up", server.url, deadline=0.3)
        outcomes = [backend.refresh(TokenPair("a1", "r1")) for _ in range(3)]
    assert [outcome.verdict for outcome in outcomes] == [Verdict.OK, Verdict.TRANSIENT, Verdict.OK]
    assert "no complete answer within 0.3 s" in outcomes[1].reason
    assert outcomes[1].is_ambiguous
    assert server.connections == 2


def test_kept_tls_connection(tmp_path: Path) -> None:
    """A connection with TLS is kept as well, and its deadline is, too."""
    answers = [Answer(200, PAIR), Answer(200, PAIR), Answer(200, PAIR, delay=1.0)]
    with Upstream(self_signed(tmp_path)) as server, kept_connections():
        server.answers["/refresh"] = lambda _: answers.pop(0)
        backend = Backend("up", server.url, deadline=0.5, verify=str(tmp_path / "certificate.pem"))
        verdicts = [backend.refresh(TokenPair("a1", "r1")).verdict for _ in range(3)]
        assert server.connections == 1
    assert verdicts == [Verdict.OK, Verdict.OK, Verdict.TRANSIENT]


# -- deadlines


def test_one_thread_watches_all_deadlines() -> None:
    """Deadlines are cut in their order, whichever began first, by one thread, which ends when there are none."""
    pairs = [socket.socketpair() for _ in range(3)]
    with ExitStack() as stack:
        for (ours, theirs), seconds in zip(pairs, (0.3, 0.1, 60), strict=True):
            stack.enter_context(ours)
            stack.enter_context(theirs)
            stack.enter_context(Deadline(seconds)).watch(ours)
        assert pairs[1][1].recv(1) == b""
        assert pairs[0][1].recv(1) == b""
        watching = [thread for thread in threading.enumerate() if thread.name == "jwt_upstream deadlines"]
        assert len(watching) == 1
        pairs[2][0].sendall(b"x")
        assert pairs[2][1].recv(1) == b"x"


def test_deadline_of_a_request_that_was_interrupted() -> None:
    """What a signal kept a request from closing is closed when its deadline passes, not by the garbage collector."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        deadline = Deadline(0.05).__enter__()
        deadline.watch(ours)
        assert descriptors(ours) == 2
        assert theirs.recv(1) == b""
        deadline.cut()  # as the watching thread may not have ended to
        assert descriptors(ours) == 1


def descriptors(sock: socket.socket) -> int:
    """Return how many descriptors of this process are of the same socket."""
    return sum(is_of(sock, int(name)) for name in os.listdir("/dev/fd"))


def is_of(sock: socket.socket, descriptor: int) -> bool:
    try:
        return os.path.sameopenfile(descriptor, sock.fileno())
    except OSError:  # the folder that was listed, and what other threads have closed meanwhile
        return False
