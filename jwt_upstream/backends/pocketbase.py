"""PocketBase."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict

_LOCKED = (
    r"^The request doesn't satisfy the collection requirements to authenticate|^Please verify your (account|email)"
)
_GUEST = r"^You are not allowed to perform this request\.?$"


class PocketBaseBackend(Backend):
    """PocketBase; checked against its source, 0.22.27 and 0.39.11, and a running 0.40.6.

    ``collection`` is that of the account, for example "_superusers". There is no refresh token: a refresh sends the
    access token, which must still be valid. An expired token is not an error: its bearer is a guest, who may get a
    400, 403, 404 or an empty list. So tokens are refreshed before they expire (``refresh_leeway``); configure
    ``LOGIN`` if no call may be made for longer than their lifetime.
    """

    collection: str = "users"
    login_path = "api/collections/{collection}/auth-with-password"
    refresh_path = "api/collections/{collection}/auth-refresh"
    login_fields = {"identity": "{username}", "password": "{password}"}
    refresh_fields = {}
    refresh_headers = {"Authorization": "{access}"}
    api_headers = {"Authorization": "{access}"}
    access_paths = ("token",)
    refresh_paths = ()
    message_paths = ("message",)
    rules = (
        Rule(Verdict.LOCKED, ("login", "refresh"), (403,), json="message", pattern=_LOCKED),
        # Password logins are disabled, the token is for another collection, or superusers may not use this IP address.
        Rule(Verdict.CONFIG, ("login", "refresh"), (403,), json="message"),
        Rule(Verdict.REJECTED, ("login",), (400,), json="message", pattern=r"^Failed to authenticate\.?$"),
        Rule(Verdict.REJECTED, ("login",), (401,), json="mfaId"),
        Rule(Verdict.REJECTED, ("refresh",), (401,), json="message", pattern=r"\brequires valid\b.{0,99}\btoken\b"),
        # What a guest is told, and what an application's own hooks say by default (tools/router/error.go).
        Rule(Verdict.EXPIRED, ("api",), (403,), json="message", pattern=_GUEST),
    )
