"""What becomes of the transaction of a request whose error is answered inside of it."""

from __future__ import annotations

from django.db import connections


def roll_back() -> None:
    """Have Django roll back what the view wrote: with ATOMIC_REQUESTS it commits whenever a view returns.

    Not for a middleware, which is called when that transaction is over; one that is open then is not the request's.
    """
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            connection.set_rollback(True)
