"""Settings of the benchmarks: as many databases as answer, of which ``Router.alias`` is the one in use."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import django
import environ

from tests import settings as tested

#: In other places: the same variables, with an account that may create databases.
SERVERS = {
    "postgresql": os.environ.get("BENCHMARK_POSTGRESQL", "postgres://jwt_upstream_ci:ci@127.0.0.1:5432/bench"),
    "mariadb": os.environ.get("BENCHMARK_MARIADB", "mysql://jwt_upstream_ci:ci@127.0.0.1:3306/bench"),
}


def answers(url: str) -> bool:
    """Tell whether there is a server."""
    database = environ.Env.db_url_config(url)
    try:
        with socket.create_connection((database["HOST"], int(database["PORT"])), timeout=1):
            return True
    except OSError:
        return False


def _databases() -> dict[str, dict[str, Any]]:
    file = Path(tempfile.gettempdir()) / "jwt_upstream_benchmarks.sqlite3"
    sqlite: dict[str, Any] = environ.Env.db_url_config(f"sqlite:///{file}")
    sqlite |= {"TEST": {"NAME": str(file)}, "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL"}}
    servers = {alias: environ.Env.db_url_config(url) for alias, url in SERVERS.items() if answers(url)}
    return {"default": sqlite, **servers}


DATABASES = _databases()
# Processes that a benchmark starts use the databases which it has made.
if os.environ.get("BENCHMARK_WORKER"):
    for database in DATABASES.values():
        database["NAME"] = database.get("TEST", {}).get("NAME") or f"test_{database['NAME']}"


class Router:
    """Sends everything to the database that is being measured."""

    alias = os.environ.get("BENCHMARK_DATABASE", "default")

    def db_for_read(self, *_: Any, **__: Any) -> str:
        """Return the one in use."""
        return self.alias

    db_for_write = db_for_read


DATABASE_ROUTERS = ["benchmarks.settings.Router"]
DEBUG = False
SECRET_KEY = "benchmarks only"
USE_TZ = True
ALLOWED_HOSTS = ["testserver"]
INSTALLED_APPS = tested.INSTALLED_APPS
MIDDLEWARE = tested.MIDDLEWARE
TEMPLATES = tested.TEMPLATES
ADMINS = tested.ADMINS
ROOT_URLCONF = "benchmarks.urls"
STATIC_URL = "static/"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"}}
else:
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
LOGGING = {"version": 1, "disable_existing_loggers": False, "loggers": {"jwt_upstream": {"level": "CRITICAL"}}}
JWT_UPSTREAM: dict[str, Any] = {}
JWT_UPSTREAM_ENCRYPTION_KEYS = tested.JWT_UPSTREAM_ENCRYPTION_KEYS
