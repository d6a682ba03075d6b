"""A Django project in one file: SQLite in the working directory, settings and routes given by a server's own file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application


def configure(apps: Iterable[str], **more: Any) -> None:
    """Set Django up with these apps beside the usual ones; routes are ``urlpatterns`` of the program itself."""
    settings.configure(
        SECRET_KEY="a server that only tests talk to, on loopback",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF="__main__",
        USE_TZ=True,
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3", "OPTIONS": {"timeout": 30}}
        },
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", *apps],
        # Checking a password is to take no time here.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        **more,
    )
    django.setup()


def application() -> Any:
    """Return the project as a WSGI application, its tables made."""
    call_command("migrate", verbosity=0)
    return get_wsgi_application()


def create(username: str, password: str) -> None:
    """Add a user."""
    _users().objects.create_user(username, password=password, email=username)


def lock(username: str) -> None:
    """Disable a user, as the box "active" in Django's admin does."""
    _users().objects.filter(username=username).update(is_active=False)


def unlock(username: str) -> None:
    """Enable a user again."""
    _users().objects.filter(username=username).update(is_active=True)


def delete(username: str) -> None:
    """Delete a user with all that belongs to it."""
    _users().objects.get(username=username).delete()


def change_password(username: str, password: str) -> None:
    """Set another password."""
    user = _users().objects.get(username=username)
    user.set_password(password)
    user.save()


def _users() -> Any:
    from django.contrib.auth import get_user_model

    return get_user_model()


#: What every Django server can do with its users.
ORDERS = {
    "create": create,
    "lock": lock,
    "unlock": unlock,
    "delete": delete,
    "change_password": change_password,
}
