"""Amazon Cognito: user pools, and API Gateway in front of APIs that accept their tokens."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from jwt_upstream.tokens import TokenPair, claims

from .base import Backend
from .core import TOKEN_REQUESTS, Rule, Verdict

_LOCKED = r"^User is (disabled|not enabled)|^User account has expired|must be reset by an administrator"
_BUSY = (
    r"\b(TooManyRequests|LimitExceeded|Throttling|TooManyFailedAttempts|ServiceUnavailable|InternalError|InternalServer"
    r"|UnexpectedLambda|InvalidLambdaResponse)(Exception)?$"
)


class CognitoBackend(Backend):
    """Cognito user pools by ``InitiateAuth``; checked against botocore 1.44.8 and a running moto 5.2.5 (2016-04-18).

    A client with a secret signs the username of each login and refresh (``SECRET_HASH``); a refresh uses the name in
    the stored access token, which may differ from the one given at the login. ``BASE_URL`` is the API that accepts the
    tokens. Every refusal, throttling included, is a 400 that names its kind in ``__type``. Use ``OAuth2Backend`` for
    the pool's own ``/oauth2/token``.
    """

    region: str = ""
    login_path = "https://cognito-idp.{region}.amazonaws.com/"
    refresh_path = ""
    login_fields = {
        "AuthFlow": "USER_PASSWORD_AUTH",
        "ClientId": "{client_id}",
        "AuthParameters": {"USERNAME": "{username}", "PASSWORD": "{password}"},
    }
    refresh_fields = {
        "AuthFlow": "REFRESH_TOKEN_AUTH",
        "ClientId": "{client_id}",
        "AuthParameters": {"REFRESH_TOKEN": "{refresh}"},
    }
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
    }
    access_paths = ("AuthenticationResult.AccessToken",)
    refresh_paths = ("AuthenticationResult.RefreshToken",)
    expires_in_paths = ("AuthenticationResult.ExpiresIn",)
    message_paths = ("message", "Message", "ChallengeName", "__type")
    _requires = ("client_id", "region")
    rules = (
        # None for calls: the pool's own API takes tokens and user names in the body, so its answers are about those.
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, json="message", pattern=_LOCKED),
        Rule(
            Verdict.LOCKED,
            TOKEN_REQUESTS,
            json="__type",
            pattern=r"\b(UserNotConfirmed|PasswordResetRequired)Exception$",
        ),
        Rule(Verdict.LOCKED, ("refresh",), json="__type", pattern=r"\bUserNotFoundException$"),
        # A 200 without tokens: the login has another step, which takes a person.
        Rule(
            Verdict.REJECTED,
            ("login",),
            (200,),
            json="ChallengeName",
            pattern=r"MFA|OTP|AUTH|PASSWORD|CHALLENGE",
        ),
        Rule(Verdict.TRANSIENT, ("login", "refresh"), json="__type", pattern=_BUSY),
        Rule(Verdict.TRANSIENT, ("login", "refresh"), json="message", pattern=r"^Password attempts exceeded"),
        Rule(
            Verdict.REJECTED,
            ("login",),
            json="message",
            pattern=r"^(Incorrect username or password|User does not exist)",
        ),
        Rule(Verdict.REJECTED, ("login",), json="__type", pattern=r"\bUserNotFoundException$"),
        Rule(
            Verdict.REJECTED,
            ("refresh",),
            json="message",
            pattern=r"^(Invalid Refresh Token|Refresh Token (has|is) (been )?(expired|revoked|invalid))",
        ),
        Rule(Verdict.REJECTED, ("refresh",), json="__type", pattern=r"\bRefreshTokenReuseException$"),
        # From a firewall, or from an AWS service that requires a signature: the URL is wrong.
        Rule(Verdict.CONFIG, ("login", "refresh"), (401, 403), json="__type"),
    )

    def login_body(self, credentials: Mapping[str, str]) -> dict[str, Any]:
        """Return the fields of a login, signed if the client has a secret."""
        return self._signed(super().login_body(credentials), credentials.get("username", ""))

    def refresh_body(self, pair: TokenPair) -> dict[str, Any]:
        """Return the fields of a refresh, signed if the client has a secret."""
        claimed = claims(pair.access)
        username = str(claimed.get("username") or claimed.get("cognito:username", ""))
        return self._signed(super().refresh_body(pair), username)

    def _signed(self, fields: dict[str, Any], username: str) -> dict[str, Any]:
        if self.client_secret and "AuthParameters" in fields:
            # See "Computing secret hash values" in the developer guide.
            digest = hmac.digest(self.client_secret.encode(), f"{username}{self.client_id}".encode(), hashlib.sha256)
            fields["AuthParameters"] = {**fields["AuthParameters"], "SECRET_HASH": b64encode(digest).decode()}
        return fields
