"""Firebase Authentication and Google's Identity Platform."""

from __future__ import annotations

from .base import Backend
from .core import TOKEN_REQUESTS, Rule, Verdict

_REFUSED = r"^(INVALID_LOGIN_CREDENTIALS|INVALID_PASSWORD|INVALID_EMAIL|(EMAIL|USER)_NOT_FOUND|INVALID_CUSTOM_TOKEN)\b"
_BUSY = r"^(TOO_MANY_ATTEMPTS_TRY_LATER|QUOTA_EXCEEDED|RESOURCE_EXHAUSTED)\b"
_LIMITS = r"^(rateLimitExceeded|userRateLimitExceeded|dailyLimitExceeded\w*|quotaExceeded|backendError)$"


class FirebaseBackend(Backend):
    """Firebase; checked against the emulator of firebase-tools 15.34.2, running, and the reference (REST, v1).

    ``username`` is an e-mail address, ``api_key`` the project's Web API key. Logins and refreshes are sent to two
    hosts of Google, which differ in format and field names. ``BASE_URL`` is the API that accepts the ID tokens: your
    own, Firestore or Cloud Functions. Every refusal of a user is a 400.
    """

    login_path = "https://identitytoolkit.googleapis.com/v1/accounts:signInWithPassword"
    refresh_path = "https://securetoken.googleapis.com/v1/token"
    # In the query, as in Firebase's own reference, every log of URLs would have it.
    headers = {"X-Goog-Api-Key": "{api_key}"}
    login_fields = {"email": "{username}", "password": "{password}", "returnSecureToken": True}
    refresh_fields = {"grant_type": "refresh_token", "refresh_token": "{refresh}"}
    refresh_format = "form"
    access_paths = ("idToken", "id_token")
    refresh_paths = ("refreshToken", "refresh_token")
    expires_in_paths = ("expiresIn", "expires_in")
    message_paths = ("error.message",)
    _requires = ("api_key",)
    rules = (
        # None for calls: Google's own API takes ID tokens and user ids in the body, so its answers are about those.
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, json="error.message", pattern=r"^USER_DISABLED\b"),
        Rule(Verdict.LOCKED, ("refresh",), json="error.message", pattern=r"^USER_NOT_FOUND\b"),
        Rule(Verdict.LOCKED, ("login",), json="error.message", pattern=r"^PASSWORD_DOES_NOT_MEET_REQUIREMENTS\b"),
        Rule(Verdict.TRANSIENT, ("login", "refresh"), json="error.message", pattern=_BUSY),
        Rule(Verdict.TRANSIENT, ("login", "refresh"), json="error.errors.0.reason", pattern=_LIMITS),
        Rule(Verdict.REJECTED, ("login",), json="error.message", pattern=_REFUSED),
        Rule(Verdict.REJECTED, ("login",), status=(200,), json="mfaPendingCredential", pattern=r"^[\w.~+/=-]{4,}$"),
        Rule(
            Verdict.REJECTED, ("refresh",), json="error.message", pattern=r"^(INVALID_REFRESH_TOKEN|TOKEN_EXPIRED)\b"
        ),
        # The API key is missing, or restricted to other addresses or APIs.
        Rule(Verdict.CONFIG, ("login", "refresh"), (401, 403)),
        # The Realtime Database, if its rules don't allow the request.
        Rule(Verdict.PASS, ("api",), (401,), json="error", pattern=r"^Permission denied$"),
    )
