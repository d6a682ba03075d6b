"""The token source: what a call needs to know of tokens, whatever library sends it."""

from __future__ import annotations

from functools import partial

from requests import Response

from jwt_upstream.backends import Backend
from jwt_upstream.exceptions import CredentialError
from jwt_upstream.models import Credential
from jwt_upstream.store import connections
from jwt_upstream.tokens import TokenPair

from . import leader, protocol, states
from .token_cache import Token, token_cache


class TokenSource:
    """Hands out the tokens of one account at one upstream; knows no transport and sends no calls.

    Everything that touches the database is done by ``run``, in whatever thread the caller's connection belongs to.
    Safe to share between threads.
    """

    def __init__(self, account: str, run: connections.Run = connections.directly) -> None:
        self.account = account
        self._run = run
        self._last: Token | None = None

    def current(self, backend: Backend, *, from_cache: bool = True) -> Token:
        """Return a token to call with, refreshed if its expiry is near.

        ``from_cache=False`` reads the row: another host may have replaced the token since, and a 401 would lose a
        body that can't be sent again. Raises what ``protocol.current`` raises.
        """
        token = self._cached(backend) if from_cache else None
        return token or self._read(backend)

    def renew(self, used: Token) -> Token:
        """Return the token to call with after one was refused: a refreshed one, if nobody has replaced it already.

        It is the same one while refreshes are suppressed. Raises what ``protocol.refresh`` raises.
        """
        version = token_cache().version
        try:
            row, pair = self._run(partial(self._stored, used.backend))
            if pair.access == used.pair.access and not leader.is_suppressed(row, used.backend):
                pair = protocol.refresh(row, rejected=pair.access, backend=used.backend, run=self._run)
        except CredentialError:
            token_cache().invalidate()  # whoever recorded it, no client of this process goes on with a cached token
            raise
        return self._keep(used.backend, row, pair, version)

    def lock(self, used: Token, response: Response) -> CredentialError | None:
        """Record that an answer said the account is locked; return the error to raise, None if it is out of date."""
        token_cache().invalidate()
        reason = used.backend.reason(response, [used.pair.access, *used.backend.own_secrets])
        return self._run(partial(states.lock, used.row, used.pair, reason, response))

    def suppress(self, fresh: Token) -> None:
        """Note that a fresh token did not help, so that for ``min_refresh_interval`` no 401 has it replaced."""
        interval = fresh.backend.min_refresh_interval
        self._run(partial(states.suppress_refresh, fresh.row, fresh.pair, interval))

    def row(self, backend: Backend) -> Credential:
        """Return the account's row; where an automatic login is configured, the default account's is created."""
        may_begin = bool(backend.automatic_login) and self.account == "default"
        return states.find(backend.alias, self.account, begin=may_begin)

    def _cached(self, backend: Backend) -> Token | None:
        token = self._last
        # With a schema for each tenant the connection may look at another one by now; the cache knows.
        if token is None or not token.is_good or token.has_schema:
            self._last = token = self._run(partial(token_cache().find, backend.alias, self.account))
        if token is None or token.backend is backend:
            return token
        return token._replace(backend=backend)  # settings have changed since it was cached

    def _stored(self, backend: Backend) -> tuple[Credential, TokenPair]:
        row = self.row(backend)
        return row, leader.stored(row, backend)

    def _read(self, backend: Backend) -> Token:
        version = token_cache().version
        row = self._run(partial(self.row, backend))
        return self._keep(backend, row, protocol.current(row, backend=backend, run=self._run), version)

    def _keep(self, backend: Backend, row: Credential, pair: TokenPair, version: object) -> Token:
        self._last = token = self._run(partial(token_cache().add, backend, row, pair, version))
        return token
