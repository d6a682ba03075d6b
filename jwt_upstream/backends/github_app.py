"""GitHub: installations of a GitHub App."""

from __future__ import annotations

import json

from django.utils.functional import cached_property

from .base import Backend
from .core import TOKEN_REQUESTS, Rule, Verdict

#: The fields of a login that limit what the token is for (REST API, "Create an installation access token").
_LIMITS = ("permissions", "repositories", "repository_ids")


class GitHubAppBackend(Backend):
    """An installation of a GitHub App; checked against docs.github.com (REST API 2022-11-28, Enterprise Server 3.19).

    A JWT of the app, signed with the private key that GitHub gives out, is exchanged for a token of the installation
    ``installation_id``, which is good for an hour. ``client_id`` is the app's client ID, or its app ID.
    ``login_fields`` may limit what the token is for, such as ``{"permissions": {"issues": "read"}}``. A logout revokes
    the token. The app itself, for ``GET /app`` say, is called with ``SelfSignedBackend``.
    """

    login_path = "app/installations/{installation_id}/access_tokens"
    login_fields = {}
    refresh_repeats_login = True
    headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    login_headers = {"Authorization": "Bearer {assertion}"}
    installation_id: str = ""
    #: A minute is what GitHub recommends ("Generating a JWT for a GitHub App"); the lifetime may be 10 minutes.
    clock_skew = 60.0
    assertion_lifetime = 300.0
    access_paths = ("token",)
    expires_at_paths = ("expires_at",)
    revoke_path = "installation/token"  # REST API, "Revoke an installation access token"
    revoke_method = "DELETE"
    revoke_headers = {"Authorization": "Bearer {access}"}
    # "Rate limits for the REST API", as for GitHubBackend.
    rate_limit_headers = {"X-RateLimit-Remaining": "remaining", "X-RateLimit-Reset": "epoch"}
    _requires = ("client_id", "signing_key")
    _can_assert = True
    _usual_claims = {"iss": "{client_id}"}
    _stamps = ("iat", "exp")
    rules = (
        Rule(Verdict.TRANSIENT, TOKEN_REQUESTS, (403,), json="message", pattern=r"\brate limit\b"),
        # "This installation has been suspended": whoever installed the app has to unsuspend it.
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, (403,), json="message", pattern=r"^This installation has been suspended"),
        # The call requires the token of the app itself.
        Rule(Verdict.PASS, ("api",), (401,), json="message", pattern=r"JSON web token|\bclaim\b"),
    )

    @cached_property
    def binding(self) -> dict[str, str]:
        """What tokens are bound to, with what they are limited to."""
        limits = {name: self.login_fields.get(name) for name in _LIMITS}
        return {
            **super().binding,
            **{name: json.dumps(limit, sort_keys=True) if limit else "" for name, limit in limits.items()},
        }
