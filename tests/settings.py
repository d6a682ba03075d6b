"""The suite's settings; DATABASE_URL chooses the database, a SQLite file by default (threads can't share memory)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import django
import environ

SECRET_KEY = "tests only"
USE_TZ = True
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "jwt_upstream",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
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
ROOT_URLCONF = "tests.urls"
# A good one takes a second of each test that has a user.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Django 6.0 deprecates the pairs that 5.2 wants.
ADMINS = ["ops@example.com"] if django.VERSION >= (6, 0) else [("Ops", "ops@example.com")]
# Django 6.1 deprecates mail settings without MAILERS.
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

_FILE = Path(tempfile.gettempdir()) / f"jwt_upstream_tests_{os.getpid()}.sqlite3"
DATABASES = {"default": environ.Env().db("DATABASE_URL", default=f"sqlite:///{_FILE}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["TEST"] = {"NAME": str(_FILE)}
    # Nothing that a test writes has to outlast the machine.
    DATABASES["default"].setdefault("OPTIONS", {})["init_command"] = "PRAGMA synchronous = OFF"
# The query of a URL has texts and numbers only; Django wants True.
if DATABASES["default"].get("OPTIONS", {}).get("pool") == "True":
    DATABASES["default"]["OPTIONS"]["pool"] = True
# Workers in processes of their own are told which database the suite made.
if test_name := os.environ.get("JWT_UPSTREAM_TEST_DATABASE"):
    DATABASES["default"]["NAME"] = test_name

JWT_UPSTREAM = {
    "crm": {"BACKEND": "jwt_upstream.backends.SimpleJWTBackend", "BASE_URL": "https://crm.example.com/api/"},
    "erp": {"BACKEND": "jwt_upstream.backends.LexikBackend", "BASE_URL": "https://erp.example.com/api/"},
}
# Each incident has a message of its own, at once.
JWT_UPSTREAM_NOTIFY_AFTER_SECONDS = 0
JWT_UPSTREAM_ENCRYPTION_KEYS = ["c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBieXRlcyE="]
