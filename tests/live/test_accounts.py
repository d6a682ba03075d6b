"""What happens to users at other people's servers: locked, deleted, password changed, tokens revoked."""

from __future__ import annotations

import pytest

from jwt_upstream.models import Credential
from jwt_upstream.refresh import try_again
from tests.live.conftest import Account
from tests.live.products import LOCKED, PRODUCTS, SERVED, Effects, knowing, products

EVENTS = [(product, event) for product in PRODUCTS for event in product.events]
events = pytest.mark.parametrize(
    ("server", "event"), EVENTS, ids=[f"{product.name}-{event}" for product, event in EVENTS], indirect=["server"]
)


def effects(account: Account, event: str) -> Effects:
    return account.product.events[event]


@events
def test_call(account: Account, event: str) -> None:
    """The next call is answered as the server means it: served, renewed, rejected or locked."""
    account.log_in()
    account.happens(event)
    assert account.effect(account.call) is effects(account, event).call


@events
def test_refresh(account: Account, event: str) -> None:
    """The next refresh is: what is locked at the server is LOCKED if it says so, no trouble gives anything up."""
    account.log_in()
    account.happens(event)
    expected = effects(account, event).refresh
    assert expected is None or account.effect(account.client.refresh) is expected


@events
def test_login(account: Account, event: str) -> None:
    """A login with what was good before is refused, and leaves the stored tokens alone."""
    account.log_in()
    account.happens(event)
    expected = effects(account, event).login
    assert expected is None or account.login_effect() is expected


@products([product for product in knowing(rotates=...) if product.events["locked"].call is LOCKED])
def test_unlocked(account: Account) -> None:
    """Once a user is unlocked of whom the server said so, the stored tokens work again on an operator's word."""
    account.log_in()
    account.happens("locked")
    assert account.effect(account.call) is LOCKED
    account.server.order("unlock", account.username)
    try_again(account.credential)
    assert account.credential.state == Credential.State.ACTIVE
    assert account.effect(account.call) is SERVED
