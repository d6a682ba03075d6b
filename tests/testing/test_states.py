"""Each state of a fake upstream, with every built-in backend: the app's own rules and rows make the error of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jwt_upstream.backends import (
    Backend,
    BasicAuthBackend,
    DeviseBackend,
    GitHubAppBackend,
    GoogleServiceAccountBackend,
    SelfSignedBackend,
    StaticKeyBackend,
    get_backend,
)
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import (
    AccountLocked,
    CredentialRejected,
    LoginRejected,
    NotLoggedIn,
    UpstreamMisconfigured,
)
from jwt_upstream.models import Credential
from jwt_upstream.testing import FakeUpstream, NoSuchState, answer
from tests.support.signatures import pem
from tests.support.wire_cases import KINDS, made

URL = "https://up.example.com/"
#: Those that log in with what settings hold.
BY_SETTINGS: set[type[Backend]] = {GitHubAppBackend, GoogleServiceAccountBackend, SelfSignedBackend}
STATIC: set[type[Backend]] = {BasicAuthBackend, StaticKeyBackend}
NO_REFRESH: set[type[Backend]] = {DeviseBackend}


@pytest.fixture
def fake(request: pytest.FixtureRequest, settings: Any, db: None) -> Any:
    """A fake upstream for each backend, with no more OPTIONS than it must have."""
    kind: type[Backend] = request.param
    options = dict.fromkeys(made(kind).missing(), "x")
    if kind in BY_SETTINGS:
        options |= {"client_id": "x", "signing_key": pem()}
    if kind is GoogleServiceAccountBackend:
        options["client_email"] = "robot@example.com"
    settings.JWT_UPSTREAM = {"up": {"BACKEND": f"jwt_upstream.backends.{kind.__name__}", "BASE_URL": URL}}
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = options
    with FakeUpstream("up") as fake:
        fake.answer("GET", "orders/", json=[7])
        yield fake


def call() -> Any:
    """Call the upstream once."""
    return UpstreamClient("up").get("orders/").json()


every_backend = pytest.mark.parametrize("fake", KINDS, indirect=True)


@every_backend
def test_logged_in(fake: FakeUpstream) -> None:
    """A call is answered, and nothing is refreshed."""
    assert call() == [7]
    assert (fake.refreshes, fake.logins, [str(each) for each in fake.calls]) == (0, 0, ["GET orders/"])


@every_backend
def test_expired(fake: FakeUpstream) -> None:
    """The call is answered after one refresh, where there is one."""
    kind = type(get_backend("up"))
    if kind in STATIC:
        with pytest.raises(NoSuchState, match=rf"expired\(\) is no state of .*{kind.__name__}.* does not expire"):
            fake.expired()
        return
    fake.expired()
    if kind in NO_REFRESH:
        with pytest.raises(CredentialRejected):
            call()
        return
    assert call() == [7]
    assert fake.refreshes + fake.logins == (kind is not SelfSignedBackend)
    assert len(fake.calls) == 2


@pytest.mark.parametrize(
    ("state", "error", "fake"),
    [
        (state, error, kind)
        for kind in KINDS
        for state, error in (
            (FakeUpstream.rejected, CredentialRejected),
            (FakeUpstream.locked, AccountLocked),
            (FakeUpstream.misconfigured, UpstreamMisconfigured),
        )
    ],
    indirect=["fake"],
)
def test_trouble(state: Callable[[FakeUpstream], None], error: type[Exception], fake: FakeUpstream) -> None:
    """The call raises what it raises in that state, until the account is logged in; or there is no such state."""
    kind = type(get_backend("up"))
    missing = {
        (FakeUpstream.rejected, CredentialRejected): BY_SETTINGS,
        (FakeUpstream.locked, AccountLocked): STATIC,
        (FakeUpstream.misconfigured, UpstreamMisconfigured): STATIC | NO_REFRESH | {SelfSignedBackend},
    }
    if kind in missing[state, error]:  # type: ignore[index]  # these are the three of the list
        with pytest.raises(
            NoSuchState, match=rf"{state.__name__}\(\) is no state of this upstream \({kind.__name__}\)"
        ):
            state(fake)
        assert call() == [7]
        return
    state(fake)
    with pytest.raises(error):
        call()
    fake.logged_in()
    assert call() == [7]


@every_backend
def test_needs_login(fake: FakeUpstream) -> None:
    """Without tokens nothing is sent; a login that is then made succeeds."""
    backend = get_backend("up")
    if backend.logs_in_by_itself:
        with pytest.raises(NoSuchState, match="logs in by itself"):
            fake.needs_login()
        return
    fake.needs_login()
    with pytest.raises(NotLoggedIn):
        call()
    UpstreamClient("up").login(**dict.fromkeys(backend.login_asks, "x"))
    assert call() == [7]
    assert fake.logins == backend.has_token_endpoint


@every_backend
def test_refuses_logins(fake: FakeUpstream) -> None:
    """A login raises LoginRejected, and the tokens that there are go on to be good."""
    backend = get_backend("up")
    if type(backend) in BY_SETTINGS | STATIC:
        with pytest.raises(NoSuchState, match="refuses_logins"):
            fake.refuses_logins()
        return
    fake.refuses_logins()
    with pytest.raises(LoginRejected):
        UpstreamClient("up").login(**dict.fromkeys(backend.login_asks, "x"))
    assert call() == [7]


def test_key_in_settings(settings: Any, db: None) -> None:
    """A key in OPTIONS that is refused is for the people who wrote the settings, and not rejected."""
    options = {"api_key": "k"}
    settings.JWT_UPSTREAM = {
        "up": {"BACKEND": "jwt_upstream.backends.StaticKeyBackend", "BASE_URL": URL, "OPTIONS": options}
    }
    with FakeUpstream("up") as fake:
        with pytest.raises(NoSuchState, match=r"see misconfigured\(\)"):
            fake.rejected()
        fake.misconfigured()
        with pytest.raises(UpstreamMisconfigured):
            call()


@pytest.mark.parametrize("alias", ["erp"])
def test_login_in_settings(settings: Any, db: None, alias: str) -> None:
    """With a LOGIN in settings an account is rejected only if that is refused too."""
    login = {"LOGIN": {"username": "ann", "password": "x"}}
    settings.JWT_UPSTREAM = {alias: {**settings.JWT_UPSTREAM[alias], **login}}
    with FakeUpstream(alias) as fake:
        fake.answer("GET", "orders/", json=[7])
        fake.rejected()
        with pytest.raises(CredentialRejected):
            UpstreamClient(alias).get("orders/")
        assert (fake.refreshes, fake.logins) == (1, 1)


def test_words_of_ones_own(settings: Any, db: None) -> None:
    """A test gives the words of a server that nobody knows, and is told if the backend reads them otherwise."""
    rule = {"verdict": "LOCKED", "where": ["refresh"], "status": 403, "json": "code", "pattern": "^GONE$"}
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": URL, "OPTIONS": {"rules": [rule]}}}
    gone = answer(403, body={"code": "GONE"})
    with FakeUpstream("up") as fake:
        with pytest.raises(NoSuchState, match="reads that answer as LOCKED, not as REJECTED"):
            fake.rejected(said=gone)
        with pytest.raises(NoSuchState, match="reads no answer that is known, or that one, as LOCKED"):
            fake.locked(said=answer(403, body={"code": "OTHER"}))
        fake.locked(said=gone)
        with pytest.raises(AccountLocked):
            call()


def test_no_word_is_known(settings: Any, db: None) -> None:
    """Where the rules leave nothing for a verdict, the error says which answer is missing."""
    rule = {"verdict": "PASS", "where": ["api"]}
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": URL, "OPTIONS": {"rules": [rule]}}}
    with FakeUpstream("up") as fake, pytest.raises(NoSuchState, match=r"no answer to a call is known .* as EXPIRED"):
        fake.expired()


def test_one_account_of_several(db: None) -> None:
    """What befalls one account leaves the others alone."""
    with FakeUpstream("erp") as fake:
        fake.answer("GET", "orders/", json=[])
        fake.logged_in("acme")
        fake.locked("zeta")
        UpstreamClient("erp", "acme").get("orders/")
        with pytest.raises(AccountLocked):
            UpstreamClient("erp", "zeta").get("orders/")
        UpstreamClient("erp").get("orders/")
        states = dict(Credential.objects.values_list("account", "state"))
        assert states == {"default": "active", "acme": "active", "zeta": "locked"}
