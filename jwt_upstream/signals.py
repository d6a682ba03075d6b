"""Signals for every transition of a credential or upstream, sent after the commit.

Receivers run in the thread that refreshed, while callers wait: pass long work to a task queue. An exception in one
receiver keeps no other from being called.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = [
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

# Sender: Credential. Arguments: credential (jwt_upstream.models.Credential), event (jwt_upstream.models.Event), whose
# ``incident`` is set if admins are to be told that this event opened or closed it.
credential_logged_in = Signal()
credential_logged_out = Signal()
credential_refreshed = Signal()
credential_rejected = Signal()
credential_locked = Signal()
credential_unreadable = Signal()
#: The credential is used again without a login: by "Try again", a pair stored by other means, or a restored key.
credential_restored = Signal()
#: A worker died or hung while it held the lease; the outcome of its refresh is unknown.
refresh_interrupted = Signal()
#: A person confirmed that the tokens are for what settings name now.
credential_rebound = Signal()
#: A refresh failed in a way that says nothing about the credential; it will be attempted again.
refresh_failed = Signal()

# Sender: Incident. Argument: incident (jwt_upstream.models.Incident). Sent once per upstream, not per credential.
upstream_down = Signal()
upstream_misconfigured = Signal()
upstream_recovered = Signal()
