"""A login by a browser, for an account: begun with a URL to open, completed with the URL that it came back to.

Between the two the caller keeps what only it may have, encrypted: in a session, in a file. Nothing is kept here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from django.utils.translation import gettext_noop

from jwt_upstream import recorded
from jwt_upstream.backends import AuthorizationRequest, Outcome, Verdict, get_backend
from jwt_upstream.clock import host_now
from jwt_upstream.exceptions import LoginRejected, UpstreamMisconfigured
from jwt_upstream.fields import DecryptionError, Encrypted, place
from jwt_upstream.models import Credential
from jwt_upstream.names import check_name
from jwt_upstream.tokens import OwnCopy, Secrets
from jwt_upstream.tracebacks import without_variables

from .first_pair import login, refused

#: How long a person has, and how far the clock of another host may be behind.
_LIFETIME, _SKEW = timedelta(minutes=10), timedelta(minutes=1)
#: Where a sealed login opens; nothing that is stored in a row has this place.
_PLACE = place("jwt_upstream.login.BrowserLogin")


@dataclass(frozen=True)
class BrowserLogin(OwnCopy):
    """A login that was begun for an account, to be completed once and within ten minutes.

    Its repr shows no secret, and pickling raises TypeError: keep what ``seal`` returns.
    """

    upstream: str
    account: str
    request: AuthorizationRequest = field(repr=False)
    began: datetime

    def __reduce__(self) -> NoReturn:
        raise TypeError("a BrowserLogin holds secrets and can't be pickled; keep what seal() returns")

    @classmethod
    @without_variables
    def begin(cls, upstream: str, account: str = "default", redirect_uri: str = "") -> BrowserLogin:
        """Begin a login; nothing is sent or stored.

        ``redirect_uri``, the option of that name by default, must be registered at the upstream. Raises ValueError
        for an account that is not 1 to 255 printable characters, and UpstreamMisconfigured if the upstream has no
        login by a browser, or the URI is no web address.
        """
        check_name("account", account)
        try:
            request = get_backend(upstream, account).authorization_request(redirect_uri)
        except ValueError as error:  # whose text has no secret
            raise UpstreamMisconfigured(str(error), reason=str(error)) from None
        return cls(upstream, account, request, host_now())

    @property
    def url(self) -> str:
        """Where to send the person's browser."""
        return self.request.url

    @without_variables
    def seal(self) -> str:
        """Return all of it, encrypted with the first key: a text for a session or a file.

        Keep it where only whoever began the login gets at it, and forget it before ``complete`` is called.
        """
        kept = [self.upstream, self.account, self.began.timestamp(), self.request.redirect_uri]
        kept += [self.request.state, self.request.code_verifier, self.request.made_for]
        return Encrypted.seal(json.dumps(kept), _PLACE).ciphertext

    @classmethod
    @without_variables
    def unseal(cls, sealed: str) -> BrowserLogin:
        """Return the login that was sealed; raises LoginRejected for what is none, or of another key."""
        if not sealed:
            text = gettext_noop("no login was begun here, or it was completed already: begin the login again")
            raise LoginRejected(text, reason=text)
        try:
            kept = json.loads(Encrypted(sealed, _PLACE).open())
            upstream, account, began, redirect_uri, state, verifier, *made_for = kept
        except (DecryptionError, ValueError):
            text = gettext_noop(
                "the login can't be read, since it was begun with other encryption keys: begin the login again"
            )
            raise LoginRejected(text, reason=text) from None
        request = AuthorizationRequest("", redirect_uri, state, verifier, *made_for)
        return cls(upstream, account, request, datetime.fromtimestamp(began, UTC))

    @without_variables
    def is_answered_by(self, redirected: str) -> bool:
        """Tell whether a URL has the state of this login.

        Forget the login only then: another tab, or a page that somebody was lured to, brings other ones.
        """
        return self.request.is_answered_by(redirected)

    @without_variables
    def complete(self, redirected: str, *, by: str = "") -> Credential:
        """Log in with the URL that the browser was redirected to, and store the pair.

        ``redirected`` may be its path with the query. On any failure what was stored before is kept. Raises as
        ``UpstreamClient.login`` does: LoginRejected for a URL that isn't the answer to this login, that comes after
        ten minutes, or says that access was denied, and if settings name another server, client or scope by now;
        UpstreamMisconfigured if settings or the registration are wrong.
        """
        if not -_SKEW <= host_now() - self.began <= _LIFETIME:
            raise refused(self.upstream, self.account, Outcome(Verdict.REJECTED, recorded.LOGIN_TOO_LATE))
        backend = get_backend(self.upstream, self.account)
        answer = backend.authorization_response(self.request, redirected)
        if answer.verdict is not Verdict.OK:
            raise refused(self.upstream, self.account, Outcome(answer.verdict, answer.reason))
        given = Secrets(code=answer.code, redirect_uri=self.request.redirect_uri)
        if self.request.code_verifier:
            given = Secrets(given, code_verifier=self.request.code_verifier)
        return login(self.upstream, self.account, given, by=by, backend=backend)
