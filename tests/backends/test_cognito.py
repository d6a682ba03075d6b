"""CognitoBackend: what is sent, how it is signed, and what is read of the answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import jwt
import pytest

from jwt_upstream.backends import CognitoBackend, Verdict
from jwt_upstream.tokens import TokenPair
from tests.support.exchanges import OLD, fields, minutes, replay

URL = "https://cognito-idp.eu-central-1.amazonaws.com/"
OPTIONS = {"region": "eu-central-1", "client_id": "1example23456789"}
BACKEND = CognitoBackend("pool", "https://api.example.com/", **OPTIONS)
WITH_SECRET = CognitoBackend("pool", "https://api.example.com/", client_secret="s3cret", **OPTIONS)
LOGIN = {"username": "bob@example.com", "password": "p"}


def secret_hash(username: str) -> str:
    """Return what the developer guide says under "Computing secret hash values"."""
    digest = hmac.new(b"s3cret", f"{username}1example23456789".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def token(**claims: Any) -> str:
    return jwt.encode(claims, "k" * 32)


def test_login() -> None:
    """Amazon's JSON goes to the region's host, and names the operation in a header."""
    request, outcome = replay(BACKEND, URL, "cognito-own-login-ok", LOGIN)
    assert fields(request) == {
        "AuthFlow": "USER_PASSWORD_AUTH",
        "ClientId": "1example23456789",
        "AuthParameters": {"USERNAME": "bob@example.com", "PASSWORD": "p"},
    }
    assert request.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert request.headers["X-Amz-Target"] == "AWSCognitoIdentityProviderService.InitiateAuth"
    assert outcome.pair
    assert (outcome.pair.refresh[:5], minutes(outcome.pair.access_expires_at)) == ("eyJjd", 60)


def test_refresh() -> None:
    """A refresh differs by its flow; without a refresh token in the answer, the old one stays good."""
    request, outcome = replay(BACKEND, URL, "cognito-refresh-ok")
    assert fields(request) == {
        "AuthFlow": "REFRESH_TOKEN_AUTH",
        "ClientId": "1example23456789",
        "AuthParameters": {"REFRESH_TOKEN": "r1"},
    }
    assert outcome.pair
    assert (outcome.pair.refresh, minutes(outcome.pair.access_expires_at)) == ("", 60)


def test_login_of_a_client_with_secret() -> None:
    """The name that logs in is signed with the client's secret, which is not sent."""
    request, _ = replay(WITH_SECRET, URL, "cognito-own-login-ok", LOGIN)
    assert fields(request)["AuthParameters"]["SECRET_HASH"] == secret_hash("bob@example.com")
    assert b"s3cret" not in (request.body or b"")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("claims", "username"),
    [
        ({"username": "0f3a-sub", "sub": "0f3a-sub"}, "0f3a-sub"),
        ({"cognito:username": "bob", "sub": "0f3a-sub"}, "bob"),
        ({"sub": "x"}, ""),
    ],
)
def test_refresh_of_a_client_with_secret(claims: dict[str, str], username: str) -> None:
    """The name in the stored token is signed: the pool's own, which an e-mail address is an alias of."""
    request, _ = replay(WITH_SECRET, URL, "cognito-refresh-ok", pair=TokenPair(token(**claims), "r1"))
    assert fields(request)["AuthParameters"] == {"REFRESH_TOKEN": "r1", "SECRET_HASH": secret_hash(username)}


def test_rotation() -> None:
    """Options are enough for the operation that rotates refresh tokens, which takes the secret itself."""
    backend = CognitoBackend(
        "pool",
        "https://api.example.com/",
        **OPTIONS,
        client_secret="s3cret",
        refresh_headers={"X-Amz-Target": "AWSCognitoIdentityProviderService.GetTokensFromRefreshToken"},
        refresh_fields={"ClientId": "{client_id}", "ClientSecret": "{client_secret}", "RefreshToken": "{refresh}"},
    )
    request, outcome = replay(backend, URL, "cognito-own-refresh-rotated")
    assert fields(request) == {"ClientId": "1example23456789", "ClientSecret": "s3cret", "RefreshToken": "r1"}
    assert request.headers["X-Amz-Target"] == "AWSCognitoIdentityProviderService.GetTokensFromRefreshToken"
    assert outcome.pair
    assert outcome.pair.refresh


def test_challenge() -> None:
    """A login that goes on to a next step says which one."""
    _, outcome = replay(BACKEND, URL, "cognito-own-login-new-password", LOGIN)
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECTED, "HTTP 200: NEW_PASSWORD_REQUIRED")


def test_without_client() -> None:
    """Without client and region nothing is sent, and it is said what is missing."""
    assert CognitoBackend("pool", "https://api.example.com/").refresh(OLD).reason.endswith("has no client_id, region")
