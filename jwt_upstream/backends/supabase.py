"""Supabase: its Auth server (GoTrue), with its gateway and APIs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .base import Backend
from .core import REFUSALS, Rule, Verdict, Where

_KEY = r"\bAPI keys?\b|^Invalid authentication credentials$"

_MESSAGES = ("msg", "message")
_DEAD = r"^(invalid JWT: unable to parse or verify signature\b.*|Session from session_id claim in JWT does not exist)$"


def _coded(verdict: Verdict, where: Sequence[Where], pattern: str) -> Iterator[Rule]:
    status = REFUSALS if "api" in where else ()
    # In API version 2024-01-01, which a header may request, the body has the code at another path.
    yield Rule(verdict, where, status, json="error_code", pattern=pattern)
    yield Rule(verdict, where, status, header="x-sb-error-code", pattern=pattern)


class SupabaseBackend(Backend):
    """Supabase; checked against the source of supabase/auth 2.196.0, and that of 2022 and 2024.

    ``username`` is an e-mail address, ``api_key`` the project's publishable (or "anon") key, which is sent with every
    request, calls included. Refresh tokens rotate; a spent one stays valid for ten seconds. A logout ends the session,
    if the access token is still good. Servers from before March 2024 have no error codes, and answer every refusal
    with ``invalid_grant``.
    """

    login_path = "auth/v1/token"
    refresh_path = ""
    login_query = {"grant_type": "password"}
    refresh_query = {"grant_type": "refresh_token"}
    revoke_path = "./logout?scope=local"  # internal/api/logout.go; without a scope it ends all of the user's sessions
    revoke_headers = {"Authorization": "Bearer {access}"}
    login_fields = {"email": "{username}", "password": "{password}"}
    headers = {"apikey": "{api_key}"}
    api_headers = {"Authorization": "Bearer {access}", "apikey": "{api_key}"}
    access_paths = ("access_token",)
    refresh_paths = ("refresh_token",)
    message_paths = ("msg", "error_description", "message", "error")
    _requires = ("api_key",)
    rules = (
        # In answer to a call the codes alone may be about somebody who logs in, or whom an administrator asks for.
        *_coded(Verdict.LOCKED, ("login", "refresh"), r"^user_banned$"),
        *_coded(Verdict.LOCKED, ("refresh",), r"^user_not_found$"),
        Rule(Verdict.LOCKED, ("api",), (403,), json=_MESSAGES, pattern=r"^User from sub claim in JWT does not exist$"),
        *_coded(Verdict.LOCKED, ("login",), r"^(email|phone)_not_confirmed$"),
        Rule(
            Verdict.LOCKED,
            ("login", "refresh"),
            json="error_description",
            pattern=r"user (is )?banned|(email|phone) not confirmed",
        ),
        Rule(Verdict.CONFIG, ("login", "refresh"), json="msg", pattern=r"^unsupported_grant_type$"),
        *_coded(
            Verdict.REJECTED, ("login",), r"^(invalid_credentials|user_not_found|provider_email_needs_verification)$"
        ),
        *_coded(
            Verdict.REJECTED,
            ("refresh",),
            r"^(refresh_token_(not_found|already_used)|session_(not_found|expired))$",
        ),
        Rule(
            Verdict.REJECTED,
            ("refresh",),
            (400,),
            json="msg",
            pattern=r"^(Invalid Refresh Token|Refresh token is not)",
        ),
        # Another refresh of the same session is in progress, or a hook of the Supabase project timed out.
        *_coded(Verdict.TRANSIENT, ("login", "refresh"), r"^(conflict|hook_timeout\w*|over_\w+_limit)$"),
        # From the gateway; the Auth server has its message in ``msg``.
        Rule(Verdict.CONFIG, ("login", "refresh"), (401, 403), json="message", pattern=_KEY),
        # Of the token in the request's header (internal/api/auth.go).
        Rule(Verdict.EXPIRED, ("api",), (403,), json=_MESSAGES, pattern=_DEAD),
        # The call needs a login with a second factor, for example to change the password.
        *_coded(Verdict.PASS, ("api",), r"^insufficient_aal$"),
        # From the gateway, and from the Auth server until 2024: another key or role is needed, not another token.
        Rule(Verdict.PASS, ("api",), (401,), json="message", pattern=_KEY),
        Rule(Verdict.PASS, ("api",), (401,), json="msg", pattern=r"^User not allowed$"),
    )
