"""Ory Hydra, Ory Network, and other servers that use the library fosite."""

from __future__ import annotations

from .core import Rule, Verdict
from .oauth2 import OAuth2Backend

_CONCURRENT = r"multiple concurrent requests|\bPlease retry the request"


class OryBackend(OAuth2Backend):
    """Ory Hydra; checked against the source of fosite 0.42 and 0.49 and of Hydra 26.

    There is no password grant: a person consents in a browser; or ``grant_type`` is "client_credentials". Refresh
    tokens need the scope ``offline``.
    """

    login_path = "oauth2/token"
    revoke_path = "./revoke"  # fosite's revoke_handler.go
    device_path = "./device/auth"  # of its command "perform device-code"
    grant_type = "authorization_code"
    authorize_path = "./auth"  # Hydra's oauth2/handler.go
    rules = (
        # Of two concurrent refreshes one got the new pair.
        Rule(Verdict.TRANSIENT, ("refresh",), (400,), json="error_description", pattern=_CONCURRENT),
        Rule(Verdict.TRANSIENT, ("refresh",), (400,), json="error_hint", pattern=_CONCURRENT),  # the old format
        # A spent token, until fosite 0.48; ``invalid_grant`` since.
        Rule(Verdict.REJECTED, ("refresh",), (401,), json="error", pattern=r"^token_inactive$"),
        # The token hook of the Ory project answered 403: this user may not have a token now; nothing was spent.
        Rule(Verdict.LOCKED, ("refresh",), (403,), json="error_description", pattern=r"^The token hook target\b"),
    )
