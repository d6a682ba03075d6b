"""What an upstream is sent and what its answers mean, a class for each family of servers; knows no database."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .authorization import AuthorizationRequest, AuthorizationResponse
from .base import Backend
from .configured import KEYS, get_backend, make_backend, written_settings
from .core import ACCOUNT, REFUSALS, Outcome, Rule, Verdict, Where, lookup
from .device import DeviceBegun, DeviceCode, DevicePending
from .steps import Step

if TYPE_CHECKING:
    from .aspnet_identity import AspNetIdentityBackend
    from .auth0 import Auth0Backend
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
    from .github_app import GitHubAppBackend
    from .google import GoogleBackend
    from .google_service_account import GoogleServiceAccountBackend
    from .hubspot import HubSpotBackend
    from .keycloak import KeycloakBackend
    from .laravel_jwt import LaravelJWTBackend
    from .lexik import LexikBackend
    from .nestjs import NestJSBackend
    from .oauth2 import OAuth2Backend
    from .okta import OktaBackend
    from .ory import OryBackend
    from .passport import PassportBackend
    from .pocketbase import PocketBaseBackend
    from .salesforce import SalesforceBackend
    from .self_signed import SelfSignedBackend
    from .simplejwt import SimpleJWTBackend
    from .slack import SlackBackend
    from .static_key import BasicAuthBackend, StaticKeyBackend
    from .strapi import StrapiBackend
    from .supabase import SupabaseBackend
    from .wordpress_jwt import WordPressJWTBackend
else:

    def __getattr__(name: str) -> object:
        """Import a family of servers when it is named."""
        if name not in _FAMILIES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f".{_FAMILIES[name]}", __name__), name)
        return found


__all__ = [
    "ACCOUNT",
    "KEYS",
    "REFUSALS",
    "AspNetIdentityBackend",
    "Auth0Backend",
    "AuthorizationRequest",
    "AuthorizationResponse",
    "Backend",
    "BasicAuthBackend",
    "CognitoBackend",
    "DRFJWTBackend",
    "DeviceBegun",
    "DeviceCode",
    "DevicePending",
    "DeviseBackend",
    "DirectusBackend",
    "DjangoOAuthToolkitBackend",
    "EntraBackend",
    "FastAPIBackend",
    "FirebaseBackend",
    "FlaskJWTExtendedBackend",
    "GitHubAppBackend",
    "GitHubBackend",
    "GoogleBackend",
    "GoogleServiceAccountBackend",
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
    "SelfSignedBackend",
    "SimpleJWTBackend",
    "SlackBackend",
    "StaticKeyBackend",
    "Step",
    "StrapiBackend",
    "SupabaseBackend",
    "Verdict",
    "Where",
    "WordPressJWTBackend",
    "get_backend",
    "lookup",
    "make_backend",
    "written_settings",
]

#: The class of each family of servers, and the module that is imported when it is named: a project uses one or two.
_FAMILIES = {
    "AspNetIdentityBackend": "aspnet_identity",
    "Auth0Backend": "auth0",
    "CognitoBackend": "cognito",
    "DeviseBackend": "devise",
    "DirectusBackend": "directus",
    "DjangoOAuthToolkitBackend": "django_oauth_toolkit",
    "DRFJWTBackend": "drf_jwt",
    "EntraBackend": "entra",
    "FastAPIBackend": "fastapi",
    "FirebaseBackend": "firebase",
    "FlaskJWTExtendedBackend": "flask_jwt_extended",
    "GitHubBackend": "github",
    "GitHubAppBackend": "github_app",
    "GoogleBackend": "google",
    "GoogleServiceAccountBackend": "google_service_account",
    "HubSpotBackend": "hubspot",
    "KeycloakBackend": "keycloak",
    "LaravelJWTBackend": "laravel_jwt",
    "LexikBackend": "lexik",
    "NestJSBackend": "nestjs",
    "OAuth2Backend": "oauth2",
    "OktaBackend": "okta",
    "OryBackend": "ory",
    "PassportBackend": "passport",
    "PocketBaseBackend": "pocketbase",
    "SalesforceBackend": "salesforce",
    "SelfSignedBackend": "self_signed",
    "SimpleJWTBackend": "simplejwt",
    "SlackBackend": "slack",
    "BasicAuthBackend": "static_key",
    "StaticKeyBackend": "static_key",
    "StrapiBackend": "strapi",
    "SupabaseBackend": "supabase",
    "WordPressJWTBackend": "wordpress_jwt",
}


def __dir__() -> list[str]:
    """List the families that are not imported yet as well."""
    return sorted({*globals(), *__all__})
