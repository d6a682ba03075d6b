"""Settings for a server by what it says of itself: the class that knows it, and the options in which it differs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from jwt_upstream.backends.auth0 import Auth0Backend
from jwt_upstream.backends.base import Backend
from jwt_upstream.backends.cognito import CognitoBackend
from jwt_upstream.backends.django_oauth_toolkit import DjangoOAuthToolkitBackend
from jwt_upstream.backends.entra import EntraBackend
from jwt_upstream.backends.google import GoogleBackend
from jwt_upstream.backends.keycloak import KeycloakBackend
from jwt_upstream.backends.oauth2 import OAuth2Backend
from jwt_upstream.backends.okta import OktaBackend
from jwt_upstream.backends.ory import OryBackend
from jwt_upstream.backends.salesforce import SalesforceBackend

from .discovery import Metadata

#: Stands for what no document states.
UNKNOWN = "…"
API = "https://api.example.com/"
_CODE = "authorization_code"
#: What our name for each way of authenticating the client is, those first that take the least.
_AUTHENTICATION = {
    "client_secret_basic": "basic",
    "client_secret_post": "post",
    "client_secret_jwt": "client_secret_jwt",
    "private_key_jwt": "private_key_jwt",
}
#: The defaults that a server means which states none (RFC 8414, section 2).
_GRANTS = (_CODE, "implicit")
_METHODS = ("client_secret_basic",)


class Product(NamedTuple):
    """A server that a backend of its own knows: the class, the options that name this one, and where its API is."""

    kind: type[Backend]
    name: str
    options: dict[str, str]
    base_url: str = ""


@dataclass(frozen=True)
class Proposal:
    """Settings to copy; ``product`` is what the server was taken for, ``notes`` what a person must know."""

    product: str
    backend: str
    base_url: str
    options: dict[str, Any]
    notes: tuple[str, ...]


def propose(metadata: Metadata) -> Proposal:
    """Return settings whose paths, client and scope are those of the document, by the class that knows the server."""
    product = recognised(metadata)
    options = {**product.options, **_paths(product, metadata)}
    if issubclass(product.kind, OAuth2Backend):
        options |= {**_grant(product.kind, metadata), **_browser(metadata)}
    options |= _client(product.kind, metadata)
    if scope := _scope(metadata):
        options["scope"] = scope
    backend = f"jwt_upstream.backends.{product.kind.__name__}"
    return Proposal(product.name, backend, product.base_url or API, options, tuple(_notes(product, metadata)))


def recognised(metadata: Metadata) -> Product:
    """Return what a server is, by its addresses; any other one is an OAuth 2 server."""
    return next(filter(None, (recognise(metadata) for recognise in _RECOGNISERS)), _oauth2(metadata))


# -- known servers


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _netloc(url: str) -> str:
    return urlsplit(url).netloc


def _path(url: str) -> str:
    return urlsplit(url).path


def _keycloak(metadata: Metadata) -> Product | None:
    match = re.fullmatch(r".*/realms/([^/]+)/protocol/openid-connect/token", metadata.token_endpoint)
    return Product(KeycloakBackend, _("a realm of Keycloak"), {"realm": match[1]}) if match else None


def _entra(metadata: Metadata) -> Product | None:
    match = re.fullmatch(r"/([^/]+)/oauth2/v2\.0/token", _path(metadata.token_endpoint))
    is_entra = _host(metadata.token_endpoint).startswith("login.") and "microsoftonline" in metadata.token_endpoint
    known = Product(EntraBackend, "Microsoft Entra ID", {"tenant": match[1]} if match else {}, "")
    return known if match and is_entra else None


def _auth0(metadata: Metadata) -> Product | None:
    # A domain of the tenant's own shows by the paths.
    paths = (_path(metadata.token_endpoint), _path(metadata.device_authorization_endpoint))
    is_auth0 = _host(metadata.issuer).endswith(".auth0.com") or paths == ("/oauth/token", "/oauth/device/code")
    return Product(Auth0Backend, "Auth0", {"domain": _netloc(metadata.token_endpoint)}) if is_auth0 else None


def _okta(metadata: Metadata) -> Product | None:
    match = re.fullmatch(r"/oauth2/(?:([^/]+)/)?v1/token", _path(metadata.token_endpoint))
    is_okta = re.search(r"\.okta(preview|-emea)?\.com$", _host(metadata.issuer)) or _path(
        metadata.device_authorization_endpoint
    ).endswith("/v1/device/authorize")
    if not (match and is_okta):
        return None
    options = {"domain": _netloc(metadata.token_endpoint)}
    if match[1] and match[1] != OktaBackend.authorization_server:
        options["authorization_server"] = match[1]
    return Product(OktaBackend, "Okta", options)


def _google(metadata: Metadata) -> Product | None:
    is_google = metadata.issuer == "https://accounts.google.com"
    return Product(GoogleBackend, "Google", {}, "https://www.googleapis.com/") if is_google else None


def _cognito(metadata: Metadata) -> Product | None:
    match = re.fullmatch(r"cognito-idp\.([\w-]+)\.amazonaws\.com", _host(metadata.issuer))
    return Product(CognitoBackend, _("a user pool of Amazon Cognito"), {"region": match[1]}) if match else None


def _salesforce(metadata: Metadata) -> Product | None:
    is_salesforce = _host(metadata.issuer).endswith(".salesforce.com")
    parts = urlsplit(metadata.issuer)
    base_url = f"{parts.scheme}://{parts.netloc}/"
    return Product(SalesforceBackend, "Salesforce", {}, base_url) if is_salesforce else None


def _oauth_toolkit(metadata: Metadata) -> Product | None:
    paths = (
        _path(metadata.token_endpoint),
        _path(metadata.authorization_endpoint),
        _path(metadata.revocation_endpoint),
    )
    ends = ("/token/", "/authorize/", "/revoke_token/" if metadata.revocation_endpoint else "")
    is_toolkit = all(path.endswith(end) for path, end in zip(paths, ends, strict=True))
    return Product(DjangoOAuthToolkitBackend, "django-oauth-toolkit", {}) if is_toolkit else None


def _ory(metadata: Metadata) -> Product | None:
    paths = (_path(metadata.token_endpoint), _path(metadata.authorization_endpoint))
    return Product(OryBackend, "Ory Hydra", {}) if paths == ("/oauth2/token", "/oauth2/auth") else None


def _oauth2(metadata: Metadata) -> Product:
    return Product(OAuth2Backend, _("an OAuth 2 server"), {})


_RECOGNISERS = (
    _keycloak,
    _entra,
    _auth0,
    _okta,
    _google,
    _cognito,
    _salesforce,
    _oauth_toolkit,
    _ory,
)


# -- options


def _paths(product: Product, metadata: Metadata) -> dict[str, str]:
    """Return the paths of endpoints to which the class's own don't lead."""
    if product.kind is CognitoBackend:
        return {}
    wanted = {
        "login_path": metadata.token_endpoint,
        "authorize_path": metadata.authorization_endpoint,
        "issuer": metadata.issuer if metadata.authorization_response_iss_parameter_supported else "",
        "device_path": metadata.device_authorization_endpoint,
        # Some classes have a better way to end a session than the endpoint of RFC 7009.
        "revoke_path": "" if product.kind.revoke_path else metadata.revocation_endpoint,
    }
    written: dict[str, str] = {}
    for name, url in wanted.items():
        backend = product.kind("", product.base_url or API, **product.options, **written)
        if url and backend.endpoint(getattr(backend, name)) != url:
            written[name] = _with_realm(url, product.options.get("realm", ""))
    return written


def _with_realm(url: str, realm: str) -> str:
    return url.replace(f"/realms/{realm}/", "/realms/{realm}/") if realm else url


def _grant(kind: type[OAuth2Backend], metadata: Metadata) -> dict[str, Any]:
    """Return how to log in, if the class's own way is none that the server has, or not the best."""
    grants = metadata.grant_types_supported or _GRANTS
    if kind.grant_type == _CODE:
        return {}
    if _CODE in grants and metadata.authorization_endpoint:
        return {"grant_type": _CODE}
    return {"grant_type": "client_credentials"} if "client_credentials" in grants else {}


def _browser(metadata: Metadata) -> dict[str, Any]:
    """Return what makes a login in a browser safe, as far as the server has it (RFC 7636, RFC 9207)."""
    methods = metadata.code_challenge_methods_supported
    options: dict[str, Any] = {"code_challenge_method": ""} if methods and "S256" not in methods else {}
    if metadata.authorization_response_iss_parameter_supported:
        options["requires_iss"] = True
    return options


def _client(kind: type[Backend], metadata: Metadata) -> dict[str, str]:
    methods = metadata.token_endpoint_auth_methods_supported or _METHODS
    ours = [ours for method, ours in _AUTHENTICATION.items() if method in methods]
    if kind is CognitoBackend or kind.client_authentication in ours:
        return {"client_id": UNKNOWN, "client_secret": UNKNOWN}
    if not ours:  # a public client
        return {"client_id": UNKNOWN, "client_authentication": "post"}
    secret = "signing_key" if ours[0] == "private_key_jwt" else "client_secret"
    return {"client_id": UNKNOWN, "client_authentication": ours[0], secret: UNKNOWN}


def _scope(metadata: Metadata) -> str:
    """Return the scopes that bring a refresh token (OpenID Connect, section 11), if the server has them."""
    wanted = ["openid", "offline_access"]
    return " ".join(wanted) if {*wanted} <= {*metadata.scopes_supported} else ""


def _notes(product: Product, metadata: Metadata) -> Iterator[str]:
    if not product.base_url:
        yield _("BASE_URL is where the API is, which the document doesn't say.")
    if product.kind is CognitoBackend:
        text = _(
            "This class logs in with a password at the pool's own API; for its OAuth 2 endpoints take OAuth2Backend "
            "with the login_path %(url)s."
        )
        yield text % {"url": metadata.token_endpoint}
    if product.kind is SalesforceBackend and product.base_url.startswith("https://login."):
        yield _("BASE_URL is better the address of My Domain, where the API is.")
    if not _scope(metadata) and issubclass(product.kind, OAuth2Backend):
        yield _("scope is what your application may ask for; whether it is needed the document doesn't say.")
