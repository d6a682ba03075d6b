"""Settings that are made of what a server says of itself."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from jwt_upstream.backends import make_backend
from jwt_upstream.backends.explain import UNKNOWN, Metadata, Proposal, propose
from tests.support.metadata import (
    COGNITO,
    EVERY,
    GOOGLE,
    KEYCLOAK,
    OAUTH_TOOLKIT,
    OKTA_ORG,
    OTHER,
    OWN_AUTH0,
    SALESFORCE,
)

CLIENT = {"client_id": UNKNOWN, "client_secret": UNKNOWN}


def proposed(said: dict[str, Any], **more: Any) -> Proposal:
    said = {**said, **more}
    known = {field.name: said[field.name] for field in fields(Metadata) if field.name in said}
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in known.items()
    }
    return propose(Metadata(**values, document=f"{said['issuer']}/.well-known/openid-configuration"))


@pytest.mark.parametrize(("kind", "said"), EVERY.items(), ids=[*EVERY])
def test_every_product(kind: str, said: dict[str, Any]) -> None:
    """A known server gets its own class; the settings have no problem, and lead to the document's endpoints."""
    proposal = proposed(said)
    assert proposal.backend == f"jwt_upstream.backends.{kind}"
    written = {"BACKEND": proposal.backend, "BASE_URL": proposal.base_url, "OPTIONS": proposal.options}
    backend = make_backend("up", written)
    assert (list(backend.check()), list(backend.missing())) == ([], [])
    if kind == "CognitoBackend":
        return
    assert backend.url(backend.login_path) == said["token_endpoint"]
    assert backend.endpoint(backend.authorize_path) == said["authorization_endpoint"]
    if "device_authorization_endpoint" in said:
        assert backend.endpoint(backend.device_path) == said["device_authorization_endpoint"]


def test_realm() -> None:
    """Of a realm of Keycloak the name is an option; logouts go on ending the session, which the endpoint does not."""
    proposal = proposed(KEYCLOAK)
    assert proposal.options == {
        "realm": "shop",
        "login_path": "https://sso.example.com/realms/{realm}/protocol/openid-connect/token",
        "grant_type": "authorization_code",
        "requires_iss": True,
        **CLIENT,
        "scope": "openid offline_access",
    }
    assert proposal.notes == ("BASE_URL is where the API is, which the document doesn't say.",)


def test_what_a_class_knows_is_not_repeated() -> None:
    """Google needs no path at all."""
    proposal = proposed(GOOGLE)
    assert (proposal.base_url, proposal.options) == (
        "https://www.googleapis.com/",
        CLIENT,
    )


def test_other_server() -> None:
    """A server that no class knows gets its endpoints as they are; a public client has no secret."""
    assert proposed(OTHER).options == {
        "login_path": "https://idcs.example.com/oauth2/v1/token",
        "authorize_path": "https://idcs.example.com/oauth2/v1/authorize",
        "grant_type": "client_credentials",
        "client_id": UNKNOWN,
        "client_authentication": "post",
    }
    more = proposed(
        OTHER,
        grant_types_supported=["password"],
        device_authorization_endpoint="https://idcs.example.com/device",
        revocation_endpoint="https://idcs.example.com/revoke",
        token_endpoint_auth_methods_supported=["client_secret_post"],
    ).options
    assert (more["device_path"], more["revoke_path"]) == (
        "https://idcs.example.com/device",
        "https://idcs.example.com/revoke",
    )
    assert (more["client_authentication"], "grant_type" in more) == ("post", False)


def test_browser_login() -> None:
    """A server with a page to log in on has a browser login; without S256 it gets no PKCE."""
    options = proposed(OTHER, grant_types_supported=["authorization_code"]).options
    written = {"BACKEND": "jwt_upstream.backends.OAuth2Backend", "BASE_URL": "https://api.example.com/"}
    assert make_backend("up", {**written, "OPTIONS": options}).has_browser_login
    assert "code_challenge_method" not in options
    safe = proposed(OTHER, authorization_response_iss_parameter_supported=True).options
    assert (safe["issuer"], safe["requires_iss"]) == (OTHER["issuer"], True)
    assert proposed(OTHER, code_challenge_methods_supported=["plain"]).options["code_challenge_method"] == ""


def test_signed_clients() -> None:
    """A client signs only where the server takes nothing simpler."""
    for methods, expected in [
        (["private_key_jwt", "client_secret_post"], {"client_authentication": "post", "client_secret": UNKNOWN}),
        (["private_key_jwt", "client_secret_jwt"], {"client_authentication": "client_secret_jwt"}),
        (["private_key_jwt"], {"client_authentication": "private_key_jwt", "signing_key": UNKNOWN}),
    ]:
        options = proposed(OTHER, token_endpoint_auth_methods_supported=methods).options
        assert expected.items() <= options.items()
        assert ("client_secret" in options) != ("signing_key" in options)


def test_okta() -> None:
    """A custom authorization server is an option, the usual one the default; the organization's has its own path."""
    assert proposed(EVERY["OktaBackend"]).options["authorization_server"] == "aus1"
    usual = {name: value.replace("aus1", "default") for name, value in EVERY["OktaBackend"].items() if "_e" in name}
    assert "authorization_server" not in proposed({**usual, "issuer": "https://example.okta.com"}).options
    assert proposed(OKTA_ORG).options["login_path"] == "https://example.okta.com/oauth2/v1/token"


def test_domain_of_its_own() -> None:
    """Auth0 under a tenant's own domain is recognised by its paths."""
    proposal = proposed(OWN_AUTH0)
    assert (proposal.product, proposal.options["domain"]) == ("Auth0", "login.example.com")


def test_notes() -> None:
    """What a person must know besides is told."""
    assert "take OAuth2Backend with the login_path https://example.auth" in proposed(COGNITO).notes[1]
    login = {name: str(url).replace("example.my.", "login.") for name, url in SALESFORCE.items() if "_s" not in name}
    assert "BASE_URL is better the address of My Domain, where the API is." in proposed(login).notes
    assert "scope is what your application may ask for" in proposed(OAUTH_TOOLKIT).notes[-1]
