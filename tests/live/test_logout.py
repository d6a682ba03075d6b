"""Logouts at other people's servers: they are told, and the tokens are dead there afterwards."""

from __future__ import annotations

from jwt_upstream.login import log_out
from tests.live.conftest import Account
from tests.live.products import REJECTED, knowing, products


@products(knowing(logged_out=...))
def test_logout(account: Account) -> None:
    """After a logout a copy of the tokens is worth nothing: the server refuses a refresh, and most a call as well."""
    account.log_in()
    copy = account.credential.pair
    assert log_out("live", "default").is_told
    account.client.adopt(copy)
    assert account.effect(account.call) is account.product.logged_out
    account.client.adopt(copy)
    assert account.effect(account.client.refresh) is REJECTED


@products(knowing(logged_out=...))
def test_logout_of_dead_tokens(account: Account) -> None:
    """A logout with tokens that the server knows no longer counts as told."""
    account.log_in()
    copy = account.credential.pair
    log_out("live", "default")
    account.client.adopt(copy)
    assert log_out("live", "default").is_told
