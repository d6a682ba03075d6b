"""simplejwt's authentication, with access tokens that can end before their time."""

from __future__ import annotations

from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.tokens import Token

from .switchboard import switchboard


class RevocableAuthentication(JWTAuthentication):
    """Refuses a revoked access token in simplejwt's own words for an expired one."""

    def get_validated_token(self, raw_token: bytes) -> Token:
        """Return the token as simplejwt reads it; raises InvalidToken for an expired or revoked one."""
        token = super().get_validated_token(raw_token)
        if switchboard.is_revoked(token["jti"]):
            raise InvalidToken({"detail": "Given token not valid for any token type", "messages": []})
        return token
