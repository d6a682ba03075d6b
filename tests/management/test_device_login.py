"""manage.py upstream_login --device: what it shows, where, and that nothing is stored unless somebody confirmed."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import responses
from django.core.management import CommandError, call_command

from jwt_upstream.login import device
from jwt_upstream.models import Credential, Event
from tests.support.commands import login, refused
from tests.support.device import CODES, PENDING, SECRET, SETTINGS, answering
from tests.support.upstream import Answer, Upstream

SHOWN = """\
On any device, open this address in a browser, and enter the code:

    https://id.example.com/device
    WDJB-MJHT

Or open this one, which has the code in it, and compare the code that it shows:

    https://id.example.com/device?user_code=WDJB-MJHT

Waiting until the login is confirmed, for 15 min at most; Ctrl-C cancels.
"""


def sleep_by(monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], None]) -> None:
    """Let the command wait like that: nothing but the clock stands between its polls."""
    monkeypatch.setattr(device, "time", SimpleNamespace(sleep=sleep))


@pytest.fixture
def server(upstream: Upstream, settings: Any, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """An OAuth 2 server with a device authorization endpoint; nobody has to wait for it."""
    settings.JWT_UPSTREAM["up"] = copy.deepcopy({**SETTINGS, "BASE_URL": upstream.url})
    sleep_by(monkeypatch, lambda _: None)
    answering(upstream, [PENDING])
    return upstream


class Pipe(io.StringIO):
    """A pipe whose reader gets what was flushed."""

    read_so_far = ""

    def flush(self) -> None:
        self.read_so_far = self.getvalue()


def test_device_login(server: Upstream) -> None:
    """The code and both addresses are shown, then the summary of any login."""
    text = login("up", "--device", "--account", "acme")
    shown, _, summary = text.partition("\nup/acme: logged in.\n")
    assert f"{shown}\n" == SHOWN
    assert "The tokens are stored encrypted." in summary
    assert SECRET not in text
    assert Event.objects.get().by.startswith("upstream_login by ")


def test_code_comes_before_the_wait(server: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no terminal the code is written at once, not when a buffer is full; also with --json."""
    for arguments, name in (((), "stdout"), (("--json",), "stderr")):
        pipes, seen = {"stdout": Pipe(), "stderr": Pipe()}, list[str]()
        sleep_by(monkeypatch, lambda _, pipe=pipes[name], seen=seen: seen.append(pipe.read_so_far))  # type: ignore[misc]
        answering(server, [])
        call_command("upstream_login", "up", "--device", *arguments, **pipes)
        assert seen == [SHOWN]


def test_json(server: Upstream) -> None:
    """With --json standard output is the JSON alone."""
    out, error = io.StringIO(), io.StringIO()
    call_command("upstream_login", "up", "--device", "--json", stdout=out, stderr=error)
    assert json.loads(out.getvalue())["can_be_renewed"] is True
    assert error.getvalue() == SHOWN


def test_address_without_a_code(server: Upstream) -> None:
    """An upstream that knows no complete address shows the other one alone."""
    answering(server, [], {**CODES, "verification_uri_complete": None})
    assert "Or open" not in login("up", "--device")


@pytest.mark.parametrize(
    ("codes", "polls", "code", "said"),
    [
        (CODES, [Answer(400, {"error": "access_denied"})], 1, "the login was declined in the browser"),
        ({**CODES, "expires_in": 1e-9}, [], 1, "the code has expired: nobody confirmed the login within 0 s; begin"),
        (CODES, [Answer(200, b"<html>")], 2, "HTTP 200: an HTML page"),
        (Answer(404), [], 1, "HTTP 404"),
        (Answer(503), [], 2, "HTTP 503"),
    ],
)
def test_login_that_fails(server: Upstream, codes: Any, polls: list[Answer], code: int, said: str) -> None:
    """Why a login failed is one line, which says that nothing was stored."""
    answering(server, polls, codes)
    line = refused("up", "--device", code=code)
    assert said in line
    assert line.endswith("; nothing was stored.")
    assert not Credential.objects.exists()


def test_cancelled(server: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends the wait, with a plain message and nothing stored."""

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    sleep_by(monkeypatch, interrupted)
    assert refused("up", "--device") == "Cancelled; no tokens were stored."
    assert not Credential.objects.exists()
    assert server.calls("/token") == []


def test_cancelled_at_the_last_moment(server: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at the moment when the tokens are stored doesn't say that they aren't."""

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(device, "keep", interrupted)
    said = "Cancelled while the tokens were being stored: manage.py upstream_status up shows if they are."
    assert refused("up", "--device") == said


def test_cancelled_before_there_is_a_code(server: Upstream) -> None:
    """Ctrl-C before the upstream has answered ends the command as well."""

    def interrupted(_: Any) -> Any:
        raise KeyboardInterrupt

    with responses.RequestsMock() as mock:
        mock.add_callback("POST", f"{server.url}device", interrupted)
        assert refused("up", "--device") == "Cancelled; no tokens were stored."
    assert not Credential.objects.exists()


def test_wrong_options(server: Upstream, settings: Any) -> None:
    """What doesn't go with a device login is refused before anything is sent, as is a backend that has none."""
    assert refused("up", "--device", "--username", "bob") == "--username can't be used with --device."
    with pytest.raises(CommandError, match="not allowed with argument"):
        login("up", "--device", "--tokens-stdin")
    del settings.JWT_UPSTREAM["up"]["OPTIONS"]["device_path"]
    assert "there is no device login without device_path in OPTIONS" in refused("up", "--device")
    assert server.seen == []
