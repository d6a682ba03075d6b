"""Answers of real servers, from their sources and documentation or captured from running ones: what each means.

In one that says ``"verified": false`` the words were not looked up: its codes are the server's, its texts may differ.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from requests import Response

from jwt_upstream import backends, testing
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
    GitHubAppBackend,
    GitHubBackend,
    GoogleBackend,
    GoogleServiceAccountBackend,
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
    WordPressJWTBackend,
)

Case = dict[str, Any]

_FILES = sorted((Path(__file__).parents[1] / "backends" / "wire_cases").glob("*.json"))
#: The cases of each file, by the file's name.
CASES_BY_FILE: dict[str, list[Case]] = {file.stem: json.loads(file.read_text()) for file in _FILES}
CASES: list[Case] = [case for cases in CASES_BY_FILE.values() for case in cases]

#: What an outcome of the file may be called here.
_OUTCOMES = {
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
_EVENTS = {
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
#: Answers to calls whose words are also said of a wrong password, which may be a visitor's: whether our account is
#: meant, a refresh finds out.
LEFT_TO_A_REFRESH = {
    "lexik-api-user-gone-hidden",
    "lexik-live-sf71-ges222-api-user-disabled-hidden",
    "lexik-own-api-hidden-fr",
}
_OAUTH2 = (
    *("rfc", "oidc-provider", "duende-identityserver", "doorkeeper", "openiddict", "spring-authorization-server"),
    *("xero", "quickbooks", "atlassian"),
)
#: Gateways, and servers without a class of their own.
_PLAIN = (
    *("nginx", "kong", "azure-apim", "aws-api-gateway", "gateways"),
    *("spring-resource-server", "express-jwt", "fastify-jwt", "synthetic"),
)
#: The backend for each server.
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
    "github-app": GitHubAppBackend,
    "hubspot": HubSpotBackend,
    "pocketbase": PocketBaseBackend,
    "slack": SlackBackend,
    "strapi": StrapiBackend,
    "supabase": SupabaseBackend,
    **dict.fromkeys(_OAUTH2, OAuth2Backend),
    **dict.fromkeys(_PLAIN, Backend),
    "auth0": Auth0Backend,
    "django-oauth-toolkit": DjangoOAuthToolkitBackend,
    "entra": EntraBackend,
    "google": GoogleBackend,
    "google-service-account": GoogleServiceAccountBackend,
    "keycloak": KeycloakBackend,
    "league-oauth2-server": PassportBackend,
    "okta": OktaBackend,
    "ory": OryBackend,
    "salesforce": SalesforceBackend,
}
#: Every backend that is exported, so that a new one is tested too.
KINDS: list[type[Backend]] = [
    kind
    for name in backends.__all__
    if isinstance(kind := getattr(backends, name), type) and issubclass(kind, Backend)
]


_URL = "https://up.example.com/"
_MADE = {kind: kind("up", _URL) for kind in KINDS}
#: A server that says with the status alone that our account is locked, as its settings have to say.
_WITH_OPTIONS = {"synthetic": Backend("up", _URL, locked_statuses=[423])}


def made(kind: type[Backend]) -> Backend:
    """Return a backend without options, always the same."""
    return _MADE[kind]


def is_ours(case: Case) -> bool:
    """Tell whether there is a backend for a case's server."""
    return case["server"] in BACKENDS


def own_backend(case: Case) -> Backend:
    """Return the backend for a case's server."""
    return _WITH_OPTIONS.get(case["server"]) or made(BACKENDS[case["server"]])


def answer(case: Case) -> Response:
    """Return the case as requests would have received it."""
    body = case.get("body")
    content = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    return testing.answer(case["status"], case.get("headers"), content)


def right(case: Case) -> set[str]:
    """Return the verdicts which are right for a case."""
    if case["id"] in LEFT_TO_A_REFRESH:
        return {"EXPIRED"}
    verdicts = _OUTCOMES[case["outcome"]] | {_EVENTS[event] for event in case.get("ambiguous_with") or ()}
    if case["where"] == "api" and case["outcome"] in {"keep_credentials", "config_error"}:
        verdicts |= {"PASS"}
    if case["outcome"] == "pass_through" and case["status"] < 400:
        verdicts |= {"OK"}
    return verdicts


def failures(cases: Iterable[Case], check: Callable[[Case], None]) -> list[str]:
    """Check each case; return a line for each that fails, with its name and why."""
    lines = []
    for case in cases:
        try:
            check(case)
        except Exception as error:
            lines.append(f"{case['id']}: {type(error).__name__}: {error}")
    return lines
