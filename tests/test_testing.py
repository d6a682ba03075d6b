"""The aid for users' tests, used as its docstring says."""

from __future__ import annotations

import pytest
import responses

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.models import Credential
from jwt_upstream.testing import logged_in
from jwt_upstream.tokens import TokenPair

API = "https://crm.example.com/api"


@responses.activate
def test_no_login_is_needed(db: None) -> None:
    """A test that is logged in answers only the calls it is about."""
    credential = logged_in("crm")
    responses.get(f"{API}/orders/", json=[{"id": 1}])
    assert UpstreamClient("crm").get("orders/").json() == [{"id": 1}]
    assert [call.request.headers["Authorization"] for call in responses.calls] == ["Bearer test-access"]
    assert credential == Credential.objects.get()


@responses.activate
def test_ended_token(db: None) -> None:
    """With a token that has ended, the next call begins with a refresh."""
    logged_in("crm", expires_in=0)
    responses.post(f"{API}/token/refresh/", json={"access": "new"})
    responses.get(f"{API}/orders/", json=[])
    UpstreamClient("crm").get("orders/")
    assert [call.request.headers.get("Authorization") for call in responses.calls] == [None, "Bearer new"]


def test_what_is_stored(db: None) -> None:
    """Account and tokens are as the test wants them, and replace what was there."""
    logged_in("crm", "ann")
    credential = logged_in("crm", "ann", access="a", refresh="r", expires_in=None)
    assert Credential.objects.get() == credential
    assert (credential.account, credential.pair) == ("ann", TokenPair("a", "r"))


def test_unknown_alias(db: None) -> None:
    """A test for an upstream that is not configured fails with a word about it."""
    with pytest.raises(UpstreamNotConfigured, match="no upstream 'nope'"):
        logged_in("nope")
