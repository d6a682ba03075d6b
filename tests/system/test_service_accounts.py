"""Accounts that need no person: from the first call with nothing stored to a key that is replaced."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError
from django.db import connections

from jwt_upstream.background import refresh_due
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import NotLoggedIn, UpstreamMisconfigured, UpstreamNotConfigured
from jwt_upstream.models import Credential, Event
from jwt_upstream.tokens import TokenPair
from tests.support.signatures import TokenEndpoint, google_key_file, pem, public_pem, verify
from tests.support.upstream import Answer, Seen, Upstream

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server() -> Iterator[Upstream]:
    """An upstream with a token endpoint."""
    with Upstream() as server:
        yield server


def configure(settings: Any, server: Upstream, backend: str, **options: Any) -> UpstreamClient:
    """Configure the upstream "up", and return a client of it."""
    path = f"jwt_upstream.backends.{backend}"
    settings.JWT_UPSTREAM = {"up": {"BACKEND": path, "BASE_URL": server.url, "OPTIONS": options}}
    return UpstreamClient("up")


def google(settings: Any, server: Upstream, **options: Any) -> UpstreamClient:
    """Configure a service account of Google's, with the server in Google's place."""
    given = {"login_path": "token", "signing_key": google_key_file(), "scope": "drive", **options}
    return configure(settings, server, "GoogleServiceAccountBackend", **given)


def endpoint(server: Upstream) -> TokenEndpoint:
    """Return an endpoint that knows the key of the file."""
    return TokenEndpoint(server, {"0123abcd": public_pem()}, "assertion")


def test_first_call(settings: Any, server: Upstream) -> None:
    """With nothing stored the first call gets a token; the next ones use it."""
    issued, client = endpoint(server), google(settings, server)
    assert [client.get("files").status_code for _ in range(3)] == [200] * 3
    assert len(issued.forms) == 1
    row = Credential.objects.get()
    assert (row.account, row.state, row.pair.access, row.pair.refresh) == ("default", "active", "issued", "")


def test_refused_token(settings: Any, server: Upstream) -> None:
    """A 401 has one new token made, whoever gets it, and the call is sent again once."""
    issued, client = endpoint(server), google(settings, server)
    client.get("files")
    issued.answer = {"access_token": "second", "expires_in": 3600}
    server.expire()
    assert client.get("files").status_code == 200
    server.expire()
    server.answers["/files"] = Answer(401, {})
    assert [client.get("files").status_code for _ in range(5)] == [401] * 5
    assert len(issued.forms) == 3


def test_other_accounts(settings: Any, server: Upstream) -> None:
    """Settings describe one account, "default": any other name is a mistake, and nothing is sent."""
    issued = endpoint(server)
    google(settings, server)
    with pytest.raises(NotLoggedIn):
        UpstreamClient("up", "acme").get("files")
    assert (server.seen, issued.forms, Credential.objects.count()) == ([], [], 0)


def test_login_command(settings: Any, server: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    """A login asks for nothing, and needs no terminal."""
    endpoint(server)
    google(settings, server)
    call_command("upstream_status")
    assert "logs in by itself at the first call" in capsys.readouterr().out
    call_command("upstream_login", "up")
    printed = capsys.readouterr().out
    assert "up/default: logged in." in printed
    assert "can't be renewed" not in printed
    with pytest.raises(SystemExit) as ended:
        call_command("upstream_status", check=True)
    assert ended.value.code == 0


def test_background(settings: Any, server: Upstream) -> None:
    """The background refresh gets the first token, and each next one before calls have to."""
    issued = endpoint(server)
    google(settings, server)
    refresh_due()
    assert len(issued.forms) == 1
    refresh_due()
    assert len(issued.forms) == 1
    refresh_due(ahead=7200)
    assert len(issued.forms) == 2


@pytest.mark.parametrize("options", [{"subject": "ann@example.com"}, {"scope": "x"}, {"assertion_claims": {"a": 1}}])
def test_other_user_or_scope(settings: Any, server: Upstream, options: dict[str, Any]) -> None:
    """A token that was got for somebody or something else is not used: a new one is, without a person."""
    issued, client = endpoint(server), google(settings, server)
    client.get("files")
    issued.answer = {"access_token": "for-ann", "expires_in": 3600}
    assert google(settings, server, **options).get("files").status_code == 200
    assert [seen.token for seen in server.calls("/files")] == ["issued", "for-ann"]


def test_logged_out(settings: Any, server: Upstream) -> None:
    """After a logout on purpose nothing logs in by itself."""
    issued, client = endpoint(server), google(settings, server)
    client.get("files")
    client.logout()
    with pytest.raises(NotLoggedIn):
        client.get("files")
    assert len(issued.forms) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"private_key": pem("RS256", 1)}, "InvalidSignatureError"), ({"private_key_id": "unknown"}, "KeyError")],
    ids=["key", "kid"],
)
def test_wrong_key(settings: Any, server: Upstream, wrong: dict[str, str], said: str) -> None:
    """A key that the server doesn't know gives no account up: with the right one calls work, without a person."""
    issued, client = endpoint(server), google(settings, server, signing_key=google_key_file(**wrong))
    with pytest.raises(UpstreamMisconfigured, match=said):
        client.get("files")
    with pytest.raises(UpstreamMisconfigured):
        client.login()
    row = Credential.objects.get()
    assert (row.state, row.pair.access, row.failure_verdict) == ("active", "", "config")
    Credential.objects.update(next_attempt_at=row.now() - timedelta(seconds=1))
    assert google(settings, server).get("files").status_code == 200
    assert len(issued.claims) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "signing_key can't be read from '.*': No such file or directory"),
        ("{}", "signing_key is JSON, but neither a JWK nor the key file of a service account"),
        (pem, "signing_key is not the JSON file that Google gives out, so client_email has to be set"),
        (lambda: pem(passphrase="x"), "signing_key is encrypted with a passphrase"),
    ],
)
def test_bad_key_file(settings: Any, server: Upstream, tmp_path: Path, content: Any, said: str) -> None:
    """A key file that is absent or unfit is told of; nothing is sent, and no token stored."""
    issued = endpoint(server)
    if content is not None:
        (tmp_path / "key").write_text(content() if callable(content) else content)
    client = google(settings, server, signing_key=f"file:{tmp_path}/key")
    with pytest.raises(UpstreamMisconfigured, match=said):
        client.get("files")
    with pytest.raises(UpstreamMisconfigured, match=said):
        client.login()
    assert (server.seen, issued.forms) == ([], [])
    assert Credential.objects.get().pair.access == ""
    assert [event.kind for event in Event.objects.all()] == ["failed"]


def test_key_that_does_not_fit(settings: Any, server: Upstream) -> None:
    """A key of the wrong type is an error at start-up, with what fits it."""
    with pytest.raises(UpstreamNotConfigured):
        google(settings, server, signing_algorithm="ES256")
    with pytest.raises(SystemCheckError) as caught:
        call_command("check")
    said = str(caught.value)
    assert "(jwt_upstream.E005)" in said
    assert "signing_algorithm 'ES256' is not for an RSA key; use RS256 or RS384" in said
    assert "HINT: Fix OPTIONS." in said


# -- tokens that are signed here


def guarded(server: Upstream, accepts: str = "ES256") -> list[str]:
    """Have calls of ``apps`` need a JWT that is signed with a key; return the list of those that came."""
    came: list[str] = []

    def answer(seen: Seen) -> Answer:
        came.append(seen.token)
        try:
            verify(seen.token, public_pem(accepts), "appstoreconnect-v1")
        except Exception as error:  # whatever PyJWT says of a token
            return Answer(
                401, {"errors": [{"status": "401", "code": "NOT_AUTHORIZED", "title": type(error).__name__}]}
            )
        return Answer(200, [])

    server.answers["/apps"] = answer
    return came


def app_store(settings: Any, server: Upstream, **options: Any) -> UpstreamClient:
    """Configure App Store Connect."""
    given = {"client_id": "issuer", "key_id": "2X9R4HXF34", "signing_key": pem("ES256")}
    given["assertion_claims"] = {"aud": "appstoreconnect-v1"}  # type: ignore[assignment]
    return configure(settings, server, "SelfSignedBackend", **{**given, **options})


def test_self_signed(settings: Any, server: Upstream) -> None:
    """The token is made at the first call, stored, and used until it expires; no other request is sent."""
    came, client = guarded(server), app_store(settings, server)
    assert [client.get("apps").status_code for _ in range(3)] == [200] * 3
    assert len(server.seen) == 3
    assert set(came) == {Credential.objects.get().pair.access}


@pytest.mark.parametrize("store", [False, True])
def test_self_signed_probe(settings: Any, server: Upstream, capsys: pytest.CaptureFixture[str], store: bool) -> None:
    """upstream_probe says that a login works which sends nothing, and what is wrong with one that can't."""
    app_store(settings, server)
    call_command("upstream_probe", "up", login=True, store=store)
    assert "It works, and sends nothing." in capsys.readouterr().out
    assert Credential.objects.exists() is store
    app_store(settings, server, signing_key=lambda: public_pem())
    with pytest.raises(CommandError, match="there is no answer"):
        call_command("upstream_probe", "up", login=True, store=store)
    assert "signing_key has no private key" in " ".join(capsys.readouterr().out.split())
    assert server.seen == []


def test_self_signed_for_all_threads(settings: Any, server: Upstream) -> None:
    """However many calls come at once, they share one token."""
    came = guarded(server)
    app_store(settings, server)

    def call() -> None:
        UpstreamClient("up").get("apps")
        connections.close_all()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(came)) == 1
    assert Event.objects.filter(kind="refreshed").count() == 1


def test_self_signed_that_is_refused(settings: Any, server: Upstream) -> None:
    """A 401 has one new token made; while that is refused as well, no further one is."""
    came = guarded(server)
    client = app_store(settings, server)
    client.adopt(TokenPair("revoked"))
    assert client.get("apps").status_code == 200
    assert len(came) == 2
    guarded(server, "ES384")
    del came[:]
    assert [client.get("apps").status_code for _ in range(4)] == [401] * 4
    assert Event.objects.filter(kind="refreshed").count() == 2


def test_self_signed_with_a_new_key(settings: Any, server: Upstream, tmp_path: Path) -> None:
    """A key file that is replaced signs the next token."""
    guarded(server)
    (tmp_path / "key.p8").write_text(pem("ES384"))
    client = app_store(settings, server, signing_key=f"file:{tmp_path}/key.p8")
    assert client.get("apps").status_code == 401
    (tmp_path / "key.p8").write_text(pem("ES256"))
    Credential.objects.update(refresh_suppressed_until=None)
    assert client.get("apps").status_code == 200


def test_self_signed_logout(settings: Any, server: Upstream) -> None:
    """A logout forgets the token, and there is nobody to tell."""
    guarded(server)
    client = app_store(settings, server)
    client.get("apps")
    client.logout()
    assert [seen.path for seen in server.seen] == ["/apps"]
