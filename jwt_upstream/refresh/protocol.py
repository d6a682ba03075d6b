"""The refresh protocol: look, lease, call, settle; once for all threads, processes and hosts."""

from __future__ import annotations

from copy import copy
from datetime import datetime
from functools import partial

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.measurements import measured_wait
from jwt_upstream.models import Credential
from jwt_upstream.store import connections, queries
from jwt_upstream.tokens import TokenPair, fingerprint
from jwt_upstream.tracebacks import without_variables

from .call import is_renewable
from .leader import Leader, busy, is_backing_off, is_being_refreshed, is_suppressed, stored, watch_transaction
from .single_flight import Flight, single_flight
from .states import reread

#: Callers wait a little longer than the leader does, whose error says more.
_SLACK_SECONDS = 0.5


def current(
    credential: Credential, *, backend: Backend | None = None, run: connections.Run = connections.directly
) -> TokenPair:
    """Return the pair to call with: the stored one, or a new one if its expiry is near.

    While refreshing fails, callers get a token that still works. Raises CredentialError without touching the network,
    and whatever ``refresh`` raises once the stored token has expired. For ``backend`` and ``run`` see ``refresh``.
    """
    backend = backend or get_backend(credential.upstream, credential)
    pair, now = run(partial(stored, credential, backend)), credential.now()
    has_expired = not pair.access or credential.has_expired(now)
    is_due = has_expired or credential.is_due(now, backend.refresh_leeway)
    if not is_due or (not has_expired and _should_not_wait(credential, pair, backend, now)):
        return pair
    try:
        return refresh(credential, rejected=pair.access, backend=backend, run=run)
    except UpstreamError:
        if has_expired or credential.has_expired(credential.now()):
            raise
        return run(lambda: stored(reread(credential), backend))


def _should_not_wait(credential: Credential, pair: TokenPair, backend: Backend, now: datetime) -> bool:
    # Nobody waits for a better token while theirs works and another worker is refreshing, or refreshing has just
    # failed, or it can't be done.
    return (
        is_being_refreshed(credential)
        or is_suppressed(credential, backend)
        or is_backing_off(credential, backend)
        or not is_renewable(backend, credential)
        or single_flight().is_under_way(_key(credential, fingerprint(pair.access)), queries.database())
    )


def _key(credential: Credential, rejected: str | None) -> tuple[int, str | int]:
    return credential.pk, credential.generation if rejected is None else rejected


@without_variables
def refresh(
    credential: Credential,
    *,
    rejected: str | None = None,
    backend: Backend | None = None,
    run: connections.Run = connections.directly,
) -> TokenPair:
    """Return a pair whose access token is not ``rejected``, refreshing once for all threads, processes and hosts.

    If the row has moved on (another access token; without ``rejected``, another generation than the instance's), the
    stored pair is returned and nothing is sent; likewise while refreshes after a 401 are suppressed, since a fresh
    token did not help.

    Raises CredentialError where a human must act, UpstreamMisconfigured, RefreshUnavailable to try later; RefreshBusy
    after JWT_UPSTREAM_WAIT_SECONDS; RefreshBlocked, with nothing spent, if the caller's own transaction is in the way.
    ``backend`` is the upstream's configured one by default. ``run`` calls what must see the caller's connection, which
    async code has in another thread than the one that waits here.
    """
    # From here on by its fingerprint: a traceback's local variables must not show it.
    rejected = None if rejected is None else fingerprint(rejected)
    backend, using = backend or get_backend(credential.upstream, credential), queries.database()

    def lead(flight: Flight) -> TokenPair:
        return Leader(credential, rejected, backend, using, flight).run()

    place = run(lambda: single_flight().share(_key(credential, rejected), using, lead))
    if place.future is place.flight.in_transaction and not place.leads:
        connections.in_own_thread(using, partial(watch_transaction, credential, using, place.flight))
    with measured_wait(credential):
        try:
            pair: TokenPair = place.future.result(conf.wait_seconds + _SLACK_SECONDS)
        except TimeoutError:
            raise busy(credential) from None
        except UpstreamError as error:
            # Each waiter raises one of its own: a shared instance would grow a traceback of all threads' frames.
            raise copy(error) from None
    return pair
