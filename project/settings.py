"""Settings of the demo project, from environment variables; a demo that runs leaves its own in ``.demo/env``."""

from __future__ import annotations

import os
from pathlib import Path

import django
import environ

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
DEMO_FOLDER = Path(env("DEMO_FOLDER", default=str(BASE_DIR / ".demo")))
env.read_env(DEMO_FOLDER / "env")

SECRET_KEY = env("SECRET_KEY", default="insecure: for development only, anybody can read it in the repository")
DEBUG = env.bool("DEBUG", default=True)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'project.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Readers and a writer don't wait for each other, as on the other databases.
    DATABASES["default"]["OPTIONS"] = {"init_command": "PRAGMA journal_mode=WAL"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "jwt_upstream",
    "project",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
STATIC_URL = "static/"
USE_TZ = True
TIME_ZONE = "UTC"

_ADMIN = env("ADMIN", default="ops@shop.example")
# Django 6.0 deprecates the pairs that 5.2 wants.
ADMINS = [_ADMIN] if django.VERSION >= (6, 0) else [("Ops", _ADMIN)]
#: Where the mails land, for the page to show.
MAIL_FOLDER = str(DEMO_FOLDER / "mails")
if django.VERSION >= (6, 1):
    _FILES = {"BACKEND": "django.core.mail.backends.filebased.EmailBackend", "OPTIONS": {"file_path": MAIL_FOLDER}}
    MAILERS = {"default": _FILES}
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = MAIL_FOLDER

_SAMPLE_URL = env("SAMPLE_UPSTREAM_URL", default="http://127.0.0.1:8001/api/")
# Its tokens live for five seconds only, and somebody watches. The admin can test it.
_SAMPLE_OPTIONS = {"refresh_leeway": 2.0, "backoff_max": 4.0, "test_path": "orders/"}
JWT_UPSTREAM = {
    "sample": {
        "BACKEND": "jwt_upstream.backends.SimpleJWTBackend",
        "BASE_URL": _SAMPLE_URL,
        "OPTIONS": _SAMPLE_OPTIONS,
    },
    # The same server, where a person logs in and consents by browser.
    "partner": {
        "BACKEND": "jwt_upstream.backends.OAuth2Backend",
        "BASE_URL": _SAMPLE_URL,
        "OPTIONS": {
            **_SAMPLE_OPTIONS,
            "grant_type": "authorization_code",
            "authorize_path": "oauth/authorize/",
            "login_path": "oauth/token/",
            "client_id": env("SAMPLE_UPSTREAM_CLIENT_ID", default="shop-app"),
            "client_authentication": "post",  # a public client has no secret
        },
    },
    # Customers with servers of their own, which are rows and not settings.
    "tenants": {
        "BACKEND": "jwt_upstream.backends.SimpleJWTBackend",
        "BASE_URL": "http://127.0.0.1:{port}/api/",
        "OPTIONS": _SAMPLE_OPTIONS,
        "LOGIN": {"username": "{tenant}", "password": "{login_password}"},
        "ACCOUNTS": {
            "parameters": {"port": {"pattern": "[0-9]{4,5}"}, "tenant": {}},
            "secrets": ["login_password"],
        },
    },
}
JWT_UPSTREAM_ENCRYPTION_KEYS = env.list("JWT_UPSTREAM_ENCRYPTION_KEYS", default=[])
# Soon enough for somebody who watches.
JWT_UPSTREAM_OUTAGE_SECONDS = 10.0
JWT_UPSTREAM_NOTIFY_AFTER_SECONDS = 1.0
JWT_UPSTREAM_SITE_URL = env("SITE_URL", default="http://127.0.0.1:8000")

#: The accounts at the sample upstream, for the demo's buttons.
SAMPLE_UPSTREAM_USERNAME = env("SAMPLE_UPSTREAM_USERNAME", default="shop")
SAMPLE_UPSTREAM_PASSWORD = env("SAMPLE_UPSTREAM_PASSWORD", default="")
SAMPLE_UPSTREAM_BRANCHES = env.list("SAMPLE_UPSTREAM_BRANCHES", default=[])
#: The ports and passwords of customers' servers, by customer.
SAMPLE_UPSTREAM_TENANTS = env.json("SAMPLE_UPSTREAM_TENANTS", default={})

LOG_FILE = env("LOG_FILE", default="")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "screen": {"class": "logging.StreamHandler", "formatter": "plain"},
        "file": {"class": "logging.FileHandler", "filename": LOG_FILE or os.devnull, "formatter": "plain"},
    },
    "loggers": {"jwt_upstream": {"level": "INFO", "handlers": ["file" if LOG_FILE else "screen"]}},
}
