"""Automatic login: off by default, under the same lease, never a password twice that was refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import mail
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from jwt_upstream.backends import Backend, Outcome, Verdict, get_backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.clock import elapsed
from jwt_upstream.exceptions import (
    AccountLocked,
    CredentialRejected,
    NotLoggedIn,
    RefreshUnavailable,
    UpstreamMisconfigured,
    UpstreamNotConfigured,
)
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh.call import attempt, is_renewable, login_fingerprints
from jwt_upstream.tokens import TokenPair
from tests.support import workers
from tests.support.clock import pass_time
from tests.support.rows import unbind
from tests.support.upstream import Answer, Seen, Upstream


@pytest.fixture
def automatic(upstream: Upstream, settings: Any, transactional_db: None) -> UpstreamClient:
    """A client of an upstream that may be logged in to without a person."""
    settings.JWT_UPSTREAM["up"]["LOGIN"] = {"username": upstream.user, "password": upstream.password}
    return UpstreamClient("up")


def test_first_call(automatic: UpstreamClient, upstream: Upstream) -> None:
    """Without any credential the first call logs in."""
    assert automatic.get("orders/").json()["token"] == "access-1"
    assert [seen.path for seen in upstream.seen] == ["/login", "/orders/"]
    event = Event.objects.get()
    assert (event.kind, event.by.partition(" (")[0]) == ("logged_in", "automatic login")


def test_refused_refresh(automatic: UpstreamClient, upstream: Upstream, mailoutbox: list[mail.EmailMessage]) -> None:
    """A refused refresh token leads to one login, and nobody is woken."""
    automatic.get("orders/")
    upstream.expire()
    upstream.refresh = "lost"
    assert automatic.get("orders/").json()["token"] == "access-2"
    assert len(upstream.calls("/login")) == 2
    assert (Credential.objects.get().state, mailoutbox) == ("active", [])


def test_rotated_token_in_a_strange_answer(client: UpstreamClient, upstream: Upstream) -> None:
    """A rotated token is read of an answer in a charset that it isn't said to be in, so that no old one is reused."""

    def rotate(seen: Seen) -> Answer:
        body = {**upstream.issue(), "name": "José"}
        return Answer(200, json.dumps(body, ensure_ascii=False).encode("latin-1"))

    upstream.answers["/refresh"] = rotate
    for _ in range(3):
        upstream.expire()
        assert client.get("orders/").status_code == 200
    sent = [seen.json()["refresh"] for seen in upstream.calls("/refresh")]
    assert sent == ["refresh-1", "refresh-2", "refresh-3"]


def test_token_that_is_too_long(client: UpstreamClient, upstream: Upstream) -> None:
    """A token that no header could carry is not stored, and the error says how long it is."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(200, {"access": "x" * 20_000, "refresh": "r"})
    with pytest.raises(RefreshUnavailable, match="access token has 20000 characters, more than the 16384"):
        client.get("orders/")
    assert Credential.objects.get().state == "active"


DEAD = {
    "Jira": (403, {"error": "unauthorized_client", "error_description": "refresh_token is invalid"}),
    "league": (401, {"error": "invalid_request", "error_description": "The refresh token is invalid."}),
    "a success": (200, {"error": "invalid_grant"}),
    "words in a success": (200, {"success": False, "message": "Invalid refresh token"}),
    "text": (404, b"Refresh token not found"),
}


@pytest.mark.parametrize("said", DEAD)
@pytest.mark.parametrize("backend", ["Backend", "OAuth2Backend"])
def test_dead_refresh_token(
    automatic: UpstreamClient, upstream: Upstream, settings: Any, backend: str, said: str
) -> None:
    """However a server says that the refresh token is dead, a login heals what it can and nothing is tried again."""
    automatic.get("orders/")
    settings.JWT_UPSTREAM["up"]["BACKEND"] = f"jwt_upstream.backends.{backend}"
    unbind()
    options = {"access_paths": ["access"], "refresh_paths": ["refresh"], "client_id": "us", "body_format": "json"}
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {**options, "login_path": "login", "refresh_path": "refresh"}
    unbind()
    upstream.answers["/refresh"] = Answer(*DEAD[said])
    upstream.expire()
    assert automatic.get("orders/").json()["token"] == "access-2"
    assert (upstream.refreshes, Credential.objects.get().state) == (1, "active")


def test_missing_refresh_token(automatic: UpstreamClient, upstream: Upstream) -> None:
    """A missing refresh token leads to one login, and nobody is woken."""
    automatic.adopt(TokenPair("stale"))
    assert automatic.get("orders/").status_code == 200
    assert (upstream.refreshes, len(upstream.calls("/login"))) == (0, 1)


def test_answer_without_a_refresh_token(automatic: UpstreamClient, upstream: Upstream) -> None:
    """The refresh token which was refused is not kept beside the login's access token."""
    automatic.adopt(TokenPair("stale", "refused"))
    upstream.access.add("only")
    upstream.answers["/login"] = Answer(200, {"access": "only"})
    assert automatic.get("orders/").status_code == 200
    assert Credential.objects.get().pair == TokenPair("only")


def test_wrong_password(automatic: UpstreamClient, upstream: Upstream, mailoutbox: list[mail.EmailMessage]) -> None:
    """A wrong password is tried once; then the credential is rejected until somebody changes something."""
    upstream.password = "changed"
    for client in (automatic, UpstreamClient("up"), UpstreamClient("up")):
        with pytest.raises(CredentialRejected, match="automatic login: HTTP 401: No active account"):
            client.get("orders/")
    assert len(upstream.calls("/login")) == 1
    assert len(mailoutbox) == 1


def test_wrong_password_and_a_new_key(automatic: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A refused password isn't tried again because keys are rotated, whichever of them a worker has first."""
    old, new = settings.JWT_UPSTREAM_ENCRYPTION_KEYS[0], Fernet.generate_key().decode()
    upstream.password = "other"
    for keys in ([old], [old, new], [new, old], [old, new]):
        settings.JWT_UPSTREAM_ENCRYPTION_KEYS = keys
        with pytest.raises(CredentialRejected):
            automatic.get("orders/")
    assert len(upstream.calls("/login")) == 1


def test_corrected_configuration(automatic: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Another password in the settings is tried, once."""
    upstream.password = "changed"
    with pytest.raises(CredentialRejected):
        automatic.get("orders/")
    for password in ("also wrong", "changed"):
        settings.JWT_UPSTREAM["up"]["LOGIN"]["password"] = password
        if password == "also wrong":
            with pytest.raises(CredentialRejected):
                automatic.get("orders/")
    assert automatic.get("orders/").status_code == 200
    assert len(upstream.calls("/login")) == 3


def test_configured_after_the_rejection(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A credential that was rejected before LOGIN was configured is logged in once it is."""
    upstream.expire()
    upstream.refresh = "lost"
    with pytest.raises(CredentialRejected):
        client.get("orders/")
    settings.JWT_UPSTREAM["up"]["LOGIN"] = {"username": upstream.user, "password": upstream.password}
    assert client.get("orders/").status_code == 200


def test_login_in_settings_is_named(
    automatic: UpstreamClient, upstream: Upstream, mailoutbox: list[mail.EmailMessage]
) -> None:
    """Whoever has to correct LOGIN reads that it was refused, in the upstream's words, and not of expired tokens."""
    upstream.password = "changed"
    automatic.adopt(TokenPair("stale", "lost"))
    with pytest.raises(CredentialRejected) as caught:
        automatic.get("orders/")
    login = "automatic login: HTTP 401: No active account found with the given credentials"
    reason = f"the LOGIN in settings was refused, correct it; {login}; refresh: HTTP 401: Token is invalid or expired"
    assert caught.value.reason == reason
    assert f"({reason}); correct LOGIN in the settings, or log in: manage.py upstream_login up" in str(caught.value)
    said = " ".join(str(mailoutbox[0].body).split())
    assert "What to do: Correct LOGIN in the settings. Or log in again, on its page or by the command. Page: " in said
    assert "Command: manage.py upstream_login up Until then" in said


def test_login_in_settings_at_the_first_call(automatic: UpstreamClient, upstream: Upstream) -> None:
    """Where there never was a token, none is said to have expired."""
    upstream.password = "changed"
    with pytest.raises(CredentialRejected) as caught:
        automatic.get("orders/")
    assert "expired" not in caught.value.reason


THROTTLED = Answer(401, {"code": 401, "message": "Too many failed login attempts, please try again in 1 minute."})


@pytest.mark.parametrize("answer", [THROTTLED, Answer(429, {}, {"Retry-After": "60"})])
def test_throttled_login(automatic: UpstreamClient, upstream: Upstream, answer: Answer) -> None:
    """Nothing is sent while a throttled login has to wait, and a refused refresh token is never sent again."""
    automatic.adopt(TokenPair("stale", "lost"))
    upstream.answers["/login"] = answer
    for number in (1, 2, 3):
        for _ in range(3):
            with pytest.raises(RefreshUnavailable) as caught:
                UpstreamClient("up").get("orders/")
            assert 50 < (caught.value.retry_after or 0) <= 60
        assert (upstream.refreshes, len(upstream.calls("/login"))) == (1, number)
        pass_time(61)
    del upstream.answers["/login"]
    assert automatic.get("orders/").status_code == 200
    assert (upstream.refreshes, Credential.objects.get().failed_fingerprint) == (1, "")


def test_refresh_token_of_another_login(automatic: UpstreamClient, upstream: Upstream) -> None:
    """Only the very token that was refused is not sent again."""
    automatic.adopt(TokenPair("stale", "lost"))
    upstream.answers["/login"] = Answer(503)
    with pytest.raises(RefreshUnavailable):
        automatic.get("orders/")
    upstream.refresh = "another"
    automatic.adopt(TokenPair("stale", "another"))
    assert automatic.get("orders/").status_code == 200
    assert upstream.refreshes == 2


def test_login_that_is_gone(automatic: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Without LOGIN a refresh token that was refused is refused for good, and not sent to find that out."""
    automatic.adopt(TokenPair("stale", "lost"))
    upstream.answers["/login"] = Answer(503)
    with pytest.raises(RefreshUnavailable):
        automatic.get("orders/")
    del settings.JWT_UPSTREAM["up"]["LOGIN"]
    pass_time(5)
    with pytest.raises(CredentialRejected, match="the refresh token was refused before"):
        automatic.get("orders/")
    assert upstream.refreshes == 1


class Broken(Backend):
    """A project's backend with a bug."""

    def login(self, credentials: Mapping[str, str]) -> Outcome:
        raise KeyError(credentials["password"])


def test_bug_in_a_login(automatic: UpstreamClient, settings: Any) -> None:
    """A bug in a backend's login is a failure like any other, which shows no secret and leaves no lease behind."""
    settings.JWT_UPSTREAM["up"]["BACKEND"] = f"{__name__}.Broken"
    with pytest.raises(RefreshUnavailable, match=r"automatic login: KeyError in Broken\.login\)") as caught:
        automatic.get("orders/")
    assert "correct horse" not in str(caught.value)
    assert Credential.objects.get().lease == ""


def test_url_of_a_refresh_that_fails(client: UpstreamClient, upstream: Upstream) -> None:
    """A wrong path is told with the URL and with the command that shows what is sent."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(404, b"<!doctype html>", {"Content-Type": "text/html"})
    with pytest.raises(UpstreamMisconfigured) as caught:
        client.get("orders/")
    assert f"(HTTP 404: an HTML page (POST {upstream.url}refresh)); next attempt in" in str(caught.value)
    assert str(caught.value).endswith("; manage.py upstream_probe up shows what is sent")


def test_trouble_at_login(automatic: UpstreamClient, upstream: Upstream) -> None:
    """A login that fails for now is tried again after the backoff, not given up."""
    upstream.answers["/login"] = Answer(503)
    with pytest.raises(RefreshUnavailable, match="automatic login: HTTP 503"):
        automatic.get("orders/")
    assert Credential.objects.get().failures == 1


def test_locked_account(automatic: UpstreamClient, upstream: Upstream) -> None:
    """A locked account is never tried."""
    automatic.get("orders/")
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})
    for _ in range(3):
        with pytest.raises(AccountLocked):
            automatic.get("orders/")
    assert len(upstream.calls("/login")) == 1


def test_locked_at_refresh(automatic: UpstreamClient, upstream: Upstream) -> None:
    """An account that turns out to be locked when refreshing is never tried by a login."""
    automatic.get("orders/")
    upstream.expire()
    upstream.answers["/refresh"] = Answer(401, {"message": "Account is disabled."})
    with pytest.raises(AccountLocked):
        automatic.get("orders/")
    assert len(upstream.calls("/login")) == 1


def test_locked_at_login(automatic: UpstreamClient, upstream: Upstream) -> None:
    """A login that says so locks the credential."""
    upstream.answers["/login"] = Answer(401, {"message": "Account is disabled."})
    for _ in range(2):
        with pytest.raises(AccountLocked):
            automatic.get("orders/")
    assert len(upstream.calls("/login")) == 1


def test_logged_out_on_purpose(automatic: UpstreamClient, upstream: Upstream) -> None:
    """A logout is kept to."""
    automatic.get("orders/")
    automatic.logout()
    with pytest.raises(NotLoggedIn):
        automatic.get("orders/")


def test_other_accounts(automatic: UpstreamClient, upstream: Upstream) -> None:
    """The login is not used for another account, unless that one logged in with the same username."""
    tenant = UpstreamClient("up", "tenant-42")
    with pytest.raises(NotLoggedIn):
        tenant.get("orders/")
    tenant.adopt(TokenPair("stale", "lost"))
    with pytest.raises(CredentialRejected):
        tenant.get("orders/")
    same = UpstreamClient("up", "same")
    same.login(username=upstream.user, password=upstream.password)
    upstream.expire()
    upstream.refresh = "lost"
    assert same.get("orders/").status_code == 200


def test_no_time_left(automatic: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """No login is begun that could outlast the lease; the next attempt makes it."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["deadline"] = 0.5
    automatic.adopt(TokenPair("stale", "lost"))
    upstream.answers["/refresh"] = Answer(401, {}, delay=0.35)
    settings.JWT_UPSTREAM_LEASE_SECONDS = 0.8
    with pytest.raises(RefreshUnavailable):
        automatic.get("orders/")
    assert (upstream.calls("/login"), Credential.objects.get().state) == ([], "active")


@pytest.mark.slow
def test_many_workers(automatic: UpstreamClient, upstream: Upstream) -> None:
    """Many workers without a usable token make one login."""
    results = workers.together(*(workers.start("calls", threads=4) for _ in range(3)))
    assert [outcome for result in results for outcome, _ in result] == [200] * 12
    assert len(upstream.calls("/login")) == 1


@pytest.mark.slow
def test_wrong_password_of_many_workers(automatic: UpstreamClient, upstream: Upstream) -> None:
    """A password that is refused is tried once, however many workers there are."""
    upstream.password = "changed"
    results = workers.together(*(workers.start("stream", threads=4, count=5) for _ in range(3)))
    outcomes = {outcome.partition(":")[0] for result in results for _, outcome, *_ in result}
    assert outcomes == {"CredentialRejected"}
    assert len(upstream.calls("/login")) == 1


@pytest.mark.parametrize(
    ("login", "problem"),
    [
        ({"username": "bob"}, "LOGIN has no 'password'"),
        ({"username": "bob", "password": ""}, "LOGIN has no 'password'"),
        ({"username": "bob", "password": "x", "otp": "1"}, "LOGIN has 'otp', which the login doesn't use"),
    ],
)
def test_wrong_settings(upstream: Upstream, settings: Any, db: None, login: dict[str, str], problem: str) -> None:
    """A login that can't work is an error at start-up."""
    settings.JWT_UPSTREAM["up"]["LOGIN"] = login
    with pytest.raises(UpstreamNotConfigured, match=problem):
        UpstreamClient("up")
    with pytest.raises(SystemCheckError, match=problem):
        call_command("check")


# -- LOGIN that is kept elsewhere


@pytest.fixture
def kept(upstream: Upstream, settings: Any, transactional_db: None, tmp_path: Path) -> Path:
    """The file with the password of an upstream that may be logged in to without a person."""
    path = tmp_path / "password"
    path.write_text(upstream.password)
    settings.JWT_UPSTREAM["up"]["LOGIN"] = {"username": lambda: upstream.user, "password": f"file:{path}"}
    return path


def test_login_in_a_file(kept: Path, upstream: Upstream) -> None:
    """The values of LOGIN may be kept elsewhere, and nothing is read as long as no login is needed."""
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-1"
    kept.unlink()
    upstream.expire()
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-2"
    assert upstream.refreshes == 1


def test_password_that_was_replaced(kept: Path, upstream: Upstream) -> None:
    """A password that is refused is read anew, and if it is another one by now the login is made once more."""
    client = UpstreamClient("up")
    client.get("orders/")
    upstream.password, upstream.refresh = "another", "lost"
    upstream.expire()
    kept.write_text("another")
    assert client.get("orders/").json()["token"] == "access-2"
    assert [seen.json()["password"] for seen in upstream.calls("/login")] == ["correct horse"] * 2 + ["another"]


def test_password_that_stays_wrong(kept: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password that is refused and the same when it is read anew is tried once, until the file has another one."""
    monkeypatch.setattr("jwt_upstream.backends.secrets.reference.KEPT_SECONDS", 0.0)
    kept.write_text("wrong")
    for _ in range(2):
        with pytest.raises(CredentialRejected, match="LOGIN in settings was refused"):
            UpstreamClient("up").get("orders/")
    assert len(upstream.calls("/login")) == 1
    kept.write_text(upstream.password)
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-1"


def test_password_that_cannot_be_read(kept: Path, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is missing is a mistake in the settings: no credential is given up, and the message names it."""
    monkeypatch.setattr("jwt_upstream.backends.secrets.reference.FAILED_SECONDS", 0.0)
    kept.unlink()
    with pytest.raises(UpstreamMisconfigured, match=f"can't be read from '{kept}': No such file"):
        UpstreamClient("up").get("orders/")
    assert (upstream.seen, Credential.objects.get().state) == ([], "active")
    kept.write_text(upstream.password)
    pass_time(60)
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-1"


def test_username_that_cannot_be_read(upstream: Upstream, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as LOGIN's username can't be read any account may be its; once it can be, only those of that name."""
    monkeypatch.setattr("jwt_upstream.backends.secrets.reference.FAILED_SECONDS", 0.0)
    read = ["", "", "", "", "bob"]
    settings.JWT_UPSTREAM["up"]["LOGIN"] = {"username": lambda: read.pop(0), "password": upstream.password}
    row, backend = Credential(upstream="up", account="other", username="ann"), get_backend("up")
    assert is_renewable(backend, row)
    assert login_fingerprints(backend, row) == []
    attempted = attempt(backend, row, TokenPair("access"), elapsed() + 60)
    assert (attempted.outcome.verdict, attempted.login, upstream.seen) == (Verdict.REJECTED, "", [])
    assert not is_renewable(backend, row)
