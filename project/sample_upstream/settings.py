"""Settings of the sample upstream: rotating, blacklisted refresh tokens, and access tokens of a few seconds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import environ
from django.core.management.utils import get_random_secret_key

env = environ.Env()

# Not as a default: environ takes a value that begins with "$" for the name of another variable.
SECRET_KEY = env("SAMPLE_UPSTREAM_SECRET_KEY", default="") or get_random_secret_key()
_FILE = Path(__file__).resolve().parents[2] / "sample_upstream.sqlite3"
DATABASES = {"default": env.db("SAMPLE_UPSTREAM_DATABASE_URL", default=f"sqlite:///{_FILE}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {"init_command": "PRAGMA journal_mode=WAL", "transaction_mode": "IMMEDIATE"}

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
]
# The page on which a person logs in: in no frame of anybody's.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).resolve().parent / "templates"],
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "project.sample_upstream.urls"
# Tests log in often, and their passwords are worth nothing.
if hasher := env("SAMPLE_UPSTREAM_PASSWORD_HASHER", default=""):
    PASSWORD_HASHERS = [hasher]
USE_TZ = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {name: {"level": "CRITICAL"} for name in ("django.server", "django.request")},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["project.sample_upstream.authentication.RevocableAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(seconds=env.float("SAMPLE_UPSTREAM_ACCESS_SECONDS", default=5.0)),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
}

SAMPLE_UPSTREAM_USERNAME = env("SAMPLE_UPSTREAM_USERNAME", default="shop")
SAMPLE_UPSTREAM_PASSWORD = env("SAMPLE_UPSTREAM_PASSWORD")
#: Further accounts, with the same password.
SAMPLE_UPSTREAM_BRANCHES = env.list("SAMPLE_UPSTREAM_BRANCHES", default=[])
#: Who may ask people for their consent: a public client on this machine, so PKCE protects its codes.
SAMPLE_UPSTREAM_CLIENT_ID = env("SAMPLE_UPSTREAM_CLIENT_ID", default="shop-app")
#: A token endpoint across a network takes its time; on loopback, callers could not meet in a refresh otherwise.
SAMPLE_UPSTREAM_REFRESH_DELAY = env.float("SAMPLE_UPSTREAM_REFRESH_DELAY", default=0.15)
