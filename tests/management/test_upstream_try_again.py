"""manage.py upstream_try_again: one credential or all that need it, with what came of each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential, Event
from tests.support.commands import SECRETS, run
from tests.support.rows import put
from tests.support.upstream import Answer, Upstream


@pytest.fixture
def locked(client: UpstreamClient) -> Credential:
    """A credential that is locked here, and by now unlocked at the upstream."""
    Credential.objects.update(state="locked", reason="Account is disabled.")
    return Credential.objects.get()


def test_try_again(client: UpstreamClient, locked: Credential) -> None:
    """A credential works again if the upstream takes its refresh token; who tried is recorded."""
    assert run("upstream_try_again", "up") == (0, "up/default: works, it has a new token.\n", "")
    assert client.get("orders/").json()["token"] == "access-2"
    assert Event.objects.get(kind="restored").by.startswith("upstream_try_again by ")


def test_still_locked(client: UpstreamClient, upstream: Upstream, locked: Credential) -> None:
    """One that is still locked is said to be so, with what to do."""
    upstream.answers["/refresh"] = Answer(401, {"message": "Account is disabled."})
    code, out, failed = run("upstream_try_again", "up")
    assert (code, failed) == (1, "up: 1 of 1 does not work yet.")
    assert "have the account unlocked at the upstream" in out
    assert "manage.py upstream_login up" in out


def test_upstream_that_is_down(upstream: Upstream, locked: Credential) -> None:
    """An upstream that is away has the exit code that says: later."""
    upstream.answers["/refresh"] = Answer(503)
    assert run("upstream_try_again", "up")[::2] == (2, "up: 1 of 1 does not work yet.")


def test_all(upstream: Upstream, transactional_db: None, settings: Any) -> None:
    """--all tries those that need a human or fail, and leaves alone what works or was logged out."""
    settings.JWT_UPSTREAM["other"] = settings.JWT_UPSTREAM["up"]
    put("up", "fails", failures=3)
    put("up", "locked", state="locked")
    put("up", "out", state="logged_out")
    put("up", "well")
    put("other", "locked", state="locked")
    upstream.answers["/refresh"] = lambda seen: Answer(200, upstream.issue())
    code, out, _ = run("upstream_try_again", "up", "--all")
    assert (code, out) == (0, "up/locked: works, it has a new token.\nup/fails: works, it has a new token.\n")
    assert run("upstream_try_again", "up", "--all") == (0, "up: nothing needs to be tried.\n", "")


def test_all_at_an_upstream_that_is_down(upstream: Upstream, transactional_db: None) -> None:
    """An upstream that is down is asked three times, however many credentials it has; JSON says how many are left."""
    for number in range(5):
        put("up", f"a{number}", state="locked")
    upstream.answers["/refresh"] = Answer(503)
    code, out, failed = run("upstream_try_again", "up", "--all", "--json")
    assert (code, failed) == (2, "up: 3 of 3 do not work yet, not tried: 2.")
    assert upstream.refreshes == 3
    told = json.loads(out)
    assert told["not_tried"] == 2
    first = told["attempts"][0]
    assert "HTTP 503" in first.pop("problem")
    assert first == {"upstream": "up", "account": "a0", "works": False, "try_later": True}
    assert not any(secret in out for secret in SECRETS)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["upp"], "no upstream 'upp' in JWT_UPSTREAM; it has up; did you mean 'up'?"),
        (["up", "--account", "ann"], "up/ann was never logged in; log in: manage.py upstream_login up --account ann"),
        (["up", "--account", "ann", "--all"], "Error: argument --all: not allowed with argument --account"),
    ],
)
def test_refused(upstream: Upstream, transactional_db: None, arguments: list[str], text: str) -> None:
    """What can't be tried is said in a line, with what there is."""
    assert run("upstream_try_again", *arguments)[::2] == (1, text)


def test_lost_settings(locked: Credential, settings: Any) -> None:
    """Settings that are wrong are said to be so."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = {"nonsense": 1}
    code, _, failed = run("upstream_try_again", "up")
    assert (code, "unknown option 'nonsense'" in failed) == (1, True)
