"""manage.py upstream_rebind: a person confirms that tokens are for what settings name now."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.fernet import Fernet

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialMismatch
from jwt_upstream.models import Event
from jwt_upstream.testing import logged_in
from tests.support.commands import run, status
from tests.support.upstream import Upstream

from .test_monitoring import check

OTHER = {"client_id": "another"}


@pytest.fixture
def moved(client: UpstreamClient, settings: Any) -> UpstreamClient:
    """A client of tokens that were obtained for another client."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= OTHER
    with pytest.raises(CredentialMismatch):
        client.get("orders/")
    return client


def test_rebind(moved: UpstreamClient) -> None:
    """It says what is confirmed, and from then on the tokens are used; who did it is in the history."""
    code, out, _ = run("upstream_rebind", "up")
    assert (code, out) == (0, "up/default: confirmed, the client was not set and is another now.\n")
    assert moved.get("orders/").status_code == 200
    event = Event.objects.latest("pk")
    assert (event.kind, event.reason) == ("rebound", "the client was not set and is another now")
    assert event.by.startswith("upstream_rebind by ")
    nothing = "up: nothing was changed, the tokens are for what the settings name.\n"
    assert run("upstream_rebind", "up") == (0, nothing, "")


def test_all(moved: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """--all is for all accounts of the upstream that need it, and for no others."""
    settings.JWT_UPSTREAM["crm"] = settings.JWT_UPSTREAM["up"]
    logged_in("up", "well")
    logged_in("crm")
    settings.JWT_UPSTREAM["crm"] = {**settings.JWT_UPSTREAM["up"], "OPTIONS": {}}
    out = run("upstream_rebind", "up", "--all", "--json")[1]
    change = {"name": "client", "before": "", "now": "another"}
    assert json.loads(out) == {"rebound": [{"upstream": "up", "account": "default", "changes": [change]}]}
    with pytest.raises(CredentialMismatch):
        UpstreamClient("crm").get("orders/")
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["upp"], "no upstream 'upp' in JWT_UPSTREAM; it has up; did you mean 'up'?"),
        (["up", "--account", "ann"], "up/ann was never logged in; log in: manage.py upstream_login up --account ann"),
        (["up", "--account", "ann", "--all"], "Error: argument --all: not allowed with argument --account"),
    ],
)
def test_refused(upstream: Upstream, transactional_db: None, arguments: list[str], text: str) -> None:
    """What can't be confirmed is said in a line."""
    assert run("upstream_rebind", *arguments)[::2] == (1, text)


def test_status(moved: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """The status says what has changed and what to do, and counts it as one that needs a human."""
    out, failed = status()
    assert failed == "1 of 1 needs a human."
    said = " ".join(out.split())
    assert "up default mismatched" in said
    assert "obtained for other settings: the client was not set and is another now" in said
    assert "put the settings back, or confirm that the tokens are for these too: manage.py upstream_rebind up" in said
    told = json.loads(status("--json")[0])["credentials"][0]
    assert (told["state"], told["needs_human"], told["can_be_renewed"]) == ("mismatched", True, True)
    settings.JWT_UPSTREAM["up"]["LOGIN"] = {"username": upstream.user, "password": upstream.password}
    assert status()[1] == ""


def test_check(moved: UpstreamClient, settings: Any) -> None:
    """The line for monitoring says so too, and tells it from a lost key."""
    line = "JWT_UPSTREAM WARNING - 1 needs a human (whose tokens were obtained for other settings)"
    assert check() == (1, line)
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert check() == (1, "JWT_UPSTREAM WARNING - 1 needs a human (of which no key decrypts the tokens)")


def test_status_of_many(moved: UpstreamClient, settings: Any) -> None:
    """Of many credentials a sample is judged."""
    logged_in("up", "well")
    out, failed = status("--limit", "1")
    assert "mismatched" in out
    assert failed == "1 of 2 needs a human."


def test_lost_settings(moved: UpstreamClient, settings: Any) -> None:
    """With settings that are wrong nothing is judged, and nothing confirmed."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = {"nonsense": 1}
    assert "unknown option 'nonsense'" in run("upstream_rebind", "up")[2]
    assert "mismatched" not in status()[0]
