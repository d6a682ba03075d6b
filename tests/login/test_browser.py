"""A login by a browser: begun, kept, and completed once, with what was stored before kept on any failure."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from cryptography.fernet import Fernet

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import (
    LoginRejected,
    RefreshUnavailable,
    UpstreamMisconfigured,
    UpstreamNotConfigured,
)
from jwt_upstream.fields import Encrypted
from jwt_upstream.login import BrowserLogin
from jwt_upstream.models import Credential, Event
from jwt_upstream.testing import logged_in
from tests.support.authorization_server import AuthorizationServer

BACK = "https://us.example.com/back/"


@pytest.fixture
def stored(drive: AuthorizationServer, transactional_db: None) -> Credential:
    """What is stored before, and must be there after every failure."""
    return logged_in("drive", "acme", access="before", refresh="before-too")


def test_login(drive: AuthorizationServer, transactional_db: None) -> None:
    """What was begun and kept is completed with the redirected URL: the pair is stored, and is refreshed later."""
    begun = BrowserLogin.begin("drive", "acme", BACK)
    redirected = drive.visit(begun.url)
    credential = BrowserLogin.unseal(begun.seal()).complete(redirected, by="the shop")
    assert str(credential) == "drive/acme"
    assert (credential.pair.access, credential.pair.refresh) == ("access-1", "refresh-1")
    event = Event.objects.get()
    assert (event.kind, event.by.partition(" (")[0]) == ("logged_in", "the shop")
    client = UpstreamClient("drive", "acme")
    assert client.get("orders/").json()["token"] == "access-1"
    drive.upstream.expire()
    assert client.get("orders/").json()["token"] == "access-2"


def test_login_with_the_blocks(drive: AuthorizationServer, transactional_db: None) -> None:
    """A project can do the same with the backend's request and the client's login."""
    client = UpstreamClient("drive")
    request = client.backend.authorization_request(BACK)
    answer = client.backend.authorization_response(request, drive.visit(request.url))
    client.login(code=answer.code, code_verifier=request.code_verifier, redirect_uri=request.redirect_uri)
    assert Credential.objects.get().pair.access == "access-1"


def test_login_without_pkce(drive: AuthorizationServer, transactional_db: None, settings: Any) -> None:
    """Where PKCE is turned off there is neither a challenge nor a verifier."""
    settings.JWT_UPSTREAM["drive"]["OPTIONS"]["code_challenge_method"] = ""
    begun = BrowserLogin.begin("drive", "acme", BACK)
    BrowserLogin.unseal(begun.seal()).complete(drive.visit(begun.url))
    assert "code_verifier" not in drive.exchanges[0]


@pytest.mark.parametrize(
    ("returns", "error", "said"),
    [
        ({"state": None}, LoginRejected, "drive/acme: login failed: the redirected URL has no state"),
        ({"state": "other"}, LoginRejected, "drive/acme: login failed: the redirected URL belongs to another login"),
        (
            {"code": None},
            LoginRejected,
            "the redirected URL has neither a code nor an error",
        ),
        ({"iss": "https://evil.example.com"}, LoginRejected, "the redirected URL comes from another server: its iss"),
        ({"code": None, "error": "access_denied"}, LoginRejected, "access was denied, by the person or by the server"),
        ({"code": None, "error": "invalid_scope"}, UpstreamMisconfigured, "the scope in OPTIONS is unknown"),
        ({"code": None, "error": "server_error"}, RefreshUnavailable, "the server failed"),
        ({"code": "stolen"}, LoginRejected, "HTTP 400: code is unknown or was used"),
    ],
)
def test_login_that_fails(
    drive: AuthorizationServer, stored: Credential, returns: dict[str, str | None], error: Any, said: str
) -> None:
    """Whatever is wrong with the redirect is said, what was stored is kept, and no bad code is sent."""
    drive.returns = returns
    begun = BrowserLogin.begin("drive", "acme", BACK)
    with pytest.raises(error, match=said):
        begun.complete(drive.visit(begun.url))
    assert Credential.objects.get().pair == stored.pair
    assert len(drive.exchanges) == (returns == {"code": "stolen"})


def test_redirect_of_another_login(drive: AuthorizationServer, stored: Credential) -> None:
    """The code of another person's login can't be brought into this one, nor one of another verifier."""
    theirs, ours = (BrowserLogin.begin("drive", "acme", BACK) for _ in range(2))
    redirected = drive.visit(theirs.url)
    with pytest.raises(LoginRejected, match="belongs to another login"):
        ours.complete(redirected)
    forged = redirected.replace(theirs.request.state, ours.request.state)
    with pytest.raises(LoginRejected, match="verifier or redirect_uri is wrong"):
        ours.complete(forged)
    assert Credential.objects.get().pair == stored.pair


def test_whose_redirect_it_is(drive: AuthorizationServer) -> None:
    """A login tells its own redirect from any other URL, also once it was kept, and if the person refused."""
    begun = BrowserLogin.unseal(BrowserLogin.begin("drive", "acme", BACK).seal())
    state = begun.request.state
    assert begun.is_answered_by(f"{BACK}?error=access_denied&state={state}")
    for other in (f"?code=c&state={state}x", "?code=c", BACK, "", f"?code=c&state={state}&state=x"):
        assert not begun.is_answered_by(other)


def test_code_that_was_used(drive: AuthorizationServer, transactional_db: None) -> None:
    """A code works once; the second login fails and takes nothing away here."""
    begun = BrowserLogin.begin("drive", "acme", BACK)
    redirected = drive.visit(begun.url)
    begun.complete(redirected)
    with pytest.raises(LoginRejected, match="code is unknown or was used"):
        begun.complete(redirected)
    assert Credential.objects.get().pair.access == "access-1"


@pytest.mark.parametrize(
    ("minutes", "is_good"), [(-2, False), (-0.5, True), (9.9, True), (10.1, False), (10_000, False)]
)
def test_ten_minutes(drive: AuthorizationServer, stored: Credential, minutes: float, is_good: bool) -> None:
    """A login is to be completed within ten minutes; a minute is given to clocks that differ."""
    begun = BrowserLogin.begin("drive", "acme", BACK)
    redirected, sealed = drive.visit(begun.url), begun.seal()
    with time_machine.travel(begun.began + timedelta(minutes=minutes), tick=False):
        if is_good:
            BrowserLogin.unseal(sealed).complete(redirected)
        else:
            with pytest.raises(LoginRejected, match="begun more than 10 minutes ago"):
                BrowserLogin.unseal(sealed).complete(redirected)
    assert (Credential.objects.get().pair == stored.pair) is not is_good
    assert len(drive.exchanges) == is_good


@pytest.mark.parametrize("sealed", ["", "nonsense", "n\xf6nsense", Encrypted("").ciphertext])
def test_what_was_not_kept(sealed: str) -> None:
    """What isn't a login that was begun is told, and not shown."""
    with pytest.raises(LoginRejected, match="begin the login again") as caught:
        BrowserLogin.unseal(sealed)
    assert not sealed or sealed not in str(caught.value)


def test_what_another_key_sealed(drive: AuthorizationServer, stored: Credential, settings: Any) -> None:
    """Other keys open nothing, a stored token isn't a login, and an older key of those that are configured opens."""
    sealed = BrowserLogin.begin("drive", "acme", BACK).seal()
    for text in (stored.access_token.ciphertext, Encrypted.seal("[]").ciphertext, Encrypted.seal("x").ciphertext):
        with pytest.raises(LoginRejected, match="can't be read"):
            BrowserLogin.unseal(text)
    old = settings.JWT_UPSTREAM_ENCRYPTION_KEYS
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *old]
    assert BrowserLogin.unseal(sealed).account == "acme"
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    settings.JWT_UPSTREAM_ACCEPT_OLD_VALUES = False
    with pytest.raises(LoginRejected, match="begun with other encryption keys"):
        BrowserLogin.unseal(sealed)


def test_nothing_of_it_is_shown(drive: AuthorizationServer) -> None:
    """The repr, a pickle and what is sealed show neither the state nor the verifier; a copy is the login itself."""
    begun = BrowserLogin.begin("drive", "acme", BACK)
    assert copy.deepcopy([begun, begun.request]) == [begun, begun.request]
    shown = repr(begun) + begun.seal()
    assert [secret for secret in (begun.request.state, begun.request.code_verifier) if secret in shown] == []
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(begun)


def test_nothing_to_begin(drive: AuthorizationServer, settings: Any) -> None:
    """An upstream without such a login, an unknown one and a name that is none are refused at once."""
    with pytest.raises(UpstreamMisconfigured, match="up: OPTIONS has no authorize_path"):
        BrowserLogin.begin("up", "acme", BACK)
    with pytest.raises(UpstreamNotConfigured):
        BrowserLogin.begin("nope", "acme", BACK)
    with pytest.raises(ValueError, match="account must be"):
        BrowserLogin.begin("drive", "a\nb", BACK)


@pytest.mark.parametrize(
    ("changed", "is_the_same"),
    [
        ({"client_id": "another"}, False),
        ({"login_path": "https://other.example.com/token", "refresh_path": "token"}, False),
        ({"authorize_path": "https://other.example.com/authorize"}, False),
        ({"scope": "all"}, False),
        ({"grant_type": "password"}, False),
        ({"timeout": 5.0, "revoke_path": "revoke"}, True),
    ],
)
def test_settings_that_change_meanwhile(
    drive: AuthorizationServer, stored: Credential, settings: Any, changed: dict[str, Any], is_the_same: bool
) -> None:
    """A code and its verifier are sent to none but the server and as the client that the login was begun with."""
    begun = BrowserLogin.begin("drive", "acme", BACK)
    redirected, sealed = drive.visit(begun.url), begun.seal()
    settings.JWT_UPSTREAM["drive"]["OPTIONS"] |= changed
    if is_the_same:
        BrowserLogin.unseal(sealed).complete(redirected)
    else:
        with pytest.raises(LoginRejected, match="the settings name another server, client or scope than when"):
            BrowserLogin.unseal(sealed).complete(redirected)
    assert (len(drive.exchanges), Credential.objects.get().pair == stored.pair) == (is_the_same, not is_the_same)


def test_upstream_that_is_gone(drive: AuthorizationServer, transactional_db: None, settings: Any) -> None:
    """An upstream that was taken out of the settings meanwhile completes nothing."""
    begun = BrowserLogin.begin("drive", "acme", BACK)
    redirected = drive.visit(begun.url)
    settings.JWT_UPSTREAM = {}
    with pytest.raises(UpstreamNotConfigured):
        begun.complete(redirected)
