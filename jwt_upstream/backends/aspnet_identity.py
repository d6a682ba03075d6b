"""ASP.NET Core Identity's API endpoints."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict


class AspNetIdentityBackend(Backend):
    """ASP.NET Core Identity (``MapIdentityApi``); checked against the source of 8 to 10.

    Its tokens are opaque, and answers state their lifetime. A refresh returns a new pair and leaves the old one valid.
    A refused refresh has no body, whatever the reason, and a locked account can still refresh.
    """

    login_path = "login"
    refresh_path = "refresh"
    login_fields = {"email": "{username}", "password": "{password}"}
    refresh_fields = {"refreshToken": "{refresh}"}
    access_paths = ("accessToken",)
    refresh_paths = ("refreshToken",)
    expires_in_paths = ("expiresIn",)
    # SignInResult.ToString(); "Failed" is a wrong password, "RequiresTwoFactor" means that a second factor is missing.
    rules = (Rule(Verdict.LOCKED, ("login",), (401,), json="detail", pattern=r"^(LockedOut|NotAllowed)$"),)
