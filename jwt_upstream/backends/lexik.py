"""Symfony: LexikJWTAuthenticationBundle for login, the JWTRefreshTokenBundle (gesdinet, markitosgv) for refresh."""

from __future__ import annotations

from .base import Backend
from .core import CALLS, TOKEN_REQUESTS, Rule, Verdict

# Symfony's messages in English, which is requested, and in the languages of many sites that ignore the requested one:
# symfony/security-core, Resources/translations/security.*.xlf, in the words of every version from 5.4 to 7.1. The
# bundles' own messages are never translated.
_ACCOUNT = (
    r"^(Account is (disabled|locked)|(Account has|Credentials have) expired"
    r"|Le compte (est (désactivé|bloqué)|a expiré)|Les identifiants ont expiré|Les droits ont expirés"
    r"|Der Account ist (deaktiviert|gesperrt|abgelaufen)|Die Zugangsdaten sind abgelaufen"
    r"|La cuenta (está (deshabilitada|bloqueada)|ha expirado)|Las credenciales han expirado"
    r"|L'account è (disabilitato|bloccato)|Account scaduto|Credenziali scadute"
    r"|Account is (gedeactiveerd|geblokkeerd|verlopen)|Authenticatiegegevens zijn verlopen"
    r"|Konto (jest (wyłączone|zablokowane)|wygasło)|Dane uwierzytelniania wygasły"
    r"|Conta desativada|A conta (est[áa] (bloqueada|trancada|travada|expirada)|expirou)"
    r"|As credenciais (expiraram|estão expiradas))\.?$"
)
# The second is what the documentation has a user checker say of a deleted user (symfony-docs, user_checkers.rst).
_NO_USER = (
    r"^(Username could not be found|Your user account no longer exists"
    r"|Le nom d'utilisateur (n'a pas pu|ne peut pas) être trouvé|Der Benutzername wurde nicht gefunden"
    r"|No se encontró el nombre de usuario|Username non trovato|Gebruikersnaam kon niet worden gevonden"
    r"|Użytkownik o podanej nazwie nie istnieje|Nome de (usuário|utilizador) não encontrado)\.?$"
)
_HIDDEN = (
    r"^(Invalid credentials|(Identifiants|Droits) invalides|Fehlerhafte Zugangsdaten|Credenciales no válidas"
    r"|Credenziali non valide|Ongeldige inloggegevens|Nieprawidłowe dane|Credenciais inválidas)\.?$"
)
_NOT_NOW = (
    r"^(Too many failed login attempts|(Plusieurs|Trop de) tentatives de connexion"
    r"|Zu viele fehlgeschlagene Anmeldeversuche|Demasiados intentos fallidos de inicio de sesión"
    r"|Troppi tentat?ivi di (login|accesso) falliti|(Te veel|Er waren teveel) (onjuiste|mislukte) inlogpogingen"
    r"|Zbyt (dużo|wiele) nieudanych prób logowania|(Muitas|Várias|Demasiadas) tentativas de login)\b"
    r"|due to a system problem|problème système|wegen eines Systemproblems|debido a un problema del sistema"
    r"|a causa di un errore di sistema|door een technisch probleem|z powodu problemu z systemem"
    r"|devido a um problema no sistema"
)
_MISSING = (
    r"^(Missing JWT Refresh Token$|Authentication credentials could not be found"
    r"|Les (identifiants|droits) d'authentification n'ont|Es konnten keine Zugangsdaten gefunden"
    r"|No se encontraron las credenciales|Impossibile trovare le credenziali|Authenticatiegegevens konden niet"
    r"|Dane uwierzytelniania nie zostały|As credenciais de autenticação não)"
)


class LexikBackend(Backend):
    """Symfony with Lexik; checked against running lexik 2.20 and 3.x, refresh bundle 1.5.1, 2.0.0, 2.2.2 and 3.0.0.

    By default Symfony hides why it refuses a user (``hide_user_not_found``). ``Invalid credentials.`` means a wrong
    password at a login, and a disabled, locked or deleted user at a refresh. That doesn't spend the refresh token, so
    the credential works again once the user does. In answer to a call it leads to a refresh, which decides.
    """

    login_path = "login_check"
    refresh_path = "token/refresh"
    access_paths = ("token", "cookie:BEARER")
    refresh_paths = ("refresh_token", "cookie:refresh_token")
    refresh_expires_at_paths = ("refresh_token_expiration",)
    rules = (
        Rule(Verdict.LOCKED, CALLS, (401,), json="message", pattern=_ACCOUNT),
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, (401, 403), json="message", pattern=_ACCOUNT),
        # Whoever logs in may have misspelled the name; a user that had a refresh token was deleted.
        Rule(Verdict.REJECTED, ("login",), (401, 403), json="message", pattern=_NO_USER),
        Rule(Verdict.LOCKED, ("refresh",), (401, 403), json="message", pattern=_NO_USER),
        # Not in answer to a call, which may be somebody's login: one refresh finds out whether it is about our user.
        Rule(Verdict.LOCKED, ("refresh",), (401,), json="message", pattern=_HIDDEN),
        # A 401 for throttling or for an unavailable user provider is not about the password or the token.
        Rule(Verdict.TRANSIENT, json="message", pattern=_NOT_NOW, status=(401,)),
        Rule(Verdict.CONFIG, ("login", "refresh"), (401,), json="message", pattern=_MISSING),
    )
