"""PocketBase."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict

_LOCKED = (
    r"^The request doesn't satisfy the collection requirements to authenticate|^Please verify your (account|email)"
)
_GUEST = r"^(You are not allowed to perform this request|Only (superusers|admins) can perform this action)\.?$"


class PocketBaseBackend(Backend):
    """PocketBase; checked against its source, 0.22.27 and 0.39.11, and a running 0.40.6.

    ``collection`` is the one that the account is in, "_superusers" for instance. There is no refresh token: a token is
    renewed by itself, while it is good. An ended one makes no error but a guest, who may get a 400, 403 or 404 or an
    empty list, so tokens are renewed before their end (``refresh_leeway``); for pauses longer than a token lives, set
    ``LOGIN``.
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
        # Password logins are off; the token is of another collection; superusers may not come from this address.
        Rule(Verdict.CONFIG, ("login", "refresh"), (403,), json="message"),
        Rule(Verdict.REJECTED, ("login",), (400,), json="message", pattern=r"^Failed to authenticate\.?$"),
        Rule(Verdict.REJECTED, ("login",), (401,), json="mfaId"),
        Rule(Verdict.REJECTED, ("refresh",), (401,), json="message", pattern=r"\brequires valid\b.{0,99}\btoken\b"),
        Rule(Verdict.EXPIRED, ("api",), (403,), json="message", pattern=_GUEST),
    )
