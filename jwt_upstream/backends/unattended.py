"""Upstreams whose login needs nothing but settings, so that no account of theirs needs a person."""

from __future__ import annotations

from requests import Response

from jwt_upstream import recorded
from jwt_upstream.tokens import TokenPair

from .core import Explanation, Requests, Responses, Verdict, Where
from .secrets import names_client

_NO_TOKENS = TokenPair("")


class Unattended(Requests, Responses):
    """Tells such an upstream from others, and reads what it refuses."""

    @property
    def is_unattended(self) -> bool:
        """Tell whether a login needs nothing but settings, so that a refresh can repeat it and nobody is needed."""
        return not self.login_asks and self.can_refresh(_NO_TOKENS)

    def explain(self, where: Where, response: Response) -> Explanation:
        """Return the verdict with the rule or default that gave it.

        Where a login needs nothing but settings, it is these that a refusal is about, and no credential is given up;
        but where an account has secrets of its own, it is about these, and no other account's, unless all accounts
        have the client's secret in common.
        """
        found = super().explain(where, response)
        if where != "api" and self.own_account_secrets:
            is_clients = found.verdict is Verdict.CONFIG and names_client(response) and not self._shares_client
            source = recorded.OF_OWN_CLIENT % {"source": found.source}
            return Explanation(Verdict.REJECTED, None, source) if is_clients else found
        if where == "api" or found.verdict is not Verdict.REJECTED or not self.is_unattended:
            return found
        return Explanation(Verdict.CONFIG, None, recorded.OF_SETTINGS % {"source": found.source})

    @property
    def _shares_client(self) -> bool:
        """Whether the client authenticates by a secret that is no account's own."""
        secrets = {self.client_secret, getattr(self, "signing_key", "")} - {""}
        return bool(secrets) and secrets.isdisjoint(self.own_account_secrets.values())
