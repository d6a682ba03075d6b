"""The classes that speak upstreams' wire formats, one file per family; ``BACKEND`` in settings names one."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.tokens import Secrets

from .aspnet_identity import AspNetIdentityBackend
from .auth0 import Auth0Backend
from .base import Backend
from .cognito import CognitoBackend
from .devise import DeviseBackend
from .directus import DirectusBackend
from .django_oauth_toolkit import DjangoOAuthToolkitBackend
from .drf_jwt import DRFJWTBackend
from .entra import EntraBackend
from .fastapi import FastAPIBackend
from .firebase import FirebaseBackend
from .flask_jwt_extended import FlaskJWTExtendedBackend
from .github import GitHubBackend
from .google import GoogleBackend
from .hubspot import HubSpotBackend
from .keycloak import KeycloakBackend
from .laravel_jwt import LaravelJWTBackend
from .lexik import LexikBackend
from .nestjs import NestJSBackend
from .oauth2 import OAuth2Backend
from .okta import OktaBackend
from .origins import is_web_address
from .ory import OryBackend
from .passport import PassportBackend
from .pocketbase import PocketBaseBackend
from .salesforce import SalesforceBackend
from .simplejwt import SimpleJWTBackend
from .slack import SlackBackend
from .strapi import StrapiBackend
from .supabase import SupabaseBackend
from .verdicts import Outcome, Rule, Verdict
from .wordpress_jwt import WordPressJWTBackend

__all__ = [
    "AspNetIdentityBackend",
    "Auth0Backend",
    "Backend",
    "CognitoBackend",
    "DRFJWTBackend",
    "DeviseBackend",
    "DirectusBackend",
    "DjangoOAuthToolkitBackend",
    "EntraBackend",
    "FastAPIBackend",
    "FirebaseBackend",
    "FlaskJWTExtendedBackend",
    "GitHubBackend",
    "GoogleBackend",
    "HubSpotBackend",
    "KeycloakBackend",
    "LaravelJWTBackend",
    "LexikBackend",
    "NestJSBackend",
    "OAuth2Backend",
    "OktaBackend",
    "OryBackend",
    "Outcome",
    "PassportBackend",
    "PocketBaseBackend",
    "Rule",
    "SalesforceBackend",
    "SimpleJWTBackend",
    "SlackBackend",
    "StrapiBackend",
    "SupabaseBackend",
    "Verdict",
    "WordPressJWTBackend",
    "get_backend",
    "make_backend",
]

#: What an upstream's settings may hold.
KEYS = ("BACKEND", "BASE_URL", "OPTIONS", "LOGIN")

_made: dict[str, tuple[Mapping[str, Any], Backend]] = {}


@sensitive_variables()
def get_backend(alias: str) -> Backend:
    """Return the backend of a configured upstream, the same one as long as its settings are the same.

    Raises UpstreamNotConfigured, with the first thing that is wrong.
    """
    written = written_settings(alias)
    known = _made.get(alias)
    if known is not None and known[0] == written:
        return known[1]
    backend = make_backend(alias, written)
    for problem in backend.check():
        raise UpstreamNotConfigured(f"JWT_UPSTREAM[{alias!r}]: {problem}")
    # A copy, so that settings which are changed in place are noticed as well.
    _made[alias] = (deepcopy(written), backend)
    return backend


def written_settings(alias: str) -> Mapping[str, Any]:
    """Return what settings say of an upstream, unchecked; raises UpstreamNotConfigured for an unknown alias."""
    try:
        return conf.upstreams[alias]
    except (KeyError, TypeError):
        raise UpstreamNotConfigured(_unknown(alias)) from None


@sensitive_variables()
def make_backend(alias: str, written: Mapping[str, Any]) -> Backend:
    """Build a backend of an upstream's settings, its options unchecked; raises UpstreamNotConfigured."""
    where = f"JWT_UPSTREAM[{alias!r}]"
    if not isinstance(written, Mapping):
        raise UpstreamNotConfigured(f"{where} must be a dict")
    options = written.get("OPTIONS", {})
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise UpstreamNotConfigured(f"{where}: OPTIONS must be a dict of names")
    base_url = written.get("BASE_URL")
    if not isinstance(base_url, str) or not is_web_address(base_url):
        raise UpstreamNotConfigured(f"{where}: BASE_URL is missing or no http address")
    login = written.get("LOGIN", {})
    if not isinstance(login, Mapping):
        raise UpstreamNotConfigured(f"{where}: LOGIN must be a dict, such as of username and password")
    backend = _named(where, written.get("BACKEND", "jwt_upstream.backends.Backend"))(alias, base_url, **options)
    backend.automatic_login = Secrets(login)
    return backend


def _named(where: str, path: Any) -> type[Backend]:
    try:
        cls = import_string(path)
    except (ImportError, AttributeError) as error:
        raise UpstreamNotConfigured(f"{where}: BACKEND can't be imported: {error}") from error
    if not (isinstance(cls, type) and issubclass(cls, Backend)):
        raise UpstreamNotConfigured(f"{where}: BACKEND {path} is no Backend class")
    return cls


def _unknown(alias: str) -> str:
    names = ", ".join(map(repr, sorted(conf.upstreams))) if isinstance(conf.upstreams, Mapping) else ""
    return f"no upstream {alias!r} in JWT_UPSTREAM; it has {names or 'none'}"
