"""Signals for every transition of a credential or upstream, sent after the commit.

Those of a credential have the sender ``Credential`` and the arguments ``credential`` (a ``Credential``) and ``event``
(an ``Event``, whose ``incident`` is set if admins are to be told that this event opened or closed it). Those of an
upstream have the sender ``Incident`` and the argument ``incident`` (an ``Incident``); they are sent once per incident
of an upstream, not per credential.

Receivers run in the thread that refreshed, while callers wait: pass long work to a task queue. An exception in one
receiver keeps no other from being called.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = [
    "credential_configured",
    "credential_locked",
    "credential_logged_in",
    "credential_logged_out",
    "credential_rebound",
    "credential_refreshed",
    "credential_rejected",
    "credential_restored",
    "credential_unreadable",
    "refresh_failed",
    "refresh_interrupted",
    "upstream_down",
    "upstream_misconfigured",
    "upstream_recovered",
]

#: Somebody logged in, or LOGIN did, or a pair from elsewhere was adopted.
credential_logged_in = Signal()
#: The tokens were deleted here; whether the upstream was told is in the log.
credential_logged_out = Signal()
#: A refresh brought a new pair.
credential_refreshed = Signal()
#: The upstream refused the refresh token: a person has to log in.
credential_rejected = Signal()
#: The upstream said that the account is locked.
credential_locked = Signal()
#: No key has decrypted the tokens for JWT_UPSTREAM_OUTAGE_SECONDS.
credential_unreadable = Signal()
#: The credential is used again without a login: by "Try again", a pair stored by other means, or a restored key.
credential_restored = Signal()
#: A worker died or hung while it held the lease; the outcome of its refresh is unknown.
refresh_interrupted = Signal()
#: A person confirmed that the tokens are for what settings name now.
credential_rebound = Signal()
#: An account was registered, or its parameters or secrets were changed; the event's reason says which.
credential_configured = Signal()
#: A refresh failed in a way that says nothing about the credential; it will be attempted again.
refresh_failed = Signal()

#: No refresh at this upstream has worked for JWT_UPSTREAM_OUTAGE_SECONDS.
upstream_down = Signal()
#: The upstream refuses our requests for tokens, or settings don't allow what its accounts have of their own.
upstream_misconfigured = Signal()
#: A refresh or login worked again after one of these two.
upstream_recovered = Signal()
