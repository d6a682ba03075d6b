"""Clients that sign, at panva's oidc-provider, which verifies it with the public keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import UpstreamMisconfigured
from jwt_upstream.models import Credential
from tests.live.conftest import Account
from tests.live.products import PRODUCTS, products
from tests.support.signatures import SECRET, jwk, pem

OIDC_PROVIDER = next(product for product in PRODUCTS if product.name == "oidc-provider")
KINDS = ["RS256", "PS256", "ES256", "EdDSA"]
#: The fields of a JWK that are not for the server, with one that would forbid to verify.
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "key_ops"}
at_oidc_provider = products([OIDC_PROVIDER])


def client(account: Account, settings: Any, algorithm: str, kid: str = "k-1", **options: Any) -> UpstreamClient:
    """Register a client with the public half of a key, and return ours, which signs with the private one."""
    private = json.loads(jwk(algorithm, kid="k-1", use="sig"))
    key = {name: value for name, value in private.items() if name not in PRIVATE}
    name = f"signed-{algorithm}"
    account.server.order("register", name, "private_key_jwt", algorithm, key)
    given = {"client_id": name, "signing_key": pem(algorithm), "key_id": kid, "signing_algorithm": algorithm}
    return configured(account, settings, client_authentication="private_key_jwt", **{**given, **options})


def configured(account: Account, settings: Any, **options: Any) -> UpstreamClient:
    """Return a client of the server that gets tokens for itself."""
    written = {"grant_type": "client_credentials", "scope": "api", "backoff": 0.01, "client_secret": "", **options}
    settings.JWT_UPSTREAM = {
        "live": {
            "BACKEND": OIDC_PROVIDER.backend,
            "BASE_URL": f"{account.server.url}{OIDC_PROVIDER.base}",
            "OPTIONS": written,
        }
    }
    return UpstreamClient("live")


def token(client: UpstreamClient) -> str:
    """Log in, and return the access token that came of it."""
    client.login()
    return Credential.objects.get().pair.access


@at_oidc_provider
@pytest.mark.parametrize("algorithm", KINDS)
def test_private_key_jwt(account: Account, settings: Any, algorithm: str) -> None:
    """The server accepts what is signed with each kind of key, at a login and at the refresh that repeats it."""
    signed = client(account, settings, algorithm)
    first = token(signed)
    assert signed.refresh().access != first
    assert Credential.objects.get().state == Credential.State.ACTIVE


@at_oidc_provider
def test_issuer_as_audience(account: Account, settings: Any) -> None:
    """It takes its issuer for the audience as well, which newer servers alone do."""
    issuer = account.server.url.rstrip("/")
    assert token(client(account, settings, "ES256", assertion_audience=issuer))


@at_oidc_provider
def test_jwk(account: Account, settings: Any) -> None:
    """A key that is a JWK is named by its own kid."""
    assert token(client(account, settings, "ES256", kid="", signing_key=jwk("ES256", kid="k-1")))


@at_oidc_provider
def test_client_secret_jwt(account: Account, settings: Any) -> None:
    """The client's secret signs in place of being sent."""
    account.server.order("register", "shared", "client_secret_jwt", "HS256", SECRET)
    options = {"client_id": "shared", "client_secret": SECRET, "client_authentication": "client_secret_jwt"}
    assert token(configured(account, settings, **options))


#: What is wrong; the key is made when it is needed, since each process makes keys of its own.
WRONG: dict[str, Callable[[], dict[str, Any]]] = {
    "unknown kid": lambda: {"kid": "k-2"},
    "unknown key": lambda: {"signing_key": pem("ES256", 1)},
    "another audience": lambda: {"assertion_audience": "https://elsewhere.example.com/"},
}


@at_oidc_provider
@pytest.mark.parametrize("wrong", WRONG)
def test_refused(account: Account, settings: Any, wrong: str) -> None:
    """What the server can't verify is a clear error about settings, and nothing is stored."""
    signed = client(account, settings, "ES256", **WRONG[wrong]())
    with pytest.raises(UpstreamMisconfigured, match=r"invalid_client|client authentication failed") as caught:
        signed.login()
    assert "eyJ" not in str(caught.value)
    assert not Credential.objects.exists()


@at_oidc_provider
def test_rotation(account: Account, settings: Any) -> None:
    """Of several keys the one that the server knows is found."""
    keys = [jwk("ES256", 1, kid="k-2"), jwk("ES256", kid="k-1")]
    signed = client(account, settings, "ES256", kid="", signing_key=keys)
    assert token(signed)
