"""Symfony: LexikJWTAuthenticationBundle for login, the JWTRefreshTokenBundle (gesdinet, markitosgv) for refresh."""

from __future__ import annotations

from .base import Backend
from .verdicts import Rule, Verdict

_ACCOUNT = r"^(Account is (disabled|locked)|(Account has|Credentials have) expired|Username could not be found)\.?$"


class LexikBackend(Backend):
    """Symfony with Lexik; checked against live lexik 2.20 and 3.x, refresh bundle 1.5.1, 2.0.0, 2.2.2 and 3.0.0.

    Symfony hides by default why a user is refused (``hide_user_not_found``): outside of login, where it means a wrong
    password, ``Invalid credentials.`` is said of a disabled, locked or deleted user. The refresh token is not spent
    by that, so the credential works again once the user does.
    """

    login_path = "login_check"
    refresh_path = "token/refresh"
    access_paths = ("token", "cookie:BEARER")
    refresh_paths = ("refresh_token", "cookie:refresh_token")
    refresh_expires_at_paths = ("refresh_token_expiration",)
    rules = (
        Rule(Verdict.LOCKED, json="message", pattern=_ACCOUNT, status=(401, 403)),
        Rule(
            Verdict.LOCKED,
            where=("api", "refresh"),
            json="message",
            pattern=r"^Invalid credentials\.?$",
            status=(401,),
        ),
        # Both are 401 and neither is about the password or the token: throttled; their user provider is down.
        Rule(Verdict.TRANSIENT, json="message", pattern=r"^Too many failed login attempts", status=(401,)),
        Rule(Verdict.TRANSIENT, json="message", pattern=r"due to a system problem", status=(401,)),
        Rule(
            Verdict.CONFIG,
            where=("login", "refresh"),
            json="message",
            # The second of Symfony's own, where a guard found nothing to look at.
            pattern=r"^Missing JWT Refresh Token$|^Authentication credentials could not be found",
            status=(401,),
        ),
    )
