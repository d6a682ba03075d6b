"""Answers of real servers, from their sources and documentation or captured from running ones: what each means.

In one that says ``"verified": false`` the words were not looked up: its codes are the server's, its texts may differ.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from requests import Response

from jwt_upstream.backends import (
    AspNetIdentityBackend,
    Auth0Backend,
    Backend,
    CognitoBackend,
    DeviseBackend,
    DirectusBackend,
    DjangoOAuthToolkitBackend,
    DRFJWTBackend,
    EntraBackend,
    FastAPIBackend,
    FirebaseBackend,
    FlaskJWTExtendedBackend,
    GitHubBackend,
    GoogleBackend,
    HubSpotBackend,
    KeycloakBackend,
    LaravelJWTBackend,
    LexikBackend,
    NestJSBackend,
    OAuth2Backend,
    OktaBackend,
    OryBackend,
    PassportBackend,
    PocketBaseBackend,
    SalesforceBackend,
    SimpleJWTBackend,
    SlackBackend,
    StrapiBackend,
    SupabaseBackend,
    Verdict,
    WordPressJWTBackend,
)

FILES = sorted((Path(__file__).parent / "wire_cases").glob("*.json"))
CASES: list[dict[str, Any]] = [case for file in FILES for case in json.loads(file.read_text())]

#: What an outcome of the file may be called here.
OUTCOMES = {
    "ok": {"OK"},
    "refresh_and_retry": {"EXPIRED"},
    "credentials_invalid": {"REJECTED"},
    "credentials_invalid_no_refresh": {"LOCKED"},
    "keep_credentials": {"TRANSIENT"},
    "config_error": {"CONFIG"},
    "pass_through": {"PASS"},
    "login_rejected": {"REJECTED"},
}
#: What another event with the very same bytes would be called.
EVENTS = {
    "refresh_rejected": "REJECTED",
    "login_rejected": "REJECTED",
    "account_locked": "LOCKED",
    "login_ok": "OK",
    "refresh_ok": "OK",
    "access_expired": "EXPIRED",
    "access_invalid": "EXPIRED",
    "transient": "TRANSIENT",
    "not_token_related": "PASS",
}
OAUTH2 = (
    *("rfc", "oidc-provider", "duende-identityserver", "doorkeeper", "openiddict", "spring-authorization-server"),
    *("xero", "quickbooks"),
)
#: Gateways, and servers without a class of their own.
PLAIN = (
    *("nginx", "kong", "azure-apim", "aws-api-gateway", "gateways"),
    *("spring-resource-server", "express-jwt", "fastify-jwt", "synthetic"),
)
BACKENDS: dict[str, type[Backend]] = {
    "aspnet-identity-api": AspNetIdentityBackend,
    "aspnet-jwtbearer": AspNetIdentityBackend,
    "devise-jwt": DeviseBackend,
    "dj-rest-auth": SimpleJWTBackend,
    "drf-jwt": DRFJWTBackend,
    "fastapi-tutorial": FastAPIBackend,
    "fastapi-users": FastAPIBackend,
    "flask-jwt-extended": FlaskJWTExtendedBackend,
    "laravel-jwt-auth": LaravelJWTBackend,
    "nestjs": NestJSBackend,
    "wp-jwt-auth": WordPressJWTBackend,
    "lexik": LexikBackend,
    "gesdinet": LexikBackend,
    "simplejwt": SimpleJWTBackend,
    "cognito": CognitoBackend,
    "directus": DirectusBackend,
    "firebase": FirebaseBackend,
    "github": GitHubBackend,
    "hubspot": HubSpotBackend,
    "pocketbase": PocketBaseBackend,
    "slack": SlackBackend,
    "strapi": StrapiBackend,
    "supabase": SupabaseBackend,
    **dict.fromkeys(OAUTH2, OAuth2Backend),
    **dict.fromkeys(PLAIN, Backend),
    "auth0": Auth0Backend,
    "django-oauth-toolkit": DjangoOAuthToolkitBackend,
    "entra": EntraBackend,
    "google": GoogleBackend,
    "keycloak": KeycloakBackend,
    "league-oauth2-server": PassportBackend,
    "okta": OktaBackend,
    "ory": OryBackend,
    "salesforce": SalesforceBackend,
}
OURS = [case for case in CASES if case["server"] in BACKENDS]
GIVES_UP = {"REJECTED", "LOCKED"}


def answer(case: dict[str, Any]) -> Response:
    """Return the case as requests would have received it."""
    response, body = Response(), case.get("body")
    response.status_code = case["status"]
    response.headers.update(case.get("headers") or {})
    response._content = (body if isinstance(body, str) else "" if body is None else json.dumps(body)).encode()
    return response


def right(case: dict[str, Any]) -> set[str]:
    """Return the verdicts which are right for a case."""
    verdicts = OUTCOMES[case["outcome"]] | {EVENTS[event] for event in case.get("ambiguous_with") or ()}
    if case["where"] == "api" and case["outcome"] in {"keep_credentials", "config_error"}:
        verdicts |= {"PASS"}
    if case["outcome"] == "pass_through" and case["status"] < 300:
        verdicts |= {"OK"}
    return verdicts


def by_id(case: dict[str, Any]) -> str:
    return str(case["id"])


@pytest.mark.parametrize("case", OURS, ids=by_id)
def test_verdict_of_its_backend(case: dict[str, Any]) -> None:
    """The backend for a server understands what the server says."""
    backend = BACKENDS[case["server"]]("up", "https://up.example.com/")
    assert backend.verdict(case["where"], answer(case)).name in right(case)


@pytest.mark.parametrize("plain", [Backend, OAuth2Backend])
@pytest.mark.parametrize("case", CASES, ids=by_id)
def test_plain_defaults_give_nothing_up_wrongly(case: dict[str, Any], plain: type[Backend]) -> None:
    """Backends that know nothing of a server wake nobody for its answers without need."""
    verdict = plain("up", "https://up.example.com/").verdict(case["where"], answer(case)).name
    assert verdict not in GIVES_UP or right(case) & GIVES_UP


@pytest.mark.parametrize(
    "case", [case for case in OURS if case["outcome"] == "ok" and case["where"] != "api"], ids=by_id
)
def test_token_pair(case: dict[str, Any]) -> None:
    """The tokens are found where the server puts them, and an end that it states or claims."""
    backend = BACKENDS[case["server"]]("up", "https://up.example.com/")
    pair = backend.token_pair(case["where"], answer(case), datetime(2026, 11, 23, tzinfo=UTC))
    assert pair.access in json.dumps(case)
    assert pair.refresh in json.dumps(case)


def test_each_verdict_occurs() -> None:
    """The cases of our backends leave no verdict out."""
    assert {verdict.name for verdict in Verdict} == set().union(*map(right, OURS))
