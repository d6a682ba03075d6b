"""News of every transition, sent after the commit, each receiver isolated from the others.

The receivers run in the thread which refreshed, while callers wait: hand long work to a task queue.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = [
    "credential_locked",
    "credential_logged_in",
    "credential_logged_out",
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

# Each provides: credential (jwt_upstream.models.Credential), event (jwt_upstream.models.Event); sender is Credential.
credential_logged_in = Signal()
credential_logged_out = Signal()
credential_refreshed = Signal()
credential_rejected = Signal()
credential_locked = Signal()
credential_unreadable = Signal()
#: Works again without a login: an operator's word, a token stored by other means, a key that came back.
credential_restored = Signal()
#: A worker died or hung while it held the lease; what its refresh came to is unknown.
refresh_interrupted = Signal()
#: One attempt failed for now; the credential is as good as before.
refresh_failed = Signal()

# Each provides: outage (jwt_upstream.models.Outage); sender is Outage. Once per upstream, not per credential.
upstream_down = Signal()
upstream_misconfigured = Signal()
upstream_recovered = Signal()
