"""The stored tokens of a test: in the database if the test has one, else in this process's cache alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from django.core import mail
from django.core.exceptions import SynchronousOnlyOperation
from django.db import Error, connections

from jwt_upstream.accounts import AccountValues, values_of
from jwt_upstream.backends import get_backend
from jwt_upstream.clock import host_now
from jwt_upstream.login import adopt, known_secrets, register
from jwt_upstream.models import Credential
from jwt_upstream.store import queries
from jwt_upstream.tokens import Secrets, TokenPair

#: What says that a test may not use the database: Django's ``SimpleTestCase`` (an AssertionError) and pytest-django,
#: an event loop, and a database that isn't there.
_NO_DATABASE = (AssertionError, RuntimeError, SynchronousOnlyOperation, Error)

BY = "jwt_upstream.testing"


def logged_in(
    alias: str,
    account: str = "default",
    access: str = "test-access",
    refresh: str = "test-refresh",
    expires_in: float | None = 3600,
) -> Credential:
    """Store tokens as a login would, so that a test only has to answer the calls that it is about.

    Replaces any stored tokens of the account. ``expires_in`` is in seconds; with None the expiry is unknown, and with
    0 or less the next call begins with a refresh. With pytest-django and responses::

        @pytest.mark.django_db
        @responses.activate
        def test_orders(client):
            logged_in("crm")
            responses.get("https://crm.example.com/api/orders/", json=[{"id": 1}])
            assert client.get("/orders/").json() == [{"id": 1}]
            assert responses.calls[0].request.headers["Authorization"] == "Bearer test-access"
    """
    expiry = None if expires_in is None else host_now() + timedelta(seconds=expires_in)
    pair = TokenPair(access=access, refresh=refresh, access_expires_at=expiry)
    return adopt(alias, account, pair, by=BY)


def has_database() -> bool:
    """Tell whether this test may write credentials, in this thread; outside of tests nobody may."""
    if not hasattr(mail, "outbox"):  # which ``setup_test_environment()`` makes: else it may be a real database
        return False
    try:
        with connections[queries.database()].cursor():
            return True
    except _NO_DATABASE:
        return False


def stored_accounts(alias: str) -> list[Credential]:
    """Return the rows of an upstream; none in a test that has no database."""
    return list(Credential.objects.using(queries.database()).filter(upstream=alias)) if has_database() else []


def own_values(alias: str, account: str, parameters: Mapping[str, str], secrets: Mapping[str, str]) -> AccountValues:
    """Return what an account has of its own in a test, which is stored if the test has a database.

    Secrets that are neither given nor stored are "test-NAME".
    """
    accounts = get_backend(alias).accounts
    names = accounts.secrets if accounts else []
    if not has_database():
        return AccountValues(
            account, dict(parameters), Secrets({**{name: f"test-{name}" for name in names}, **secrets})
        )
    known = known_secrets(queries.find(alias, account, queries.database()))
    made = {name: f"test-{name}" for name in names if name not in known}
    return values_of(alias, register(alias, account, parameters=parameters, secrets={**made, **secrets}, by=BY))
