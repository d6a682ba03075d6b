"""manage.py upstream_login --browser: on this host, from another one, in two steps; and nothing stored on failure."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.core.management import CommandError, call_command

from jwt_upstream.backends import get_backend
from jwt_upstream.management import browser_login
from jwt_upstream.management.browser_login import Loopback, port_of
from jwt_upstream.models import Credential, Event
from tests.pages.test_outputs import output, same
from tests.support.authorization_server import CLIENT, AuthorizationServer
from tests.support.commands import SECRETS, Told

STATIC = "https://us.example.com/back/"


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A real terminal as standard input; what is called with a line types it."""
    ours, theirs = pty.openpty()
    with open(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)

        def type_(line: str) -> None:
            os.write(ours, f"{line}\n".encode())

        yield type_
    os.close(ours)


def run(*arguments: str, act: Callable[[str], None] | None = None) -> str:
    """Run the command, and have a person do something with the URL that it shows; return what it printed."""
    out, error = Told(act), Told(act)
    try:
        call_command("upstream_login", *arguments, stdout=out, stderr=error)
    finally:
        for told in (out, error):
            if told.thread.ident:
                told.thread.join(10)
    assert not any(secret in out.getvalue() + error.getvalue() for secret in SECRETS)
    return out.getvalue()


def refused(*arguments: str, act: Callable[[str], None] | None = None, code: int = 1) -> str:
    """Run the command, which must fail with one line; return the line."""
    with pytest.raises(CommandError) as caught:
        run(*arguments, act=act)
    line = str(caught.value)
    assert caught.value.returncode == code
    assert "\n" not in line
    assert "code-" not in line
    return line


def follow(url: str) -> None:
    """Do as a browser that is redirected."""
    requests.get(url, timeout=10)


# -- on this host


def test_login(drive: AuthorizationServer, transactional_db: None, port: int) -> None:
    """The redirect is waited for on a port of this host, and the tokens are stored."""
    out = run("drive", "--account", "acme", "--browser", "--port", str(port), act=follow)
    assert f"Waiting for the redirect to http://127.0.0.1:{port}/.\n" in out
    assert "drive/acme: logged in.\n" in out
    assert Credential.objects.get().pair.refresh == "refresh-1"
    assert Event.objects.get().by.startswith("upstream_login by ")
    assert json.loads(run("drive", "--browser", "--port", str(port), "--json", act=follow))["account"] == "default"


def test_redirect_of_another_login(drive: AuthorizationServer, transactional_db: None, port: int) -> None:
    """What belongs to another login, as any page in the browser can send it, keeps nobody from finishing their own."""
    answers: list[int] = []

    def act(url: str) -> None:
        for wrong in ("code=theirs&state=theirs", "error=access_denied"):
            answers.append(requests.get(f"http://127.0.0.1:{port}/?{wrong}", timeout=10).status_code)
        follow(url)

    run("drive", "--browser", "--port", str(port), act=act)
    assert (answers, Credential.objects.get().pair.access) == ([400, 400], "access-1")


def test_page(
    drive: AuthorizationServer, transactional_db: None, settings: Any, port: int, terminal: Callable[[str], None]
) -> None:
    """On a terminal the command prints what docs/howto/browser_login.rst shows."""
    server = drive.upstream.url
    options = {"authorize_path": f"{server}authorize", "login_path": f"{server}token", "scope": "x", **CLIENT}
    google = {"BACKEND": "jwt_upstream.backends.GoogleBackend", "BASE_URL": server, "OPTIONS": options}
    settings.JWT_UPSTREAM = {"drive": google}
    shown = output("howto/browser_login.rst", "upstream_login drive --browser").replace("8400", str(port))
    shown = shown.replace("https://accounts.google.com/o/oauth2/v2/auth", options["authorize_path"])
    out = run("drive", "--browser", "--no-open", "--port", str(port), act=follow)
    assert re.fullmatch(re.escape(same(shown)).replace("…", "[^ ]*"), same(out)), out


def test_configured_redirect_uri(drive: AuthorizationServer, transactional_db: None, settings: Any, port: int) -> None:
    """A redirect URI of this host in the settings is listened on, with its path."""
    settings.JWT_UPSTREAM["drive"]["OPTIONS"]["redirect_uri"] = f"http://localhost:{port}/back"
    assert "drive/default: logged in.\n" in run("drive", "--browser", act=follow)
    assert drive.exchanges[0]["redirect_uri"] == f"http://localhost:{port}/back"


def test_browser_is_opened(
    drive: AuthorizationServer, transactional_db: None, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is a display the browser is opened, unless that is not wanted."""
    opened: list[str] = []

    def open_(url: str) -> bool:
        opened.append(url)
        threading.Thread(target=follow, args=[url]).start()
        return True

    # Patched, since no browser of a person's is to be opened here.
    monkeypatch.setattr(webbrowser, "open", open_)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    run("drive", "--browser", "--port", str(port))
    run("drive", "--browser", "--port", str(port), "--no-open", act=follow)
    monkeypatch.delenv("WAYLAND_DISPLAY")
    run("drive", "--browser", "--port", str(port), act=follow)
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("returns", "code", "said"),
    [
        ({"iss": "https://evil.example.com"}, 1, "drive/default: login failed: the redirected URL comes from"),
        ({"code": None, "error": "access_denied"}, 1, "access was denied, by the person or by the server"),
        ({"code": None, "error": "temporarily_unavailable"}, 2, "the server is overloaded or in maintenance"),
        ({"code": "code-that-was-used"}, 1, "HTTP 400: code is unknown or was used"),
    ],
)
def test_login_that_fails(
    drive: AuthorizationServer,
    transactional_db: None,
    port: int,
    returns: dict[str, str | None],
    code: int,
    said: str,
) -> None:
    """Whatever is wrong with the redirect is one line, and nothing is stored."""
    drive.returns = returns
    line = refused("drive", "--browser", "--port", str(port), act=follow, code=code)
    assert said in line
    assert line.endswith("; nothing was stored.")
    assert not Credential.objects.exists()


def test_nobody_comes(drive: AuthorizationServer, transactional_db: None, port: int) -> None:
    """After the timeout the command ends."""
    line = refused("drive", "--browser", "--port", str(port), "--timeout", "0.05")
    assert line == "No redirect came in time; no tokens were stored."


def test_port_in_use(drive: AuthorizationServer, transactional_db: None) -> None:
    """A port that is in use is told, with what to do."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        number = other.getsockname()[1]
        line = refused("drive", "--browser", "--port", str(number))
    assert line.startswith(f"Port {number} of 127.0.0.1 can't be listened on (Address already in use); nothing was")


def test_interrupted(
    drive: AuthorizationServer, transactional_db: None, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends it in one line."""

    def interrupt(*_: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Loopback, "wait", interrupt)  # which a signal does only in the main thread
    assert refused("drive", "--browser", "--port", str(port)) == "Cancelled; no tokens were stored."


# -- what comes to the port


@pytest.fixture
def loopback(port: int) -> Iterator[Loopback]:
    with Loopback(f"http://127.0.0.1:{port}/back", lambda redirected: "other" not in redirected) as loopback:
        yield loopback


def served(loopback: Loopback, *asked: tuple[str, str, str]) -> list[requests.Response]:
    """Ask with these methods, paths and hosts while it waits; return the answers."""
    answers: list[requests.Response] = []

    def ask() -> None:
        for method, path, host in asked:
            url = f"http://127.0.0.1:{loopback.port}{path}"
            answers.append(requests.request(method, url, headers={"Host": host} if host else {}, timeout=10))

    thread = threading.Thread(target=ask)
    thread.start()
    loopback.wait(5)
    thread.join(10)
    return answers


def test_what_is_no_redirect(loopback: Loopback, capfd: Any) -> None:
    """Icons, other paths, methods, hosts and logins are refused, and waited on after that; nothing of it is logged."""
    good = ("GET", "/back?code=c0de&state=s", "")
    answers = served(
        loopback,
        ("GET", "/favicon.ico", ""),
        ("GET", "/back", ""),
        ("GET", "/?code=other&state=s", ""),
        ("GET", "/back?code=other&state=s", f"evil.example.com:{loopback.port}"),
        ("GET", "/back?code=other&state=s", "127.0.0.1"),
        ("POST", "/back?code=other&state=s", ""),
        ("GET", "/back?error=other&state=t", ""),
        good,
    )
    assert [answer.status_code for answer in answers] == [404, 404, 404, 400, 400, 501, 400, 200]
    assert loopback.redirected == "/back?code=c0de&state=s"
    assert "c0de" not in answers[-1].text + str(answers[-1].headers) + "".join(capfd.readouterr())
    assert answers[-1].headers["Referrer-Policy"] == "no-referrer"
    assert answers[-1].headers["Cache-Control"] == "no-store"


def test_first_redirect_counts(loopback: Loopback) -> None:
    """A second redirect changes nothing."""
    loopback.receive("/back?code=one")
    loopback.receive("/back?code=two")
    assert loopback.wait(1) == "/back?code=one"


def test_connection_without_a_request(loopback: Loopback, capfd: Any) -> None:
    """A connection that a browser opens in advance, or that breaks, keeps nobody waiting and prints nothing."""
    with socket.create_connection(("127.0.0.1", loopback.port)) as silent:
        with socket.create_connection(("127.0.0.1", loopback.port)) as broken:
            broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            broken.sendall(b"GET /")
        assert served(loopback, ("GET", "/back?error=access_denied", ""))[0].status_code == 200
        silent.shutdown(socket.SHUT_RDWR)
    loopback.handle_error(None, None)
    assert capfd.readouterr() == ("", "")


def test_answer_when_nobody_waits(port: int) -> None:
    """An answer that comes when the command is over is no error."""
    with Loopback(f"http://127.0.0.1:{port}/", bool) as loopback:
        pass
    loopback.receive("/?code=late")


@pytest.mark.parametrize(
    ("uri", "number"),
    [
        ("http://127.0.0.1:8400/", 8400),
        ("http://localhost/back", 80),
        ("https://localhost:8400/", None),
        (STATIC, None),
        ("http://127.0.0.1.example.com:8400/", None),
    ],
)
def test_where_a_command_can_listen(uri: str, number: int | None) -> None:
    """Only http:// on this host can be listened on."""
    assert port_of(uri) == number


def test_port_80(monkeypatch: pytest.MonkeyPatch) -> None:
    """Browsers leave the port 80 out of the name of the host."""
    monkeypatch.setattr("socketserver.TCPServer.__init__", lambda *_: None)  # which only root may listen on
    loopback = Loopback("http://localhost/back", bool)
    assert "localhost" in loopback.hosts
    loopback._close_pair()


# -- from another host


def test_pasted_beside_the_port(
    drive: AuthorizationServer, transactional_db: None, port: int, terminal: Callable[[str], None]
) -> None:
    """Over SSH the redirected URL is pasted while the command waits."""
    out = run("drive", "--browser", "--port", str(port), act=lambda url: terminal(drive.visit(url)))
    assert "If the browser is on another host, paste the URL that it is redirected to:" in out
    assert Credential.objects.get().pair.access == "access-1"


def test_pasted(
    drive: AuthorizationServer, transactional_db: None, settings: Any, terminal: Callable[[str], None]
) -> None:
    """Where the redirect goes to the project's own site, its URL is pasted."""
    settings.JWT_UPSTREAM["drive"]["OPTIONS"]["redirect_uri"] = STATIC
    out = run("drive", "--browser", act=lambda url: terminal(drive.visit(url)))
    assert f"The browser is then redirected to {STATIC}. Paste the whole URL here:" in out
    assert drive.exchanges[0]["redirect_uri"] == STATIC


def test_end_of_the_input(
    drive: AuthorizationServer, transactional_db: None, port: int, terminal: Callable[[str], None]
) -> None:
    """Ctrl-D at the terminal leaves the command waiting for the redirect."""

    def act(url: str) -> None:
        terminal("\4")
        follow(url)

    run("drive", "--browser", "--port", str(port), act=act)
    assert Credential.objects.get().pair.access == "access-1"


def test_no_terminal_to_paste(drive: AuthorizationServer, transactional_db: None, settings: Any, stdin: Any) -> None:
    """Without a terminal it is said how to do it in two steps."""
    settings.JWT_UPSTREAM["drive"]["OPTIONS"]["redirect_uri"] = STATIC
    stdin("")
    line = refused("drive", "--browser")
    assert line.startswith(f"The redirect goes to {STATIC}, where this command can't listen, and there is no terminal")
    assert line.endswith("use --print-url and --redirected-url, or give --port.")


# -- in two steps


@pytest.fixture
def two(drive: AuthorizationServer, transactional_db: None, folder: Path) -> AuthorizationServer:
    """What the two steps need."""
    return drive


def begun(*arguments: str) -> str:
    """Do the first step; return the URL, which is all that is printed."""
    (url,) = run("drive", "--browser", "--print-url", *arguments).split()
    return url


def test_two_steps(two: AuthorizationServer, folder: Path, stdin: Any) -> None:
    """The first step keeps an encrypted file of its user's own, the second one completes the login and deletes it."""
    url = begun("--account", "acme")
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert "state=" + file.read_text()[:5] not in url
    stdin(two.visit(url) + "\n")
    run("drive", "--account", "acme", "--browser", "--redirected-url", "-")
    assert str(Credential.objects.get()) == "drive/acme"
    assert two.exchanges[0]["redirect_uri"] == f"http://127.0.0.1:{browser_login.PORT}/"
    assert list(folder.iterdir()) == []


def test_redirect_uri_of_an_account(two: AuthorizationServer, settings: Any) -> None:
    """Where the redirect URI contains parameters of accounts, the browser comes back to that of its own account."""
    settings.JWT_UPSTREAM["drive"]["OPTIONS"]["redirect_uri"] = "https://us.example.com/{tenant}/"
    settings.JWT_UPSTREAM["drive"]["ACCOUNTS"] = {"parameters": ["tenant"]}
    redirected = two.visit(begun("--account", "acme", "--set", "tenant=a1"))
    run("drive", "--account", "acme", "--browser", "--redirected-url", redirected)
    assert two.exchanges[0]["redirect_uri"] == "https://us.example.com/a1/"


def test_second_step_once(two: AuthorizationServer, folder: Path) -> None:
    """The same URL a second time sends nothing, so the upstream has no reason to end the tokens."""
    redirected = two.visit(begun())
    run("drive", "--browser", "--redirected-url", redirected)
    line = refused("drive", "--browser", "--redirected-url", redirected)
    assert line.startswith("No login was begun, or it was completed already: there is no ")
    assert len(two.exchanges) == 1


def test_second_step_that_fails(two: AuthorizationServer, folder: Path) -> None:
    """A wrong URL stores nothing and ends the login that was begun."""
    begun()
    assert "this is not the whole URL" in refused("drive", "--browser", "--redirected-url", "https://us.example.com/")
    assert list(folder.iterdir()) == []
    assert not Credential.objects.exists()


def test_first_step_again(two: AuthorizationServer, folder: Path) -> None:
    """Whoever begins again forgets the first login."""
    first, second = begun(), begun()
    assert "belongs to another login" in refused("drive", "--browser", "--redirected-url", two.visit(first))
    assert second != first


def test_files_are_not_overwritten(two: AuthorizationServer, folder: Path) -> None:
    """A file that is something else is neither overwritten nor deleted, nor is one taken for a login."""
    file = folder / "settings.py"
    file.write_text("PRECIOUS = 1")
    line = refused("drive", "--browser", "--print-url", "--pending-file", str(file))
    assert line == f"{file} exists, and is no login that was begun; give another --pending-file."
    assert file.read_text() == "PRECIOUS = 1"
    missing = folder / "no" / "such"
    line = refused("drive", "--browser", "--print-url", "--pending-file", str(missing))
    assert line == f"{missing} can't be written (No such file or directory); give another --pending-file."
    assert "can't be read and deleted (Is a directory)" in refused(
        "drive", "--browser", "--redirected-url", "x", "--pending-file", str(folder)
    )


def test_file_of_another_login(two: AuthorizationServer, folder: Path) -> None:
    """A file of another account's login completes no login."""
    file = str(folder / "pending")
    redirected = two.visit(begun("--account", "acme", "--pending-file", file))
    line = refused("drive", "--browser", "--redirected-url", redirected, "--pending-file", file)
    assert line == "The file is of a login to another upstream or account; nothing was stored."
    assert two.exchanges == []


# -- arguments


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--port", "8400"), "--port needs --browser."),
        (("--redirected-url", "-"), "--redirected-url needs --browser."),
        (("--no-open",), "--no-open needs --browser."),
        (("--browser", "--username", "bob"), "--username can't be used with --browser"),
        (("--browser", "--password-stdin"), "argument --password-stdin: not allowed with argument --browser"),
        (("--browser", "--print-url", "--redirected-url", "-"), "not allowed with argument"),
        (("--browser", "--port", "0"), "must be a port, from 1 to 65535"),
        (("--browser", "--port", "x"), "must be a port, from 1 to 65535"),
        (("--browser", "--timeout", "601"), "must be a number of seconds, at most 600"),
        (("--browser", "--timeout", "-1"), "must be a number of seconds, at most 600"),
    ],
)
def test_wrong_arguments(drive: AuthorizationServer, arguments: tuple[str, ...], said: str) -> None:
    """What doesn't go together is said before anything is done."""
    with pytest.raises(CommandError, match=re.escape(said)):
        run("drive", *arguments)


def test_login_without_a_browser(drive: AuthorizationServer, transactional_db: None, stdin: Any) -> None:
    """Whoever forgets --browser is told; a code that was obtained elsewhere can still be given."""
    assert refused("drive") == "A login of drive takes a person in a browser: give --browser."
    url = get_backend("drive").authorization_request(STATIC).url.replace("code_challenge", "nothing")
    code = parse_qs(urlsplit(drive.visit(url)).query)["code"][0]
    stdin(f"{code}\n{STATIC}\n")
    run("drive", "--password-stdin")
    assert Credential.objects.get().pair.access == "access-1"


@pytest.mark.parametrize("more", [(), ("--print-url",)])
def test_upstream_without_such_a_login(drive: AuthorizationServer, folder: Path, more: tuple[str, ...]) -> None:
    """Where nobody can log in by a browser it is said which option is missing."""
    assert refused("up", "--browser", *more).startswith("up: OPTIONS has no authorize_path, the page on which")
    assert list(folder.iterdir()) == []
