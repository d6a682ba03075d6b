"""The token source: what a call needs to know of tokens, without any transport."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any, TypeVar

import pytest
from cryptography.fernet import Fernet
from django.db import OperationalError

from jwt_upstream.backends import get_backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked, NotLoggedIn
from jwt_upstream.models import Credential
from jwt_upstream.refresh import TokenSource
from jwt_upstream.refresh.record import database_away
from jwt_upstream.testing import answer
from tests.support.rows import kinds_since_login
from tests.support.upstream import Upstream

T = TypeVar("T")

LOCKED = answer(401, {}, {"message": "Account is disabled."})


def test_current_token(client: UpstreamClient, upstream: Upstream, credential: Credential) -> None:
    """The stored token is handed out without asking the upstream, and without the refresh token."""
    token = TokenSource("default").current(get_backend("up"))
    assert (token.pair.access, token.pair.refresh) == (credential.pair.access, "")
    assert upstream.seen == []


def test_renewed_token(client: UpstreamClient, upstream: Upstream) -> None:
    """A token that was refused is replaced by one refresh; who comes with the old one later gets the same new one."""
    source = TokenSource("default")
    used = source.current(get_backend("up"))
    fresh = source.renew(used)
    assert fresh.pair.access != used.pair.access
    assert source.renew(used).pair.access == fresh.pair.access
    assert source.current(get_backend("up")).pair.access == fresh.pair.access
    assert kinds_since_login() == ["refreshed"]


def test_token_that_did_not_help(client: UpstreamClient, upstream: Upstream) -> None:
    """After a fresh token was refused as well, no refusal has it replaced for a while, from any source."""
    source = TokenSource("default")
    fresh = source.renew(source.current(get_backend("up")))
    source.suppress(fresh)
    assert TokenSource("default").renew(fresh).pair.access == fresh.pair.access
    assert kinds_since_login() == ["refreshed"]


def test_locked_account(client: UpstreamClient, upstream: Upstream) -> None:
    """What an answer says of the account is recorded, and no source hands out its token any more."""
    source = TokenSource("default")
    error = source.lock(source.current(get_backend("up")), LOCKED)
    assert isinstance(error, AccountLocked)
    assert "Account is disabled." in error.reason
    with pytest.raises(AccountLocked):
        TokenSource("default").current(get_backend("up"))
    assert kinds_since_login() == ["locked"]


def test_lock_that_is_out_of_date(client: UpstreamClient, upstream: Upstream) -> None:
    """An answer to a token that was replaced meanwhile says nothing of the account."""
    source = TokenSource("default")
    used = source.current(get_backend("up"))
    source.renew(used)
    assert source.lock(used, LOCKED) is None
    assert kinds_since_login() == ["refreshed"]


@pytest.mark.parametrize("what", ["the row is gone", "the database is away", "no key decrypts it"])
def test_fresh_token_of_which_nothing_can_be_noted(client: UpstreamClient, settings: Any, what: str) -> None:
    """Whoever has an answer gets it, whatever has become of the row or of the database meanwhile."""
    source = TokenSource("default", with_database(is_away := Event()))
    fresh = source.renew(source.current(get_backend("up")))
    if what == "the row is gone":
        Credential.objects.all().delete()
    elif what == "the database is away":
        is_away.set()
    else:
        settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    source.suppress(fresh)


def test_locked_account_while_the_database_is_away(client: UpstreamClient, caplog: pytest.LogCaptureFixture) -> None:
    """What an answer says of the account is told to the caller, if it can't be recorded as well."""
    source = TokenSource("default", with_database(is_away := Event()))
    used = source.current(get_backend("up"))
    is_away.set()
    error = source.lock(used, LOCKED)
    assert isinstance(error, AccountLocked)
    assert "Account is disabled." in error.reason
    assert "not recorded: RefreshUnavailable" in caplog.text
    assert used.row.state == "active"


def with_database(is_away: Event) -> Callable[[Callable[[], T]], T]:
    """Return what does a caller's work with the database, until that is away."""

    def run(work: Callable[[], T]) -> T:
        if is_away.is_set():
            raise database_away("up/default", OperationalError())
        return work()

    return run


def test_account_that_never_logged_in(client: UpstreamClient) -> None:
    """An account without a row raises NotLoggedIn and gets no row."""
    with pytest.raises(NotLoggedIn):
        TokenSource("ann").current(get_backend("up"))
    assert not Credential.objects.filter(account="ann").exists()


def test_run_of_a_caller(client: UpstreamClient) -> None:
    """Everything that needs the database goes through ``run``, which a caller may put into another thread."""
    ran: list[object] = []

    def run(work):  # type: ignore[no-untyped-def]
        ran.append(work)
        return work()

    TokenSource("default", run).current(get_backend("up"))
    assert ran
