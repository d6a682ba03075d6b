"""manage.py upstream_login: where the secrets may come from, what is said, and that nothing is stored on failure."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jwt_upstream.models import Credential, Event
from jwt_upstream.tokens import TokenPair, fingerprint
from tests.support.commands import SECRETS, login, refused
from tests.support.upstream import Answer, Upstream

# -- logging in


def test_password_from_stdin(upstream: Upstream, transactional_db: None, stdin: Any) -> None:
    """A password comes through a pipe; what is said names who, until when and the fingerprints, and no secret."""
    upstream.lifetime = 3600
    stdin("correct horse\n")
    out = login("up", "--username", "bob", "--password-stdin")
    credential = Credential.objects.get()
    assert credential.pair.access == "access-1"
    first, access, refresh, last = out.splitlines()
    assert first == "up/default: logged in as bob."
    assert access == (
        f"  access token   expires {credential.access_expires_at:%Y-%m-%d %H:%M:%S} UTC (59 min), "
        f"fingerprint {fingerprint('access-1')}"
    )
    assert refresh == f"  refresh token  unknown expiry, fingerprint {fingerprint('refresh-1')}"
    assert last.startswith("The tokens are stored encrypted.")
    assert not any(secret in out for secret in SECRETS)


def test_from_the_environment(environment: None) -> None:
    """Username and password come from the environment; the account is the one that was asked for."""
    assert login("up", "--account", "ann").startswith("up/ann: logged in as bob.\n")
    assert Credential.objects.get().account == "ann"


def test_no_refresh_token(environment: None, upstream: Upstream, settings: Any) -> None:
    """A missing refresh token is told at once: where it was looked for, what the answer holds, and what to do."""
    upstream.answers["/login"] = Answer(200, {"access": "access-1", "refreshToken": "refresh-1"})
    out = login("up")
    assert "  refresh token  none\n" in out
    assert out.splitlines()[-1] == (
        "This credential can't be renewed: no refresh token at refresh_token, refresh (refresh_paths); the answer "
        "holds access, refreshToken. Once the access token has expired, calls fail until somebody logs in again. If "
        "the answer has a refresh token under another name, add that to refresh_paths in OPTIONS; otherwise LOGIN in "
        "the settings lets the app log in by itself."
    )
    assert not any(secret in out for secret in SECRETS)
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["refresh_paths"] = ["refreshToken"]
    assert "can't be renewed" not in login("up")


def test_upstream_without_refresh_tokens(environment: None, upstream: Upstream, settings: Any) -> None:
    """Where no refresh token is expected, nobody is sent to look for one."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["refresh_paths"] = []
    assert login("up").splitlines()[-1] == (
        "This credential can't be renewed: this upstream has no refresh tokens. Once the access token has expired, "
        "calls fail until somebody logs in again. LOGIN in the settings lets the app log in by itself."
    )


def test_other_secrets(
    upstream: Upstream, transactional_db: None, settings: Any, stdin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else a login asks for is a secret, too: one line each on standard input, or the environment."""
    fields = {"tenant": "acme", "api_key": "{api_key}", "pin": "{pin}"}
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": upstream.url, "OPTIONS": {"login_fields": fields}}}
    upstream.answers["/login"] = Answer(200, {"access": "access-1", "refresh": "refresh-1"})
    stdin("key\n1234\n")
    login("up", "--password-stdin")
    monkeypatch.setenv("JWT_UPSTREAM_API_KEY", "key")
    monkeypatch.setenv("JWT_UPSTREAM_PIN", "1234")
    login("up")
    sent = [seen.json() for seen in upstream.calls("/login")]
    assert sent == [{"tenant": "acme", "api_key": "key", "pin": "1234"}] * 2


def test_by_whom(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history records which user of the system logged in, by number where the number has no name."""
    monkeypatch.setenv("LOGNAME", "ann")
    login("up")
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987654)
    login("up")
    events = Event.objects.order_by("pk")
    assert [event.by.partition(" (")[0] for event in events] == [
        "upstream_login by ann",
        "upstream_login by uid 987654",
    ]


def test_json(environment: None, upstream: Upstream) -> None:
    """--json prints what was stored as fingerprints and expiries."""
    upstream.lifetime = 3600
    out = login("up", "--json")
    assert not any(secret in out for secret in SECRETS)
    told = json.loads(out)
    credential = Credential.objects.get()
    assert datetime.fromisoformat(told.pop("access_expires_at")) == credential.access_expires_at.replace(
        microsecond=credential.access_expires_at.microsecond // 1000 * 1000
    )
    assert told == {
        "upstream": "up",
        "account": "default",
        "username": "bob",
        "refresh_expires_at": None,
        "access_fingerprint": fingerprint("access-1"),
        "refresh_fingerprint": fingerprint("refresh-1"),
        "can_be_renewed": True,
    }


# -- failing


def test_wrong_password(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password is one line; nothing is stored, and what was stored before is kept."""
    monkeypatch.setenv("JWT_UPSTREAM_PASSWORD", "wrong")
    line = refused("up")
    assert line.startswith("up/default: login failed: HTTP 401: No active account")
    assert line.endswith("; nothing was stored.")
    assert not Credential.objects.exists()
    monkeypatch.setenv("JWT_UPSTREAM_PASSWORD", "correct horse")
    login("up")
    monkeypatch.setenv("JWT_UPSTREAM_PASSWORD", "wrong")
    refused("up")
    assert Credential.objects.get().pair == TokenPair("access-1", "refresh-1")


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (Answer(503, {}), 2, "HTTP 503"),
        (Answer(404, {"detail": "Not found."}), 1, "HTTP 404: Not found."),
        (Answer(401, {"message": "Account is disabled."}), 1, "Account is disabled."),
        (Answer(200, {"detail": "no token here"}), 2, "login failed"),
    ],
)
def test_upstream_in_trouble(environment: None, upstream: Upstream, answer: Answer, code: int, text: str) -> None:
    """Whatever an upstream answers in place of a token is one line, and nothing is stored; the code says when."""
    upstream.answers["/login"] = answer
    assert text in refused("up", code=code)
    assert not Credential.objects.exists()


def test_wrong_path(environment: None, upstream: Upstream) -> None:
    """A page in place of an answer is told with the URL that was asked, and with the command that shows more."""
    upstream.answers["/login"] = Answer(404, b"<!doctype html><title>Not Found", {"Content-Type": "text/html"})
    assert refused("up") == (
        f"up/default: login failed: HTTP 404: an HTML page (POST {upstream.url}login); "
        "manage.py upstream_probe up shows what is sent; nothing was stored."
    )


def test_upstream_down(environment: None, settings: Any) -> None:
    """An upstream that doesn't answer at all is one line, and nothing is stored."""
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": "http://127.0.0.1:9/"}}
    assert refused("up", code=2).endswith("Connection refused; nothing was stored.")
    assert not Credential.objects.exists()


@pytest.mark.parametrize("arguments", [(), ("--tokens-stdin",)])
def test_unknown_alias(environment: None, arguments: tuple[str, ...]) -> None:
    """An unknown alias is one line which names the known ones."""
    assert refused("nope", *arguments) == "no upstream 'nope' in JWT_UPSTREAM; it has up"


def test_no_secret_on_the_command_line() -> None:
    """No option of the command takes a secret."""
    with pytest.raises(CommandError, match="ignored explicit argument"):
        login("up", "--password=correct")


def test_help(capsys: Any) -> None:
    """--help tells of the environment."""
    with pytest.raises(SystemExit):
        call_command("upstream_login", "--help")
    assert "JWT_UPSTREAM_PASSWORD" in capsys.readouterr().out


# -- adopting


@pytest.mark.parametrize(
    ("given", "pair"),
    [
        ({"access": "a", "refresh": "r"}, TokenPair("a", "r")),
        ({"access_token": "a", "refresh_token": "r"}, TokenPair("a", "r")),
        ({"token": "a", "refresh_token": "r", "access_expires_at": None}, TokenPair("a", "r")),
        ({"token": "a"}, TokenPair("a")),
        ({"refresh": "r"}, TokenPair("", "r")),
        (
            {"access": "a", "refresh": "r", "access_expires_at": "2040-01-02T03:04:05+02:00"},
            TokenPair("a", "r", datetime(2040, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ),
        (
            {"access": "a", "refresh": "r", "access_expires_at": 2209000000, "refresh_expires_at": "2040-01-02"},
            TokenPair("a", "r", datetime.fromtimestamp(2209000000, UTC), datetime(2040, 1, 2, tzinfo=UTC)),
        ),
    ],
)
def test_adopted(upstream: Upstream, transactional_db: None, stdin: Any, given: Any, pair: TokenPair) -> None:
    """A pair obtained elsewhere is stored, under any of the usual names, with its expiries where they are known."""
    stdin(json.dumps(given))
    out = login("up", "--tokens-stdin")
    assert out.startswith("up/default: logged in.\n")
    assert ("This credential can't be renewed: adopted without a refresh token." in out) is (not pair.refresh)
    assert Credential.objects.get().pair == pair
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("", "standard input is not a JSON object."),
        ("access-1", "standard input is not a JSON object."),
        ('["access-1"]', "standard input is not a JSON object."),
        ("[" * 100000, "standard input is not a JSON object."),
        ("{}", "there is no token; the object needs access and refresh."),
        ('{"access": "", "refresh": ""}', "there is no token; the object needs access and refresh."),
        ('{"acces": "access-1"}', "unknown key acces; the keys are access, access_token, token, refresh, "),
        ('{"access-1access-1access-1access-1access-1": "x"}', "unknown key […]; the keys are "),
        ('{"access": "access-1", "token": "access-1"}', "give only one of access, access_token, token."),
        ('{"access": 5}', "access token must be a string, not int."),
        ('{"access": "access-1\\n\\r x"}', "access token has a character that an HTTP header can't carry."),
        ('{"access": "a", "access_expires_at": "soon"}', "access_expires_at is neither an ISO 8601 time nor epoch "),
        ('{"access": "a", "refresh_expires_at": true}', "refresh_expires_at is neither an ISO 8601 time nor epoch "),
    ],
)
def test_not_adopted(upstream: Upstream, transactional_db: None, stdin: Any, given: str, line: str) -> None:
    """What is no pair is refused in one line which doesn't show it, and nothing is stored."""
    stdin(given)
    assert refused("up", "--tokens-stdin").startswith(f"--tokens-stdin: {line}")
    assert not Credential.objects.exists()


def test_tokens_come_without_a_login(upstream: Upstream) -> None:
    """Options of a login don't go with tokens."""
    assert "--username can't be used with --tokens-stdin" in refused("up", "--tokens-stdin", "--username", "bob")
    with pytest.raises(CommandError, match="not allowed with argument"):
        login("up", "--tokens-stdin", "--password-stdin")
