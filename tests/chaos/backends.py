"""Backends that log each token request when it is sent and when its answer is in the worker's hands."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jwt_upstream.backends import Backend, OAuth2Backend, Outcome
from jwt_upstream.tokens import TokenPair
from tests.chaos.logs import fingerprint
from tests.chaos.process import log


def _logged(where: str, upstream: str, spent: str, ask: Callable[[], Outcome]) -> Outcome:
    log.write("asked", where=where, upstream=upstream, spent=fingerprint(spent))
    outcome = ask()
    pair = outcome.pair or TokenPair("")
    told = {"access": fingerprint(pair.access), "refresh": fingerprint(pair.refresh), "reason": outcome.reason}
    verdict = outcome.verdict.value
    log.write("received", where=where, upstream=upstream, spent=fingerprint(spent), verdict=verdict, **told)
    return outcome


class LoggedBackend(Backend):
    """The plain backend, logged."""

    def login(self, credentials: Mapping[str, str]) -> Outcome:
        """Log in."""
        ask = super().login
        return _logged("login", self.alias, "", lambda: ask(credentials))

    def refresh(self, pair: TokenPair) -> Outcome:
        """Refresh."""
        ask = super().refresh
        return _logged("refresh", self.alias, pair.refresh, lambda: ask(pair))


class LoggedClientCredentials(OAuth2Backend):
    """Client credentials, logged."""

    grant_type = "client_credentials"

    def login(self, credentials: Mapping[str, str]) -> Outcome:
        """Log in."""
        ask = super().login
        return _logged("login", self.alias, "", lambda: ask(credentials))

    def refresh(self, pair: TokenPair) -> Outcome:
        """Repeat the grant."""
        ask = super().refresh
        return _logged("refresh", self.alias, pair.access, lambda: ask(pair))
