"""Supabase: its Auth server (GoTrue), and the gateway and APIs around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .base import Backend
from .core import REFUSALS, Rule, Verdict, Where

_KEY = r"\bAPI keys?\b|^Invalid authentication credentials$"


def _coded(verdict: Verdict, where: Sequence[Where], pattern: str) -> Iterator[Rule]:
    status = REFUSALS if "api" in where else ()
    # In API version 2024-01-01, which one may ask for by a header, the body has it elsewhere.
    yield Rule(verdict, where, status, json="error_code", pattern=pattern)
    yield Rule(verdict, where, status, header="x-sb-error-code", pattern=pattern)


class SupabaseBackend(Backend):
    """Supabase; checked against the source of supabase/auth 2.196.0, and as it was in 2022 and 2024.

    ``username`` is an e-mail address, ``api_key`` the project's publishable (or "anon") key, which every request
    carries, calls included. Refresh tokens rotate; a spent one is good for another ten seconds. Servers from before
    March 2024 have no error codes and say ``invalid_grant`` of everything.
    """

    login_path = "auth/v1/token"
    refresh_path = ""
    login_query = {"grant_type": "password"}
    refresh_query = {"grant_type": "refresh_token"}
    login_fields = {"email": "{username}", "password": "{password}"}
    headers = {"apikey": "{api_key}"}
    api_headers = {"Authorization": "Bearer {access}", "apikey": "{api_key}"}
    access_paths = ("access_token",)
    refresh_paths = ("refresh_token",)
    message_paths = ("msg", "error_description", "message", "error")
    _requires = ("api_key",)
    rules = (
        *_coded(Verdict.LOCKED, ("api", "login", "refresh"), r"^user_banned$"),
        *_coded(Verdict.LOCKED, ("api", "refresh"), r"^user_not_found$"),
        *_coded(Verdict.LOCKED, ("login",), r"^((email|phone)_not_confirmed|provider_email_needs_verification)$"),
        Rule(
            Verdict.LOCKED,
            ("login", "refresh"),
            json="error_description",
            pattern=r"user (is )?banned|(email|phone) not confirmed",
        ),
        Rule(Verdict.CONFIG, ("login", "refresh"), json="msg", pattern=r"^unsupported_grant_type$"),
        *_coded(Verdict.REJECTED, ("login",), r"^invalid_credentials$"),
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
        # Another refresh of the same session is under way; a hook of the project's own is slow.
        *_coded(Verdict.TRANSIENT, ("login", "refresh"), r"^(conflict|hook_timeout\w*|over_\w+_limit)$"),
        # The gateway's; the Auth server has its text in ``msg``.
        Rule(Verdict.CONFIG, ("login", "refresh"), (401, 403), json="message", pattern=_KEY),
        *_coded(Verdict.EXPIRED, ("api",), r"^(bad_jwt|session_(not_found|expired))$"),
        # Of a user with a second factor, for a change of password.
        *_coded(Verdict.PASS, ("api",), r"^insufficient_aal$"),
        # The gateway's, and the Auth server's until 2024: another key or role is wanted, not another token.
        Rule(Verdict.PASS, ("api",), (401,), json="message", pattern=_KEY),
        Rule(Verdict.PASS, ("api",), (401,), json="msg", pattern=r"^User not allowed$"),
        # Storage.
        Rule(
            Verdict.EXPIRED, ("api",), (400, 403), json="message", pattern=r"^(jwt expired|\"exp\" claim|invalid jwt)"
        ),
    )
