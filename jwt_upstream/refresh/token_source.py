"""The token source: what a call needs to know of tokens, whatever library sends it."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from functools import partial

from requests import Response

from jwt_upstream.accounts import AccountValues, read_values_by
from jwt_upstream.backends import Backend
from jwt_upstream.binding import changes
from jwt_upstream.exceptions import CredentialError, NotLoggedIn, RefreshUnavailable
from jwt_upstream.models import Credential
from jwt_upstream.store import connections, outbox, queries
from jwt_upstream.tokens import TokenPair

from . import leader, protocol, states
from .call import may_replace
from .record import log_unrecorded
from .token_cache import Token, Validity, register, token_cache


class TokenSource:
    """Hands out the tokens of one account at one upstream; knows no transport and sends no calls.

    Everything that touches the database is done by ``run``, in whatever thread the caller's connection belongs to.
    Safe to share between threads. The backend that it is asked with may be one of no account: what the account has of
    its own is read with its tokens, and the backend of a token has it.
    """

    def __init__(self, account: str, run: connections.Run = connections.directly) -> None:
        self.account = account
        self._run = run
        self._last: Token | None = None
        register(self, account)

    def current(self, backend: Backend, *, from_cache: bool = True) -> Token:
        """Return a token to call with, refreshed if its expiry is near.

        ``from_cache=False`` reads the row: another host may have replaced the token since, and a 401 would lose a
        body that can't be sent again. Raises what ``protocol.current`` raises.
        """
        token = self._cached(backend) if from_cache else None
        return token or self._read(backend)

    def known(self, backend: Backend) -> Token | None:
        """Return a token to call with that needs no look at the row, nor at any connection; None if there is none.

        Also for code on an event loop, whose thread has none of the connections that matter.
        """
        token = self._last
        if token is None or not token.is_good or not _fits(token, backend):
            token = token_cache().find_anywhere(backend.alias, self.account)
        if token is None or not _fits(token, backend) or token.has_schema:
            return None
        self._remember(token)
        return token

    def identity(self, backend: Backend) -> Hashable | None:
        """Return what calls that have the same tokens have in common; None where only a connection knows that."""
        using = queries.database()
        return None if connections.has_schemas(using) else (using, backend, self.account)

    def renew(self, used: Token) -> Token:
        """Return the token to call with after one was refused: a refreshed one, if nobody has replaced it already.

        It is the same one while refreshes are suppressed. Raises what ``protocol.refresh`` raises.
        """
        validity = token_cache().validity(used.scope, used.row.upstream, used.row.account)
        try:
            backend, row, pair = self._run(partial(self._stored, used.backend))
            is_refused = pair.access == used.pair.access and not leader.is_suppressed(row, backend)
            if is_refused or not pair.access:
                pair = protocol.refresh(row, rejected=pair.access, backend=backend, run=self._run)
        except CredentialError:
            self._invalidate(used)  # whoever recorded it, no client of this process goes on with a cached token
            raise
        return self._keep(backend, row, pair, validity)

    def replace(self, backend: Backend, refused: str) -> Token:
        """Return the token to use in place of an access token that was handed out, and that the upstream refused.

        One that had been obtained less than ``min_refresh_interval`` before is replaced once in that time, lest a
        program that connects again and again hammers the token endpoint. Raises what ``renew`` raises.
        """
        used = self._read(backend)
        if used.pair.access != refused:
            return used
        age = used.row.now() - (used.row.obtained_at or used.row.now())
        fresh = self.renew(used)
        if fresh.pair.access != refused and age.total_seconds() < backend.min_refresh_interval:
            self.suppress(fresh)
        return fresh

    def lock(self, used: Token, response: Response) -> CredentialError | None:
        """Record that an answer said the account is locked; return the error to raise, None if it is out of date.

        It is the same error while the database is away; the next call that gets such an answer records it.
        """
        self._invalidate(used)
        reason = used.backend.reason(response, [used.pair.access, *used.backend.own_secrets])
        try:
            return self._run(partial(states.lock, used.row, used.pair, reason, response))
        except RefreshUnavailable as error:
            log_unrecorded(error)
            return states.locked(used.row, reason, response)

    def suppress(self, fresh: Token) -> None:
        """Note that a fresh token did not help, so that for ``min_refresh_interval`` no 401 has it replaced.

        Raises nothing if it can't be noted, nor if the token is gone meanwhile: the caller has an answer.
        """
        interval = fresh.backend.min_refresh_interval
        try:
            self._run(partial(states.suppress_refresh, fresh.row, fresh.pair, interval))
        except RefreshUnavailable as error:
            log_unrecorded(error)
        except CredentialError:
            self._invalidate(fresh)  # the next call finds out by itself

    def row(self, backend: Backend) -> Credential:
        """Return the account's row; the default account's is created if it logs in by itself."""
        may_begin = backend.logs_in_by_itself and self.account == "default"
        outbox.passed.send_robust(TokenSource, is_written=False)
        return states.find(backend.alias, self.account, begin=may_begin)

    def whose(self, alias: str) -> str:
        """Return what tells the account at an upstream from every other one: its database, schema, alias and name."""
        return repr((self._run(partial(connections.scope, queries.database())), alias, self.account))

    def forget(self) -> None:
        """Keep the token of the last call no longer if the account has changed; whoever uses it just now goes on."""
        token = self._last
        if token is not None and not token.validity.holds:
            self._last = None

    def _remember(self, token: Token | None) -> None:
        if token is not self._last:
            self._last = token
            self.forget()  # by now the account may have changed

    def _cached(self, backend: Backend) -> Token | None:
        token = self._last
        # With a schema for each tenant the connection may look at another one by now; the cache knows.
        if token is None or not token.is_good or token.has_schema:
            self._remember(token := self._run(partial(token_cache().find, backend.alias, self.account)))
        if token is None or token.backend is backend or token.backend.template is backend:
            return token
        if backend.is_of_no_account:
            return None
        # Settings have changed since it was cached: the row says whether it may still be used.
        return None if changes(token.backend.binding, backend.binding) else token._replace(backend=backend)

    def _stored(self, backend: Backend) -> tuple[Backend, Credential, TokenPair]:
        row = self.row(backend)
        own = states.own_backend(backend, row)
        return own, row, leader.stored(row, own)

    def _row(self, backend: Backend) -> tuple[Validity, Backend, Credential]:
        scope = connections.scope(queries.database())
        validity, row = token_cache().validity(scope, backend.alias, self.account), self.row(backend)
        return validity, states.own_backend(backend, row), row

    def _read(self, backend: Backend) -> Token:
        validity, backend, row = self._run(partial(self._row, backend))
        if token := self._own(backend, row):
            return token
        return self._keep(backend, row, protocol.current(row, backend=backend, run=self._run), validity)

    def _own(self, backend: Backend, row: Credential) -> Token | None:
        """Return the token of this process's settings, where workers with others have logged in for theirs meanwhile.

        While both are in use, as during a deployment, nobody logs in again as long as his own token is good.
        """
        if row.needs_human or not states.changed_settings(row, backend) or not may_replace(backend, row):
            return None
        token = self._run(partial(token_cache().last, backend.alias, self.account))
        if token is None or changes(token.backend.binding, backend.binding):
            return None
        is_good = self._run(partial(states.outlasts, row, token.row, token.pair.access_expires_at))
        return token._replace(backend=backend) if is_good else None

    def _keep(self, backend: Backend, row: Credential, pair: TokenPair, validity: Validity) -> Token:
        self._remember(token := self._run(partial(token_cache().add, backend, row, pair, validity)))
        return token

    def _invalidate(self, used: Token) -> None:
        token_cache().invalidate(used.scope, used.row.upstream, used.row.account)


def _fits(token: Token, backend: Backend) -> bool:
    """Tell whether a token was read with these settings, an account's own or those that all accounts share."""
    return token.backend is backend or token.backend.template is backend


def _stored_account(alias: str, account: str) -> Credential | AccountValues:
    """Return the row that says what an account has of its own, as it was read a moment ago for a call, or as it is."""
    if token := token_cache().find(alias, account):
        return token.row
    with suppress(NotLoggedIn):
        return states.find(alias, account)
    return AccountValues(account)


read_values_by(_stored_account)
