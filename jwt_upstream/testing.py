"""An aid for the tests of projects which call upstreams: being logged in without a login."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from jwt_upstream import logins
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair


def logged_in(
    alias: str,
    account: str = "default",
    access: str = "test-access",
    refresh: str = "test-refresh",
    expires_in: float | None = 3600,
) -> Credential:
    """Store tokens as if somebody had logged in, so that a test needs to answer only the calls it is about.

    Any stored tokens of the account are replaced. ``expires_in`` is in seconds; None: no stated end; 0 or less: the
    next call begins with a refresh. With pytest-django and responses::

        @pytest.mark.django_db
        @responses.activate
        def test_orders(client):
            logged_in("crm")
            responses.get("https://crm.example.com/api/orders/", json=[{"id": 1}])
            assert client.get("/orders/").json() == [{"id": 1}]
            assert responses.calls[0].request.headers["Authorization"] == "Bearer test-access"
    """
    end = None if expires_in is None else timezone.now() + timedelta(seconds=expires_in)
    pair = TokenPair(access=access, refresh=refresh, access_expires_at=end)
    return logins.adopt(alias, account, pair, by="jwt_upstream.testing")
