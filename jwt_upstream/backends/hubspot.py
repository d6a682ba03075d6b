"""HubSpot: public apps."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict


class HubSpotBackend(Backend):
    """HubSpot's OAuth for public apps; checked against developers.hubspot.com (oauth/v1, November 2026).

    A login is the exchange of the ``code`` that a browser brought back; it must name the ``redirect_uri`` again. The
    refresh token stays the same. Refusals have a ``status`` of their own and no ``error``.
    """

    login_path = "oauth/v1/token"
    refresh_path = ""
    redirect_uri: str = ""
    login_fields = {"grant_type": "authorization_code", "code": "{code}", "redirect_uri": "{redirect_uri}"}
    refresh_fields = {"grant_type": "refresh_token", "refresh_token": "{refresh}"}
    body_format = "form"
    client_authentication = "post"
    access_paths = ("access_token",)
    refresh_paths = ("refresh_token",)
    rules = (
        Rule(
            Verdict.REJECTED,
            ("login", "refresh"),
            json="status",
            pattern=r"^((BAD|EXPIRED|INVALID)_REFRESH_TOKEN|(BAD|EXPIRED|INVALID)_AUTH_CODE)$",
        ),
        Rule(Verdict.REJECTED, ("login", "refresh"), json="error", pattern=r"^invalid_grant$"),
        # Busy with this account's data, or moving it; no lock of the account.
        Rule(Verdict.TRANSIENT, ("login", "refresh"), (423, 477)),
        # Whatever else is refused there is about the app: its id, secret or address, or a wrong path.
        Rule(Verdict.CONFIG, ("login", "refresh"), (401, 403)),
    )
