"""Each verdict of each backend over real HTTP: what is sent, and what comes of the answer."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from jwt_upstream.backends import Backend, LexikBackend, OAuth2Backend, SimpleJWTBackend, Verdict
from jwt_upstream.tokens import TokenPair
from tests.support.raw_server import Behaviour, RawServer, reset, say, self_signed
from tests.support.upstream import Answer, Upstream

CREDENTIALS = {"username": "bob", "password": "hunter2"}
CLIENT = {"client_id": "us", "client_secret": "s3cret/+ü"}


@pytest.fixture
def server() -> Iterator[Upstream]:
    """A real HTTP server which answers as each test says."""
    with Upstream() as server:
        yield server


KINDS: dict[str, tuple[type[Backend], dict[str, Any]]] = {
    "lexik": (LexikBackend, {}),
    "simplejwt": (SimpleJWTBackend, {}),
    "oauth2": (OAuth2Backend, CLIENT),
}
ASKED = {
    "lexik": {"login": "/login_check", "refresh": "/token/refresh"},
    "simplejwt": {"login": "/token/", "refresh": "/token/refresh/"},
    "oauth2": {"login": "/token", "refresh": "/token"},
}
PAIRS = {
    "lexik": {"token": "a2", "refresh_token": "r2"},
    "simplejwt": {"access": "a2", "refresh": "r2"},
    "oauth2": {"access_token": "a2", "refresh_token": "r2", "token_type": "Bearer"},
}
ANSWERS: list[tuple[str, str, Answer, Verdict]] = [
    ("lexik", "login", Answer(401, {"code": 401, "message": "Invalid credentials."}), Verdict.REJECTED),
    ("lexik", "login", Answer(401, {"code": 401, "message": "Account is disabled."}), Verdict.LOCKED),
    (
        "lexik",
        "login",
        Answer(401, {"message": "Too many failed login attempts, …"}),
        Verdict.TRANSIENT,
    ),
    ("lexik", "refresh", Answer(401, {"code": 401, "message": "JWT Refresh Token Not Found"}), Verdict.REJECTED),
    ("lexik", "refresh", Answer(401, {"code": 401, "message": "Invalid credentials."}), Verdict.LOCKED),
    ("lexik", "refresh", Answer(401, {"code": 401, "message": "Account is locked."}), Verdict.LOCKED),
    ("lexik", "refresh", Answer(401, {"code": 401, "message": "Missing JWT Refresh Token"}), Verdict.CONFIG),
    ("lexik", "refresh", Answer(429, {"message": "Too many refresh requests"}), Verdict.TRANSIENT),
    (
        "simplejwt",
        "login",
        Answer(401, {"detail": "No active account found with the given credentials"}),
        Verdict.REJECTED,
    ),
    (
        "simplejwt",
        "refresh",
        Answer(401, {"detail": "Token is blacklisted", "code": "token_not_valid"}),
        Verdict.REJECTED,
    ),
    ("simplejwt", "refresh", Answer(401, {"detail": "No active account found for the given token."}), Verdict.LOCKED),
    ("simplejwt", "refresh", Answer(400, {"refresh": ["This field is required."]}), Verdict.CONFIG),
    ("simplejwt", "refresh", Answer(500, b"<h1>Server Error</h1>", {"Content-Type": "text/html"}), Verdict.TRANSIENT),
    ("oauth2", "login", Answer(400, {"error": "invalid_grant"}), Verdict.REJECTED),
    ("oauth2", "refresh", Answer(400, {"error": "invalid_grant"}), Verdict.REJECTED),
    ("oauth2", "refresh", Answer(401, {"message": "Account is disabled."}), Verdict.LOCKED),
    ("oauth2", "refresh", Answer(401, {"error": "invalid_client"}, {"WWW-Authenticate": "Basic"}), Verdict.CONFIG),
    ("oauth2", "refresh", Answer(400, {"error": "unsupported_grant_type"}), Verdict.CONFIG),
    ("oauth2", "refresh", Answer(400, {"error": "temporarily_unavailable"}), Verdict.TRANSIENT),
]
ANYWHERE: list[tuple[Answer, Verdict]] = [
    (Answer(401, b""), Verdict.REJECTED),
    (Answer(403, {"detail": "no"}), Verdict.REJECTED),
    (Answer(404, {"detail": "Not Found"}), Verdict.CONFIG),
    (Answer(405, {}), Verdict.CONFIG),
    (Answer(415, {}), Verdict.CONFIG),
    (Answer(418, {}), Verdict.CONFIG),
    (Answer(401, b"", {"WWW-Authenticate": 'Basic realm="wall"'}), Verdict.CONFIG),
    (Answer(401, b"<html>401</html>", {"Content-Type": "text/html"}), Verdict.TRANSIENT),
    (Answer(401, {"detail": "no"}, {"Retry-After": "5"}), Verdict.TRANSIENT),
    (Answer(403, {"detail": "Rate limit exceeded"}), Verdict.TRANSIENT),
    (Answer(408, {}), Verdict.TRANSIENT),
    (Answer(425, {}), Verdict.TRANSIENT),
    (Answer(429, {}), Verdict.TRANSIENT),
    (Answer(503, {}), Verdict.TRANSIENT),
    (Answer(200, b"<!doctype html><p>Back soon", {"Content-Type": "text/html"}), Verdict.TRANSIENT),
    (Answer(200, b""), Verdict.TRANSIENT),
    (Answer(200, {"access": None, "token": 7, "access_token": " "}), Verdict.TRANSIENT),
    (Answer(200, b'{"access": "trunc'), Verdict.TRANSIENT),
    (Answer(200, {"access": "with\nline", "token": "with\nline", "access_token": "with\nline"}), Verdict.TRANSIENT),
]


def ask(kind: str, where: str, server: Upstream, **options: Any) -> Any:
    cls, given = KINDS[kind]
    backend = cls("up", server.url, **{**given, **options})
    return backend.login(CREDENTIALS) if where == "login" else backend.refresh(TokenPair("a1", "r1"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["login", "refresh"])
def test_success(server: Upstream, kind: str, where: str) -> None:
    """The pair is found, and the request is the one that the server documents, without anything of the caller's."""
    server.answers[ASKED[kind][where]] = Answer(200, PAIRS[kind], {"Set-Cookie": "session=theirs"})
    outcome = ask(kind, where, server)
    assert (outcome.verdict, outcome.status_code, outcome.pair) == (Verdict.OK, 200, TokenPair("a2", "r2"))
    (seen,) = server.seen
    assert (seen.method, seen.headers["Accept"], seen.headers["Accept-Language"]) == ("POST", "application/json", "en")
    assert (seen.headers.get("Cookie"), "r1" in seen.path) == (None, False)


def test_what_is_sent(server: Upstream) -> None:
    """JSON to Lexik and simplejwt, without Authorization; a form to OAuth 2, with the client's."""
    for kind in KINDS:
        for where in ("login", "refresh"):
            server.answers[ASKED[kind][where]] = Answer(200, PAIRS[kind])
            ask(kind, where, server)
    lexik, simplejwt, oauth2 = server.seen[:2], server.seen[2:4], server.seen[4:]
    assert [json.loads(seen.body) for seen in lexik] == [CREDENTIALS, {"refresh_token": "r1"}]
    assert [json.loads(seen.body) for seen in simplejwt] == [CREDENTIALS, {"refresh": "r1"}]
    assert [seen.headers.get("Authorization") for seen in lexik + simplejwt] == [None] * 4
    assert [parse_qs(seen.body.decode()) for seen in oauth2] == [
        {"grant_type": ["password"], "username": ["bob"], "password": ["hunter2"]},
        {"grant_type": ["refresh_token"], "refresh_token": ["r1"]},
    ]
    basic = base64.b64encode(b"us:s3cret%2F%2B%C3%BC").decode()
    assert {seen.headers["Authorization"] for seen in oauth2} == {f"Basic {basic}"}


def test_client_in_the_body(server: Upstream) -> None:
    """With client_authentication="post" the client authenticates in the body, and a scope is sent at login."""
    server.answers["/token"] = Answer(200, PAIRS["oauth2"])
    ask("oauth2", "login", server, client_authentication="post", scope="read")
    form = parse_qs(server.seen[0].body.decode())
    assert (form["client_id"], form["client_secret"], form["scope"]) == (["us"], [CLIENT["client_secret"]], ["read"])
    assert server.seen[0].headers.get("Authorization") is None


@pytest.mark.parametrize("where", ["login", "refresh"])
def test_client_credentials(server: Upstream, where: str) -> None:
    """Where the client is the account nothing is asked of a person, and a refresh is the grant again."""
    server.answers["/token"] = Answer(200, {"access_token": "a2", "expires_in": 60})
    fields = {"username": "{username}", "audience": "https://api.example.com"}
    options = {"grant_type": "client_credentials", "login_fields": fields}
    backend = OAuth2Backend("up", server.url, **CLIENT, **options)
    assert (backend.login_asks, backend.needs_refresh_token) == ((), False)
    outcome = backend.login({}) if where == "login" else backend.refresh(TokenPair("a1"))
    assert outcome.pair
    assert outcome.pair.access_expires_at
    sent = parse_qs(server.seen[0].body.decode())
    assert sent == {"grant_type": ["client_credentials"], "audience": ["https://api.example.com"]}


@pytest.mark.parametrize(("kind", "where", "answer", "verdict"), ANSWERS)
def test_verdict(server: Upstream, kind: str, where: str, answer: Answer, verdict: Verdict) -> None:
    """What each of the three servers says when it refuses is understood."""
    server.answers[ASKED[kind][where]] = answer
    assert ask(kind, where, server).verdict is verdict


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("answer", "verdict"), ANYWHERE)
def test_verdict_anywhere(server: Upstream, kind: str, answer: Answer, verdict: Verdict) -> None:
    """What may stand before or behind any server is no word on the token, unless it is one."""
    server.answers[ASKED[kind]["refresh"]] = answer
    assert ask(kind, "refresh", server).verdict is verdict


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect(server: Upstream, status: int) -> None:
    """A redirect is not followed, so the refresh token arrives nowhere else."""
    with Upstream() as elsewhere:
        server.answers["/token/refresh/"] = Answer(status, b"", {"Location": f"{elsewhere.url}token/refresh/"})
        assert ask("simplejwt", "refresh", server).verdict is Verdict.TRANSIENT
        assert elsewhere.seen == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("30", 30), ("99999", 3600), ("in 100 s", 100), ("Mon, 23 Nov 2020 09:00:00 -0000", 0), ("soon", None)],
)
def test_retry_after(server: Upstream, value: str, seconds: int | None) -> None:
    """Retry-After counts in seconds and as a date, within bounds."""
    if value == "in 100 s":
        value = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    server.answers["/token/refresh/"] = Answer(429, {}, {"Retry-After": value})
    found = ask("simplejwt", "refresh", server).retry_after
    assert found is None if seconds is None else seconds - 60 <= found <= seconds


def test_netrc(server: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password in .netrc goes along with no login or refresh."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.answers["/token/"] = Answer(200, PAIRS["simplejwt"])
    ask("simplejwt", "login", server)
    assert server.seen[0].headers.get("Authorization") is None


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TROUBLES: dict[str, tuple[Behaviour, str, bool]] = {
    "reset": (reset, "Connection", True),
    "closed": (say(), "ProtocolError", True),
    "truncated": (say(HEAD + b"Content-Length: 100\r\n\r\n{"), "ChunkedEncodingError", True),
    "hang": (say(b"", pause=1.0), "no complete answer within 0.4 s", True),
    "trickled headers": (say(HEAD, *[b"X-A: b\r\n"] * 30, pause=0.1), "no complete answer within 0.4 s", True),
    "trickled body": (say(HEAD + b"\r\n", *[b" "] * 30, pause=0.1), "no complete answer within 0.4 s", True),
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


def test_no_time_left(server: Upstream) -> None:
    """Nothing is sent once the time is up, as after a freeze: another worker may have spent the token by then."""
    outcome = Backend("up", server.url, deadline=1e-9).refresh(TokenPair("a1", "r1"))
    assert (outcome.verdict, outcome.is_ambiguous, server.seen) == (Verdict.TRANSIENT, False, [])


def test_slow_name_lookup(server: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent after a look-up of the host's name that outlasted the deadline: the claim may have lapsed."""
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


@pytest.mark.parametrize("verify", [True, "/no/such/file.pem"])
def test_certificate(tmp_path: Path, verify: bool | str) -> None:
    """A certificate that can't be verified is our settings' fault, and nothing is sent."""
    with RawServer(say(HEAD + b"\r\n{}"), self_signed(tmp_path)) as server:
        outcome = Backend("up", server.url, verify=verify).refresh(TokenPair("a1", "r1"))
        assert (outcome.verdict, b"".join(server.received)) == (Verdict.CONFIG, b"")


def test_tls(tmp_path: Path) -> None:
    """With the right certificate the answer comes through TLS, and under the deadline too."""
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
    """A login goes through the upstream's proxy, under the deadline as well."""
    server.answers["http://up.example.com/token/"] = Answer(200, PAIRS["simplejwt"])
    backend = SimpleJWTBackend("up", "http://up.example.com/", proxies={"http": server.url})
    assert backend.login(CREDENTIALS).verdict is Verdict.OK


def test_field_that_no_json_can_hold(server: Upstream) -> None:
    """A mistake of the caller's is raised, without the frames that hold what was to be sent."""
    with pytest.raises(TypeError, match="not JSON serializable") as caught:
        Backend("up", server.url, login_fields={"a": b"bytes"}).login({})
    assert "requests" not in str(caught.getrepr(style="short"))
