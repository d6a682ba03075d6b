"""Tokens at other people's servers: login, calls, expiry, refresh, rotation, reuse."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone
from requests import Response

from jwt_upstream import exceptions
from jwt_upstream.models import Credential, Event
from jwt_upstream.tokens import TokenPair
from tests.live.conftest import HOUR, Account
from tests.live.products import PRODUCTS, REJECTED, RENEWED, SERVED, knowing, products

#: The app takes the expiry of a token that lives a second for a mistake of the server's.
CREDIBLE_SECONDS = 3


def log_in_until_ended(account: Account, seconds: float = 0) -> None:
    """Get a token that the server takes no longer, while those that it issues from now on are good for an hour."""
    assert account.product.shortest
    account.server.order("lifetimes", max(account.product.shortest, seconds), HOUR)
    account.log_in()
    account.server.order("lifetimes", HOUR, HOUR)
    account.wait_until_refused()


def forget_end(account: Account) -> None:
    """Let the app think that the token it has is good for long."""
    account.client.adopt(replace(account.credential.pair, access_expires_at=timezone.now() + timedelta(hours=1)))


@products(knowing(adopts=False))
def test_login_by_command(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """``upstream_login`` stores what the server issues, and a call is served with it."""
    monkeypatch.setenv("JWT_UPSTREAM_USERNAME", account.username)
    monkeypatch.setenv("JWT_UPSTREAM_PASSWORD", account.password)
    call_command("upstream_login", "live")
    assert account.credential.state == Credential.State.ACTIVE
    assert account.effect(account.call) is SERVED


@products(knowing(adopts=False))
def test_wrong_password(account: Account) -> None:
    """A wrong password is a rejected login, of which nothing is stored."""
    account.password = "Wrong-horse-9"
    with pytest.raises(exceptions.LoginRejected):
        account.log_in()
    assert not Credential.objects.exists()


@products(knowing(adopts=False))
def test_wrong_password_keeps_what_is_stored(account: Account) -> None:
    """A rejected login leaves the tokens that work alone."""
    account.log_in()
    account.password = "Wrong-horse-9"
    with pytest.raises(exceptions.LoginRejected):
        account.log_in()
    assert account.effect(account.call) is SERVED


@products(PRODUCTS)
def test_expiry_is_known(account: Account) -> None:
    """The access token's expiry is known wherever the server tells it, to a minute."""
    account.log_in()
    end = account.credential.pair.access_expires_at
    assert (end is not None) == account.product.states_end
    if end:
        assert abs((end - timezone.now()).total_seconds() - HOUR) < 60


@products(knowing(rotates=...))
def test_refresh(account: Account) -> None:
    """A refresh brings a token which works, and another refresh token where the server rotates."""
    account.log_in()
    before = account.credential.pair
    pair = account.client.refresh()
    after = account.credential.pair
    assert (after.access, after.refresh) == (pair.access, pair.refresh)
    assert (after.refresh != before.refresh) == account.product.rotates
    assert account.is_served(account.bare_call(after))
    assert account.effect(account.call) is SERVED


@products(knowing(shortest=...))
def test_expired(account: Account) -> None:
    """What the server answers to a token that has expired is understood: one refresh, the same call again."""
    log_in_until_ended(account)
    forget_end(account)
    assert account.effect(account.call) is account.product.expired


@products(knowing(shortest=..., expired=RENEWED, states_end=True))
def test_expired_as_foreseen(account: Account) -> None:
    """A token whose expiry is known is renewed before it is used again: the server never has to refuse it."""
    log_in_until_ended(account, CREDIBLE_SECONDS)
    account.wait_until_ended()
    response = account.call()
    assert account.is_served(response)
    assert not response.history
    assert Event.objects.filter(kind=Event.Kind.REFRESHED).count() == 1


@products(knowing(shortest=..., expired=RENEWED))
def test_storm_at_expiry(account: Account) -> None:
    """Eight callers who meet the expiry of a token at once cause one refresh, and all of them are served."""
    log_in_until_ended(account)
    forget_end(account)
    with ThreadPoolExecutor(8) as pool:
        responses = [future.result() for future in [pool.submit(_call, account) for _ in range(8)]]
    assert all(map(account.is_served, responses))
    assert Event.objects.filter(kind=Event.Kind.REFRESHED).count() == 1


def _call(account: Account) -> Response:
    try:
        return account.call()
    finally:
        connections.close_all()


@products(PRODUCTS)
def test_forged(account: Account) -> None:
    """A token that the server never issued is replaced by a good one where there is a refresh token."""
    account.log_in()
    pair = account.credential.pair
    head, dot, tail = pair.access.rpartition(".")
    forged = f"{head}{dot}{'B' if tail[0] == 'A' else 'A'}{tail[1:]}"
    account.client.adopt(TokenPair(forged, pair.refresh, pair.access_expires_at, pair.refresh_expires_at))
    assert account.effect(account.call) is account.product.forged


@products(knowing(reuse=...))
def test_reuse(account: Account) -> None:
    """A refresh token that somebody else spent is rejected by servers that rotate, and good at others."""
    account.log_in()
    new = account.client.backend.refresh(account.credential.pair).pair
    assert new
    # Some (Doorkeeper) take a refresh token for spent once the tokens that it brought are used.
    assert account.is_served(account.bare_call(new))
    assert account.effect(account.client.refresh) is account.product.reuse


@products(knowing(shortest=..., rotates=..., refresh_ends=True))
def test_refresh_token_expired(account: Account) -> None:
    """A refresh token that has expired is rejected; nobody knocks again until somebody logs in."""
    account.server.order("lifetimes", account.product.shortest, 1)
    account.log_in()
    account.wait_until_refused()
    assert account.effect(account.client.refresh) is REJECTED
    account.server.order("lifetimes", HOUR, HOUR)
    account.log_in()
    assert account.effect(account.call) is SERVED
