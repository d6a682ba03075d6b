"""What can go wrong; all but the last are a ``requests.RequestException`` too, so existing ``except`` clauses work.

The tree::

    UpstreamError
    ├── CredentialError             a human must act; .credential, .since, .reason
    │   ├── NotLoggedIn             no token yet, or logged out
    │   ├── CredentialRejected      refresh token refused
    │   ├── AccountLocked           upstream says locked, disabled, suspended
    │   └── CredentialUnreadable    stored secret can't be decrypted with any key
    ├── LoginRejected               wrong username or password (login only)
    ├── RefreshUnavailable          try later; .retry_after, .since, .reason
    │   ├── RefreshBusy             another worker is refreshing and took too long
    │   └── RefreshBlocked          the caller's own transaction holds the row; nothing was spent
    ├── UpstreamMisconfigured       invalid_client, 404 on the refresh path: our settings, not the credential
    ├── BodyNotReplayable           token refreshed, but this body can't be sent twice; .response
    └── ForeignOrigin               refused to send this token to another host
    UpstreamNotConfigured(ImproperlyConfigured)     unknown alias, bad settings
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from requests import RequestException, Response

__all__ = [
    "AccountLocked",
    "BodyNotReplayable",
    "CredentialError",
    "CredentialRejected",
    "CredentialUnreadable",
    "ForeignOrigin",
    "LoginRejected",
    "NotLoggedIn",
    "RefreshBlocked",
    "RefreshBusy",
    "RefreshUnavailable",
    "UpstreamError",
    "UpstreamMisconfigured",
    "UpstreamNotConfigured",
]


class UpstreamError(RequestException):
    """Anything that kept a call from being made as its caller meant it.

    ``credential`` is the row concerned (or None), ``since`` when it came to this, ``reason`` what the upstream said.
    None of them holds a readable token, so the error may be logged and pickled.
    """

    def __init__(
        self,
        message: str,
        *,
        credential: Any = None,
        since: datetime | None = None,
        reason: str = "",
        retry_after: float | None = None,
        response: Response | None = None,
    ) -> None:
        super().__init__(message, response=response)
        self.credential = credential
        self.since = since
        self.reason = reason
        self.retry_after = retry_after


class CredentialError(UpstreamError):
    """A human must act before this credential works again; calls fail at once, without touching the network."""


class NotLoggedIn(CredentialError):
    """There is no token yet, or the credential was logged out on purpose."""


class CredentialRejected(CredentialError):
    """The upstream refused the refresh token: log in again."""


class AccountLocked(CredentialError):
    """The upstream says that the account is locked, disabled or suspended; ``response``: its answer, if just seen."""


class CredentialUnreadable(CredentialError):
    """The stored tokens can't be decrypted with any configured key: restore the key or log in again."""


class LoginRejected(UpstreamError):
    """The upstream refused the username or password; what was stored before is kept."""


class RefreshUnavailable(UpstreamError):
    """No fresh token to be had just now; try again after ``retry_after`` seconds."""


class RefreshBusy(RefreshUnavailable):
    """A refresh by another worker took longer than callers wait; nothing failed and nothing was recorded."""


class RefreshBlocked(RefreshUnavailable):
    """A transaction of the caller's own process keeps the refresh from being recorded, so no token was spent."""


class UpstreamMisconfigured(UpstreamError):
    """The upstream refused the way we ask (client secret, path, TLS), not the credential, which stays as it is."""


class BodyNotReplayable(UpstreamError):
    """The token is fresh now, but this body can't be sent a second time; ``response`` is the first answer."""


class ForeignOrigin(UpstreamError):
    """The URL leads away from the configured origin, so nothing was sent."""


class UpstreamNotConfigured(ImproperlyConfigured):
    """No such alias in JWT_UPSTREAM, or its settings are wrong.

    Not an UpstreamError: this is a bug of the deployment, which code that shrugs off network trouble must not hide.
    """
