"""APIs that take a JWT which their client has signed itself: App Store Connect, Snowflake, GitHub Apps as such."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jwt_upstream.tokens import TokenPair
from jwt_upstream.tracebacks import without_variables

from .base import Backend
from .core import Outcome, Verdict
from .signing import Unsignable


class SelfSignedBackend(Backend):
    """Signs the access tokens itself, so that a login and a refresh send nothing.

    Checked against the documentation of App Store Connect, Snowflake and GitHub as of 2026. The tokens are good for
    ``assertion_lifetime`` seconds. They hold ``iat`` and ``exp``, the ``client_id`` as ``iss``, and what
    ``assertion_claims`` adds; ``{public_key_fingerprint}`` there is what Snowflake calls RSA_PUBLIC_KEY_FP. A token is
    stored and shared like any other; a 401 has a new one made, once. With ``assertion_file`` the token is what is in
    that file.
    """

    login_fields = {}
    refresh_fields = {}
    assertion_lifetime = 600.0
    has_token_endpoint = False
    _kept_seconds = 0.0  # for each token anew, since no answer says that the key is refused
    _usual_claims = {"iss": "{client_id}"}
    _stamps = ("iat", "exp")
    _is_asserting = True

    def _check_values(self) -> Iterable[str]:
        yield from super()._check_values()
        if isinstance(self._options.get("signing_key"), list | tuple):
            yield "signing_key must be a single key, since no answer says which of several works"

    @without_variables
    def login(self, credentials: Mapping[str, str]) -> Outcome:
        """Return a new token, for which nothing is sent."""
        return self._with_secrets(lambda backend, _: backend._new_token(), self.deadline)

    @without_variables
    def refresh(self, pair: TokenPair) -> Outcome:
        """Return a new token, for which nothing is sent."""
        return self.login({})

    def _new_token(self) -> Outcome:
        problem = ", ".join(f"OPTIONS has no {name}" for name in self.missing()) or self.unready()
        if problem:
            return Outcome(Verdict.CONFIG, f"no token was made: {problem}")
        try:
            return Outcome(Verdict.OK, pair=TokenPair(self.assertion()).with_claims())
        except Unsignable as error:
            return Outcome(Verdict.CONFIG, f"no token was made: {error}")
