"""manage.py upstream_logout: what is lost is said before, and what became of it at the upstream after."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import NotLoggedIn
from jwt_upstream.models import Credential, Event
from tests.support.commands import SECRETS, Terminal, run
from tests.support.upstream import Answer, Upstream


@pytest.fixture
def revoking(client: UpstreamClient, upstream: Upstream, settings: Any) -> Upstream:
    """The upstream, which can be told of a logout; its client is logged in."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"revoke_path": "revoke", "revoke_fields": {"token": "{refresh}"}}
    upstream.answers["/revoke"] = Answer(200, {})
    return upstream


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Somebody at a terminal types an answer: ``typed("y")``."""
    return lambda text: monkeypatch.setattr("sys.stdin", Terminal(text))


def test_logout(client: UpstreamClient, revoking: Upstream, typed: Any, capsys: Any) -> None:
    """After a yes the tokens are gone here and there; what will be lost is listed first; who did it is recorded."""
    Credential.objects.update(access_expires_at=timezone.now() + timedelta(minutes=10, seconds=30))
    typed("y\n")
    code, out, failed = run("upstream_logout", "up")
    assert (code, failed) == (0, "")
    first, access, refresh, told, effect, done = out.splitlines()
    assert first.startswith("up/default: active since ")
    assert first.endswith(" as bob")
    assert (access, refresh) == ("  access token   10 min", "  refresh token  unknown expiry")
    assert told == "  upstream       is told that they are no longer used"
    assert effect == "Calls with this account fail until somebody logs in again."
    assert done == "up/default: the tokens are deleted here. The upstream was told, and has ended them."
    assert capsys.readouterr().err == "Log up/default out? [y/N] "
    assert not any(secret in out for secret in SECRETS)
    assert Event.objects.latest("pk").by.startswith("upstream_logout by ")
    with pytest.raises(NotLoggedIn):
        client.get("orders/")


def test_anything_but_yes(client: UpstreamClient, typed: Any) -> None:
    """Anything but a yes changes nothing."""
    for answer in ("n\n", "\n", "", "maybe\n"):
        typed(answer)
        assert run("upstream_logout", "up")[::2] == (1, "Cancelled; nothing was changed.")
    assert client.get("orders/").status_code == 200


def test_without_a_terminal(client: UpstreamClient, stdin: Any) -> None:
    """Where nobody can be asked --yes must be given; a yes in a pipe is no answer."""
    stdin("y\n")
    assert run("upstream_logout", "up")[::2] == (1, "There is no terminal to ask: give --yes.")
    code, out, _ = run("upstream_logout", "up", "--yes")
    assert code == 0
    assert "  upstream       is not told\n" in out
    assert Credential.objects.get().state == "logged_out"


def test_upstream_that_is_down(revoking: Upstream) -> None:
    """An upstream that could not be told has an exit code of its own; the tokens are gone here all the same."""
    revoking.answers["/revoke"] = Answer(503)
    code, _, failed = run("upstream_logout", "up", "--yes")
    assert code == 3
    assert failed.startswith(
        "up/default: the tokens are deleted here. The upstream could not be told: HTTP 503 (POST "
    )
    assert Credential.objects.get().state == "logged_out"


def test_local_only(revoking: Upstream) -> None:
    """--local-only leaves the upstream alone."""
    code, out, _ = run("upstream_logout", "up", "--yes", "--local-only")
    assert (code, revoking.calls("/revoke")) == (0, [])
    assert "  upstream       is not told\n" in out


def test_nothing_to_log_out(client: UpstreamClient) -> None:
    """An account without tokens is left as it is, and nobody is asked; an account that is unknown has none."""
    client.logout()
    for arguments in (["up"], ["up", "--account", "nobody"]):
        code, out, _ = run("upstream_logout", *arguments)
        assert (code, out.endswith(": there are no tokens, nothing was changed.\n")) == (0, True)
    assert Event.objects.count() == 2


def test_lone_access_token(client: UpstreamClient, settings: Any, upstream: Upstream) -> None:
    """Only what there is is listed; of an upstream that has left the settings too."""
    upstream.answers["/login"] = Answer(200, {"access": "access-1"})
    client.login(username="bob", password="correct horse")
    settings.JWT_UPSTREAM = {}
    code, out, failed = run("upstream_logout", "up", "--yes")
    assert "refresh token" not in out
    assert (code, "configured in JWT_UPSTREAM" in failed) == (3, True)


def test_json(revoking: Upstream, typed: Any, capsys: Any) -> None:
    """With --json standard output has the outcome and nothing else, also if the upstream could not be told."""
    revoking.answers["/revoke"] = Answer(503)
    typed("y\n")
    code, out, _ = run("upstream_logout", "up", "--json")
    data = json.loads(out)
    assert (code, data["logged_out"], data["upstream_told"]) == (3, True, False)
    assert data["told"].startswith("The upstream could not be told: HTTP 503")
    printed = capsys.readouterr()
    assert (printed.out, "refresh token  unknown expiry" in printed.err, "[y/N]" in printed.err) == ("", True, True)
    assert run("upstream_logout", "up", "--json")[::2] == (0, "")


def test_unknown_account(client: UpstreamClient) -> None:
    """Of an account that there isn't it is asked whether another one was meant; of one without tokens not."""
    said = "there are no tokens, nothing was changed"
    assert run("upstream_logout", "up", "--account", "defualt")[1] == f"up/defualt: {said}; did you mean 'default'?\n"
    client.logout()
    assert run("upstream_logout", "up")[1] == f"up/default: {said}.\n"


def test_unknown_alias(client: UpstreamClient) -> None:
    """An alias that neither settings nor database know is an error that says what there is."""
    code, _, failed = run("upstream_logout", "upp")
    assert (code, failed) == (1, "no upstream 'upp' in JWT_UPSTREAM; it has up; did you mean 'up'?")
