"""The exceptions of this app; all but the last are also ``requests.RequestException``, which existing code handles.

The tree::

    UpstreamError
    ├── CredentialError             a human must act; .credential, .since, .reason
    │   ├── NotLoggedIn             no token yet, or logged out
    │   ├── CredentialRejected      the refresh token was refused
    │   ├── AccountLocked           the account is locked, disabled or suspended
    │   ├── CredentialUnreadable    no key decrypts the stored tokens
    │   └── CredentialMismatch      obtained for another origin, token endpoint, client or scope than settings name now
    ├── LoginRejected               wrong username or password, unknown user (login only)
    ├── RefreshUnavailable          try again later; .retry_after, .since, .reason
    │   ├── RefreshBusy             another worker's refresh took too long
    │   └── RefreshBlocked          the caller's own transaction holds the row; no token was spent
    ├── UpstreamMisconfigured       invalid_client, 404 on the refresh path: settings, not the credential
    │   └── AccountMisconfigured    the account's own parameters or secrets: missing, or not what settings allow
    ├── BodyNotReplayable           the token was refreshed, but the body can't be sent again; .response
    └── ForeignOrigin               the URL is on another origin; nothing was sent
    UpstreamNotConfigured(ImproperlyConfigured)     unknown alias or invalid settings
"""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import ImproperlyConfigured
from requests import RequestException, Response

from jwt_upstream.typing import StoredCredential

__all__ = [
    "AccountLocked",
    "AccountMisconfigured",
    "BodyNotReplayable",
    "CredentialError",
    "CredentialMismatch",
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
    """The base of the exceptions that calls, logins and refreshes raise.

    ``credential`` is the ``Credential`` concerned (not stored, if nobody has ever logged in) or None, ``since`` the
    time at which the problem began, ``reason`` what the upstream said, and ``retry_after`` is in seconds. None of them
    holds a readable token, so the exception may be logged and pickled.
    """

    def __init__(
        self,
        message: str,
        *,
        credential: StoredCredential | None = None,
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
    """A human must act before this credential works again; calls fail at once, and nothing is sent."""


class NotLoggedIn(CredentialError):
    """There is no token, since nobody has logged in yet or the credential was logged out.

    Log in: ``upstream_login``, the admin, or a browser login of your own views.
    """


class CredentialRejected(CredentialError):
    """The upstream refused the refresh token: it has expired, or was revoked or used twice.

    Log in again; admins are told once.
    """


class AccountLocked(CredentialError):
    """The upstream says that the account is locked, disabled or suspended; ``response`` is its answer to this call.

    Have it unlocked there, then run ``upstream_try_again`` or log in; admins are told once.
    """


class CredentialUnreadable(CredentialError):
    """No key of ``JWT_UPSTREAM_ENCRYPTION_KEYS`` decrypts the stored tokens.

    Put the key back, or log in again; admins are told once if it lasts.
    """


class CredentialMismatch(CredentialError):
    """The tokens were obtained for another origin, token endpoint, client or scope than settings name; none was sent.

    Put the settings back, confirm the move by ``upstream_rebind``, or log in; each process logs it once.

    Found by each process for itself, and stored nowhere: with the old settings the same credential works.
    """


class LoginRejected(UpstreamError):
    """The upstream refused this login, mostly for a wrong username or password; stored tokens are kept.

    Ask for them again: a view that logs in by a form should catch it.
    """


class RefreshUnavailable(UpstreamError):
    """The token can't be refreshed at the moment: the upstream or the database is away, or a pause was asked for.

    Try again after ``retry_after`` seconds; admins are told once of an outage.
    """


class RefreshBusy(RefreshUnavailable):
    """Another worker's refresh took longer than ``JWT_UPSTREAM_WAIT_SECONDS``; it has not failed.

    Try again after ``retry_after`` seconds; look why the upstream is slow if it happens often.
    """


class RefreshBlocked(RefreshUnavailable):
    """A transaction of the calling process keeps a refresh from being recorded, so no token was spent.

    Call before the transaction writes, or after it.
    """


class UpstreamMisconfigured(UpstreamError):
    """The settings are wrong (client secret, path, TLS); the credential is unchanged.

    Correct the settings, with ``upstream_probe``; admins are told once.
    """


class BodyNotReplayable(UpstreamError):
    """The token was refreshed, but the body can't be sent a second time; ``response`` is the first answer.

    Send a file or bytes in place of a generator or another stream.
    """


class ForeignOrigin(UpstreamError):
    """The URL is on another origin than ``BASE_URL``, so nothing was sent.

    Call that host with ``requests``, add it to the option ``origins``, or configure it as an upstream of its own.
    """


class UpstreamNotConfigured(ImproperlyConfigured):
    """JWT_UPSTREAM has no such alias, or its settings are invalid.

    Correct the alias, or the settings: ``manage.py check`` says what is wrong.

    Not an UpstreamError, since code that handles failures of the network must not hide a mistake in the settings.
    """


class AccountMisconfigured(UpstreamMisconfigured, UpstreamNotConfigured):
    """The account's parameters or secrets are missing, or not what ACCOUNTS in settings allows; nothing was sent.

    Set what the text names, by ``upstream_login --set`` or ``UpstreamClient.register``.
    """
