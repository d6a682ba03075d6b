"""The expiries of client secrets, as OPTIONS state them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from jwt_upstream.backends import get_backend
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.store import outbox, queries


def warn_of_client_secrets(using: str) -> None:
    """Have admins told, once, of each client secret that expires soon."""
    stated = dict(client_secret_expiries())
    now = queries.clock(using).now() if stated else None
    for upstream, expires_at in stated.items():
        if now and outbox.is_soon(expires_at, now):
            outbox.warn(upstream, "", expires_at, now, using)


def client_secret_expiries() -> Iterator[tuple[str, datetime]]:
    """Yield each upstream that states the expiry of its client secret, with that expiry."""
    for alias in conf.upstreams:
        try:
            expires_at = get_backend(alias).client_secret_expiry
        except UpstreamNotConfigured:  # of which checks and calls tell
            continue
        if expires_at:
            yield alias, expires_at
