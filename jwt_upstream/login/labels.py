"""What the values that a login asks for are called, in forms and at prompts."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

_LABELS = {
    "username": _("Username"),
    "password": _("Password"),
    "code": _("Code"),
    "api_key": _("API key"),
    "client_secret": _("Client secret"),
    "access_token": _("Access token"),
    "refresh_token": _("Refresh token"),
}


def label(name: str) -> str:
    """Return what people call a value; one that only some upstream knows is called by its name."""
    return str(_LABELS.get(name) or name.replace("_", " ").capitalize())
