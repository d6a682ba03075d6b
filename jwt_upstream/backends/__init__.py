"""What an upstream is sent and what its answers mean, a class for each family of servers; knows no database."""

from __future__ import annotations

from .aspnet_identity import AspNetIdentityBackend
from .auth0 import Auth0Backend
from .base import Backend
from .cognito import CognitoBackend
from .configured import KEYS, get_backend, make_backend, written_settings
from .core import ACCOUNT, REFUSALS, Outcome, Rule, Verdict, Where, lookup
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
from .ory import OryBackend
from .passport import PassportBackend
from .pocketbase import PocketBaseBackend
from .salesforce import SalesforceBackend
from .simplejwt import SimpleJWTBackend
from .slack import SlackBackend
from .strapi import StrapiBackend
from .supabase import SupabaseBackend
from .wordpress_jwt import WordPressJWTBackend

__all__ = [
    "ACCOUNT",
    "KEYS",
    "REFUSALS",
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
    "Where",
    "WordPressJWTBackend",
    "get_backend",
    "lookup",
    "make_backend",
    "written_settings",
]
