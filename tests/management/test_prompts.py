"""Where a command reads the values for a login: standard input, the environment, a terminal."""

from __future__ import annotations

import getpass
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from jwt_upstream.models import Credential
from tests.support.commands import SECRETS, Terminal, login, refused
from tests.support.upstream import Answer, Upstream


def test_asked_at_a_terminal(terminal: list[str], capsys: Any) -> None:
    """A person is asked for the username, and hidden for the password."""
    assert login("up").startswith("up/default: logged in as bob.\n")
    assert terminal == ["Password: "]
    assert capsys.readouterr().err == "Username: "


def test_prompt_on_the_screen(terminal: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt is where the rest is printed, unless that is read by a program."""
    monkeypatch.setattr("sys.stdout", screen := Terminal())  # what pytest captures by is none
    login("up")
    assert screen.getvalue() == "Username: "


def test_real_terminal(upstream: Upstream, transactional_db: None, tmp_path: Path, settings: Any) -> None:
    """At a real terminal, in a process of its own, the password is not echoed."""
    (tmp_path / "at_terminal.py").write_text(
        f"from tests.settings import *\nJWT_UPSTREAM = {settings.JWT_UPSTREAM!r}\n"
    )
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "at_terminal",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()]),
        "JWT_UPSTREAM_TEST_DATABASE": str(connection.settings_dict["NAME"]),
    }
    keyboard, screen = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "django", "upstream_login", "up"],
        env=environment,
        stdin=screen,
        stdout=screen,
        stderr=screen,
        start_new_session=True,
    )
    os.close(screen)
    shown = type_in(keyboard, {"Username: ": "bob\n", "Password: ": "correct horse\n"})
    assert process.wait(30) == 0, shown
    assert "up/default: logged in as bob." in shown
    assert not any(secret in shown for secret in SECRETS)
    assert Credential.objects.get().pair.access == "access-1"


def type_in(keyboard: int, answers: dict[str, str]) -> str:
    """Answer each prompt as it appears; return all that the screen showed."""
    shown, answered = "", 0
    while True:
        try:
            piece = os.read(keyboard, 1024).decode()
        except OSError:  # Linux: the last one has closed the terminal
            piece = ""
        if not piece:
            os.close(keyboard)
            return shown
        shown += piece
        for prompt, answer in list(answers.items())[answered:]:
            if shown.endswith(prompt):
                os.write(keyboard, answer.encode())
                answered += 1


def test_nothing_is_asked_of_a_person(upstream: Upstream, transactional_db: None, settings: Any, stdin: Any) -> None:
    """Where the client is the account, the command needs neither terminal nor values."""
    settings.JWT_UPSTREAM = {
        "up": {
            "BACKEND": "jwt_upstream.backends.OAuth2Backend",
            "BASE_URL": upstream.url,
            "OPTIONS": {"grant_type": "client_credentials", "client_id": "us", "client_secret": "correct horse"},
        }
    }
    upstream.answers["/token"] = Answer(200, {"access_token": "access-1", "token_type": "Bearer"})
    out = login("up")
    assert out.startswith("up/default: logged in.\n")
    assert "  refresh token  none\n" in out
    stdin("correct horse\n")
    assert "the login has no secrets" in refused("up", "--password-stdin")
    assert refused("up", "--username", "bob") == "The login of up doesn't use a username."


def test_no_terminal(upstream: Upstream, stdin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal and without values there is one line instead of a prompt which nobody answers."""
    stdin("")
    assert refused("up") == (
        "There is no username, and no terminal to ask for it: give --username or set JWT_UPSTREAM_USERNAME."
    )
    assert refused("up", "--username", "bob") == (
        "There is no password, and no terminal to ask for it: give --password-stdin or set JWT_UPSTREAM_PASSWORD."
    )
    monkeypatch.setattr("sys.stdin", None)
    assert refused("up").startswith("There is no username, and no terminal")
    assert upstream.seen == []


@pytest.mark.parametrize("password", ["", "\n"])
def test_no_password_on_stdin(upstream: Upstream, stdin: Any, password: str) -> None:
    """An empty standard input is told, and no login is tried with an empty password."""
    stdin(password)
    assert refused("up", "--username", "bob", "--password-stdin") == (
        "--password-stdin: standard input has no line for password."
    )
    assert upstream.seen == []


def test_nothing_typed(terminal: list[str], upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty answer at a prompt ends the command before anything is sent."""
    monkeypatch.setattr("sys.stdin", Terminal("\n"))
    assert refused("up") == "No username was given; no tokens were stored."
    assert upstream.seen == []


@pytest.mark.parametrize("how", [KeyboardInterrupt, EOFError])
def test_cancelled(terminal: list[str], monkeypatch: pytest.MonkeyPatch, how: type[BaseException]) -> None:
    """Ctrl-C and Ctrl-D at a prompt end the command without a traceback."""

    def cancel(prompt: str) -> str:
        raise how

    monkeypatch.setattr(getpass, "getpass", cancel)
    assert refused("up") == "Cancelled; no tokens were stored."


@pytest.mark.parametrize("option", ["--password-stdin", "--tokens-stdin"])
def test_secrets_are_not_typed_where_they_show(terminal: list[str], option: str) -> None:
    """What is meant for a pipe isn't read from a terminal, which would show it."""
    arguments = ("--username", "bob") if option == "--password-stdin" else ()
    assert refused("up", *arguments, option).endswith("from a pipe or file, not from the terminal.")
