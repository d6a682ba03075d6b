"""The settings of every process of a run, told by the environment variable that ``stage`` sets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import django
import environ

from tests.chaos import cast

ENVIRONMENT = "JWT_UPSTREAM_CHAOS"
TOLD: dict[str, Any] = json.loads(os.environ[ENVIRONMENT])


def keys() -> list[str]:
    """Return the encryption keys as they are at the moment; a run adds and swaps some."""
    found: list[str] = json.loads((Path(TOLD["folder"]) / "keys.json").read_text())
    return found


SECRET_KEY = "chaos only"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.sessions", "jwt_upstream"]
ADMINS = ["ops@example.com"] if django.VERSION >= (6, 0) else [("Ops", "ops@example.com")]
DATABASES = {"default": environ.Env.db_url_config(TOLD["database"])}
DATABASES["default"]["CONN_MAX_AGE"] = TOLD.get("conn_max_age", 0)
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Nothing that is written has to outlast the machine.
    DATABASES["default"]["OPTIONS"] = {"init_command": "PRAGMA synchronous = OFF"}
else:
    DATABASES["default"]["OPTIONS"] = {"connect_timeout": 5}

# One that needs no models: messages link to an admin, which there is none.
ROOT_URLCONF = "django.conf.urls.i18n"
LOGGING = {"version": 1, "disable_existing_loggers": False, "root": {"level": "CRITICAL"}}
JWT_UPSTREAM = cast.upstream_settings(TOLD["server"])
JWT_UPSTREAM_ENCRYPTION_KEYS = keys()
JWT_UPSTREAM_OUTAGE_SECONDS = 6.0
JWT_UPSTREAM_NOTIFIERS = ["tests.chaos.telling.tell"]
JWT_UPSTREAM_NOTIFY_AFTER_SECONDS = 1.0
