"""Upstreams whose login needs nothing but settings, so that no account of theirs needs a person."""

from __future__ import annotations

from requests import Response

from jwt_upstream.tokens import TokenPair

from .core import Explanation, Requests, Responses, Verdict, Where

_NO_TOKENS = TokenPair("")


class Unattended(Requests, Responses):
    """Tells such an upstream from others, and reads what it refuses."""

    @property
    def is_unattended(self) -> bool:
        """Tell whether a login needs nothing but settings, so that a refresh can repeat it and nobody is needed."""
        return not self.login_asks and self.can_refresh(_NO_TOKENS)

    def explain(self, where: Where, response: Response) -> Explanation:
        """Return the verdict with the rule or default that gave it.

        Where a login needs nothing but settings, it is these that a refusal is about, and no credential is given up.
        """
        found = super().explain(where, response)
        if where == "api" or found.verdict is not Verdict.REJECTED or not self.is_unattended:
            return found
        return Explanation(Verdict.CONFIG, None, f"a refusal of what settings hold, by {found.source}")
