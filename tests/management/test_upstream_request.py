"""manage.py upstream_request: a call with the credential, what it prints, and what its exit code says."""

from __future__ import annotations

import io
import json
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.core.management import call_command

from jwt_upstream.client import UpstreamClient
from jwt_upstream.tokens import TokenPair
from tests.support.commands import run, unread
from tests.support.rows import unbind
from tests.support.upstream import Answer, Seen, Upstream


@pytest.fixture
def hello(client: UpstreamClient, upstream: Upstream) -> Upstream:
    """An upstream that says hello at "hello", to a client that is logged in."""
    upstream.answers["/hello"] = Answer(200, b"hello\n", {"Content-Type": "text/plain", "X-Hops": "1"})
    return upstream


class Screen(io.TextIOWrapper):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_get(hello: Upstream) -> None:
    """The body is printed as it is; the call carries the credential."""
    assert run("upstream_request", "up", "get", "hello?page=2") == (0, "hello\n", "")
    (seen,) = hello.calls("/hello")
    assert (seen.method, seen.path, seen.token, seen.body) == ("GET", "/hello?page=2", "access-1", b"")


def test_refreshed_first(client: UpstreamClient, upstream: Upstream) -> None:
    """An expired token is refreshed as in a view."""
    upstream.expire()
    code, out, _ = run("upstream_request", "up", "GET", "orders/")
    assert (code, json.loads(out)["token"]) == (0, "access-2")


def test_account(hello: Upstream, client: UpstreamClient) -> None:
    """The account is the one that was named."""
    UpstreamClient("up", "ann").adopt(TokenPair("access-ann"))
    run("upstream_request", "up", "GET", "hello", "--account", "ann")
    assert hello.calls("/hello")[0].token == "access-ann"


def test_body(hello: Upstream) -> None:
    """A body is sent as it is; its type is a form's, JSON's if that is said, or the caller's own."""
    for arguments, kind in [
        (["--data", "total=5"], "application/x-www-form-urlencoded"),
        (["--data", '{"total": 5}', "--json-body"], "application/json"),
        (["--data", "a;b", "--header", "content-type: text/csv"], "text/csv"),
    ]:
        assert run("upstream_request", "up", "POST", "hello", *arguments)[0] == 0
        seen = hello.calls("/hello")[-1]
        assert (seen.body.decode(), seen.headers["Content-Type"]) == (arguments[1], kind)


@pytest.mark.parametrize("dash", ["-", "@-"])
def test_body_from_stdin(hello: Upstream, monkeypatch: pytest.MonkeyPatch, dash: str) -> None:
    """Bytes come from a pipe."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\0")))
    run("upstream_request", "up", "PUT", "hello", "--data", dash)
    assert hello.calls("/hello")[0].body == b"\xff\0"


def test_body_and_headers_from_files(hello: Upstream, tmp_path: Path) -> None:
    """What others should not see in a process list comes from files."""
    (tmp_path / "body").write_bytes(b"\xff\0")
    (tmp_path / "headers").write_text("X-One: 1\n\nX-Two:  2 \n")
    arguments = ["--data", f"@{tmp_path / 'body'}", "--header", f"@{tmp_path / 'headers'}"]
    run("upstream_request", "up", "PUT", "hello", *arguments)
    (seen,) = hello.calls("/hello")
    assert (seen.body, seen.headers["X-One"], seen.headers["X-Two"]) == (b"\xff\0", "1", "2")


def test_include(hello: Upstream) -> None:
    """The status and the headers come first if they are asked for; those that hold secrets are masked."""
    headers = {
        "Content-Type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "Authorization": "Bearer access-9",
        "Set-Cookie": "sid=s3cr",
        "X-New": "eyJhbGciOiJIUzI1NiJ9.eyJpYXQiOjE3OTYxMTU2MDB9.c2ln",
        "X-Bell": "a\x1b[2J",
    }
    hello.answers["/hello"] = Answer(200, b"hello", headers)
    code, out, _ = run("upstream_request", "up", "GET", "hello", "--include")
    first, *lines = out.splitlines()
    assert (code, first, lines[-2:]) == (0, "HTTP 200 OK", ["", "hello"])
    assert f"Content-Type: {headers['Content-Type']}" in lines
    assert {"Authorization: […]", "Set-Cookie: […]", "X-New: […]", "X-Bell: a\\x1b[2J"} <= set(lines)
    assert not any("access-1" in line for line in lines)


def test_include_of_an_echo(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A token that was sent in the query is masked in headers that repeat it, such as the link to the next page."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["api_query"] = {"access_token": "{access}"}

    def echoes(seen: Seen) -> Answer:
        return Answer(200, b"", {"Link": f"<{seen.path}&page=2>; rel=next", "X-Path": seen.path})

    upstream.answers["/orders/"] = echoes
    code, out, _ = run("upstream_request", "up", "GET", "orders/", "--include")
    lines = {"Link: </orders/?access_token=[…]&page=2>; rel=next", "X-Path: /orders/?access_token=[…]"}
    assert (code, lines <= set(out.splitlines())) == (0, True)


def test_output(hello: Upstream, tmp_path: Path) -> None:
    """A body goes to a file, whatever it is; nothing is printed."""
    hello.answers["/hello"] = Answer(200, b"\x89PNG\r\n\0")
    assert run("upstream_request", "up", "GET", "hello", "--output", str(tmp_path / "out")) == (0, "", "")
    assert (tmp_path / "out").read_bytes() == b"\x89PNG\r\n\0"
    code, _, failed = run("upstream_request", "up", "GET", "hello", "--output", str(tmp_path))
    assert (code, failed) == (1, f"--output: {tmp_path}: Is a directory.")


def test_called_by_a_program(hello: Upstream) -> None:
    """A program that gives call_command() a text to write to gets the body as text."""
    out = io.StringIO()
    call_command("upstream_request", "up", "GET", "hello", stdout=out)
    assert out.getvalue() == "hello\n"


def test_reader_that_has_had_enough(hello: Upstream) -> None:
    """A reader such as head, which doesn't read to the end, is no reason for a traceback."""
    hello.answers["/hello"] = Answer(200, b"x" * 1_000_000)
    assert unread("upstream_request", "up", "GET", "hello") == 141


def test_terminal(hello: Upstream) -> None:
    """On a terminal nothing of the body is obeyed: escapes are shown."""
    hello.answers["/hello"] = Answer(
        200, "é\x1b[2J\u202e\tb\n".encode(), {"Content-Type": "text/plain; charset=utf-8"}
    )
    screen = Screen(io.BytesIO(), encoding="utf-8", write_through=True)
    call_command("upstream_request", "up", "GET", "hello", stdout=screen)
    assert screen.buffer.getvalue().decode() == "é\\x1b[2J\\u202e\tb\n"  # type: ignore[attr-defined]  # of BytesIO


def test_answer_that_says_no(hello: Upstream) -> None:
    """An answer of 400 or more is printed like any other, and the exit code tells."""
    for status in (400, 404, 500):
        hello.answers["/hello"] = Answer(status, b"why")
        assert run("upstream_request", "up", "GET", "hello") == (3, "why", f"up: the answer is HTTP {status}.")


def test_redirect(hello: Upstream) -> None:
    """A redirect is followed inside the origin, as by any client."""
    hello.answers["/moved"] = Answer(302, b"", {"Location": "/hello"})
    assert run("upstream_request", "up", "GET", "moved")[:2] == (0, "hello\n")


def test_needs_a_human(client: UpstreamClient, upstream: Upstream) -> None:
    """With a credential that needs a human nothing is sent, and what to do is said."""
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})
    assert run("upstream_request", "up", "GET", "orders/")[0] == 1
    code, _, failed = run("upstream_request", "up", "GET", "orders/")
    assert (code, len(upstream.seen)) == (1, 1)
    assert "have the account unlocked" in failed


def test_upstream_that_is_down(client: UpstreamClient, settings: Any) -> None:
    """No answer is another matter than one that says no."""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://127.0.0.1:9/"
    unbind()
    assert run("upstream_request", "up", "GET", "x")[::2] == (2, "No answer: NewConnectionError: Connection refused.")


def test_refresh_that_is_not_to_be_had(client: UpstreamClient, upstream: Upstream) -> None:
    """While no token is to be had the code says: later."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(503)
    assert run("upstream_request", "up", "GET", "orders/")[0] == 2


REFUSED = [
    (["http://evil.example.net/"], "not sent: the URL is not on http://127.0.0.1:"),
    (
        ["x", "--header", "Authorization: Bearer mine"],
        "Nothing was sent: UpstreamClient sets Authorization itself",
    ),
    (["x", "--header", "Host: other"], "Nothing was sent: UpstreamClient sets Host itself"),
    (["x", "--header", "X-A: \u2713"], "Nothing was sent: "),
    (["http:///x"], "Nothing was sent: not sent: no host in "),
    (["x", "--header", "no colon"], "--header must be 'Name: value' or @FILE"),
    (["x", "--header", "@/nowhere"], "--header: /nowhere: No such file or directory."),
    (["x", "--data", "@/nowhere"], "--data: /nowhere: No such file or directory."),
    (["x", "--data", "{", "--json-body"], "--json-body: the data is not JSON; nothing was sent."),
    (["x", "--json-body"], "--json-body: the data is not JSON; nothing was sent."),
]


def test_refused(client: UpstreamClient, upstream: Upstream) -> None:
    """What must not or can't be sent is said in a line, and nothing is sent."""
    for arguments, text in REFUSED:
        code, out, failed = run("upstream_request", "up", "POST", *arguments)
        assert (code, out, upstream.seen) == (1, "", [])
        assert failed.startswith(text)


def test_no_method(client: UpstreamClient) -> None:
    """A method is letters."""
    assert run("upstream_request", "up", "G-T", "x")[2].startswith("Error: argument METHOD: must be a method of HTTP")


def test_certificate_that_is_not_trusted(client: UpstreamClient, settings: Any) -> None:
    """A certificate that is not trusted needs a human."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with Upstream(context) as server:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = server.url
        assert run("upstream_request", "up", "GET", "x")[0] == 1


def test_body_that_breaks_off(hello: Upstream, tmp_path: Path) -> None:
    """An answer that ends too early is no answer."""

    def breaks_off(_: Seen) -> Answer:
        return Answer(200, b"hello", {"Content-Encoding": "gzip"})

    hello.answers["/hello"] = breaks_off
    for arguments in ([], ["--output", str(tmp_path / "out")]):
        code, _, failed = run("upstream_request", "up", "GET", "hello", *arguments)
        assert (code, failed) == (2, "No answer: ContentDecodingError.")
