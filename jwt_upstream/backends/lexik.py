"""Symfony: LexikJWTAuthenticationBundle for login, the JWTRefreshTokenBundle (gesdinet, markitosgv) for refresh."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict

# Symfony's messages (translations/security.*.xlf) in English, which is requested, and in the languages of many sites
# that ignore the requested one. The two bundles' own messages are never translated.
_ACCOUNT = (
    r"^(Account is (disabled|locked)|(Account has|Credentials have) expired|Username could not be found"
    r"|Le compte (est (désactivé|bloqué)|a expiré)|Les identifiants ont expiré|Le nom d'utilisateur n'a pas pu être"
    r"|Der Account ist (deaktiviert|gesperrt|abgelaufen)|Die Zugangsdaten sind abgelaufen"
    r"|Der Benutzername wurde nicht)"
)
_HIDDEN = r"^(Invalid credentials|Identifiants invalides|Fehlerhafte Zugangsdaten)\.?$"
_NOT_NOW = (
    r"^(Too many failed login attempts|Plusieurs tentatives de connexion|Zu viele fehlgeschlagene Anmeldeversuche)"
    r"|due to a system problem|problème système|wegen eines Systemproblems"
)
_MISSING = (
    r"^(Missing JWT Refresh Token$|Authentication credentials could not be found"
    r"|Les identifiants d'authentification n'ont|Es konnten keine Zugangsdaten gefunden)"
)


class LexikBackend(Backend):
    """Symfony with Lexik; checked against running lexik 2.20 and 3.x, refresh bundle 1.5.1, 2.0.0, 2.2.2 and 3.0.0.

    By default Symfony hides why it refuses a user (``hide_user_not_found``). ``Invalid credentials.`` means a wrong
    password at a login, and a disabled, locked or deleted user everywhere else. That doesn't spend the refresh token,
    so the credential works again once the user does.
    """

    login_path = "login_check"
    refresh_path = "token/refresh"
    access_paths = ("token", "cookie:BEARER")
    refresh_paths = ("refresh_token", "cookie:refresh_token")
    refresh_expires_at_paths = ("refresh_token_expiration",)
    rules = (
        Rule(Verdict.LOCKED, json="message", pattern=_ACCOUNT, status=(401, 403)),
        Rule(Verdict.LOCKED, ("api", "refresh"), (401,), json="message", pattern=_HIDDEN),
        # A 401 for throttling or for an unavailable user provider is not about the password or the token.
        Rule(Verdict.TRANSIENT, json="message", pattern=_NOT_NOW, status=(401,)),
        Rule(Verdict.CONFIG, ("login", "refresh"), (401,), json="message", pattern=_MISSING),
    )
