"""Changes of a credential, each a compare-and-swap in one short transaction."""

from __future__ import annotations

from .changes import (
    add,
    begin,
    check_lock,
    configure,
    log_in,
    log_out,
    mark,
    mark_unreadable,
    note_readable,
    rebind,
    release_lease,
    restore,
    settle_failure,
    settle_pair,
    settle_refusal,
    suppress_refresh,
    take_lease,
)

__all__ = [
    "add",
    "begin",
    "check_lock",
    "configure",
    "log_in",
    "log_out",
    "mark",
    "mark_unreadable",
    "note_readable",
    "rebind",
    "release_lease",
    "restore",
    "settle_failure",
    "settle_pair",
    "settle_refusal",
    "suppress_refresh",
    "take_lease",
]
