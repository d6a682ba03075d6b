"""Encrypts stored tokens anew, each row by one compare-and-swap; what is encrypted and its state don't change."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Q

from jwt_upstream.conf import conf
from jwt_upstream.models import SEALED, Credential

from .queries import clock

#: How long after the end of a lease and of the attempts to store an answer nobody comes back with one.
_ABANDONED = timedelta(hours=1)


def rows_after(key: int, number: int, using: str) -> list[Credential]:
    """Return the next rows after a primary key, in its order."""
    return list(Credential.objects.using(using).filter(pk__gt=key).order_by("pk")[:number])


def is_current(row: Credential) -> bool:
    """Tell whether the first key encrypts both tokens, bound to their row; raises DecryptionError."""
    tokens = [getattr(row, name) for name in SEALED]
    return all(token.key_number() == 0 and token.is_bound() for token in tokens if token)


def last_key(row: Credential) -> int | None:
    """Return the number of the last key that a row needs, 0 being the first; None if it has no tokens.

    Raises DecryptionError if a token can't be read.
    """
    tokens = [getattr(row, name) for name in SEALED]
    return max((token.key_number() for token in tokens if token and token.open()), default=None)


def reseal(row: Credential, using: str) -> bool:
    """Encrypt the tokens of a row anew; False, and nothing is changed, if it has moved on or is being refreshed.

    Not during a refresh: whoever settles it compares the ciphertext, and writes with the first key anyway. But a lease
    that has lapsed long ago is nobody's, as of an account that nothing has called since its worker was killed.
    """
    read = {name: getattr(row, name) for name in SEALED}
    renewed = {name: row.seal(name, token.open()) for name, token in read.items()}
    rows = Credential._base_manager.using(using).filter(_is_free(row, using), pk=row.pk, **read)
    return bool(rows.update(**renewed))


def _is_free(row: Credential, using: str) -> Q:
    if not row.lease:
        return Q(lease="")
    lapsed = clock(using).now() - timedelta(seconds=conf.settle_seconds) - _ABANDONED
    return Q(lease="") | Q(lease=row.lease, lease_expires_at__lt=lapsed)
