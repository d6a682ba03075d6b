"""The client that views use: a ``requests.Session`` for one account at one upstream, always with a good token."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.utils import timezone
from requests import PreparedRequest, Response
from requests.exceptions import InvalidHeader, UnrewindableBodyError
from requests.hooks import default_hooks, dispatch_hook
from requests.utils import resolve_proxies

from jwt_upstream import logins, memory, refresh, states, trials
from jwt_upstream.backends import Verdict
from jwt_upstream.backends.bodies import drain
from jwt_upstream.changes import Changes
from jwt_upstream.exceptions import CredentialError
from jwt_upstream.memory import Memory
from jwt_upstream.models import Credential
from jwt_upstream.origin_session import OriginSession
from jwt_upstream.sending import can_be_repeated, clean, has_left, note_start, rewind
from jwt_upstream.tokens import Secrets, TokenPair, fingerprint

_TRAVELS = ("headers", "params", "hooks", "stream", "trust_env", "max_redirects")


class UpstreamClient(OriginSession):
    """A ``requests.Session`` for one account at one configured upstream.

    Paths are joined to BASE_URL as a browser would; the token goes to that origin only. A 401 is answered by a
    refresh, once for all workers, and the same call again, once. Cheap to make, safe to share between threads.

    Calls raise CredentialError where a human must act (nothing is sent), RefreshUnavailable and
    UpstreamMisconfigured if no token is to be had, BodyNotReplayable, ForeignOrigin, and whatever requests raises. Any
    other answer of the upstream, a second 401 included, is returned. Every request has the backend's timeout unless it
    is given another one. Neither the responses nor the errors carry the token: ``response.request`` is without it.
    """

    def __init__(self, alias: str = "default", account: str = "default") -> None:
        super().__init__(alias)
        self.account = account
        self._memory: Memory | None = None

    def __reduce__(self) -> tuple[type[UpstreamClient], tuple[str, str], dict[str, Any]]:
        # What a caller set travels with the client; certificates, proxies and cookies are those of where it arrives.
        return type(self), (self.alias, self.account), {name: getattr(self, name) for name in _TRAVELS}

    def __repr__(self) -> str:
        return f"<UpstreamClient {self.alias}/{self.account}>"

    # -- tokens

    def login(self, *, by: str = "client", **credentials: str) -> None:
        """Log in with what the backend asks for, usually ``username`` and ``password``, and store the tokens.

        Raises LoginRejected, AccountLocked, UpstreamMisconfigured, RefreshUnavailable; what was stored before is kept.
        """
        credentials = Secrets(credentials)  # in place of what a traceback's local variables would show
        logins.login(self.alias, self.account, credentials, by=by)

    def adopt(self, pair: TokenPair, *, by: str = "client") -> None:
        """Store a pair which was obtained elsewhere, such as by a browser's OAuth flow."""
        logins.adopt(self.alias, self.account, pair, by=by)

    def refresh(self) -> TokenPair:
        """Get new tokens now, whatever is left of the present ones; raises as a call does."""
        return refresh.refresh(self._row())

    def logout(self, *, by: str = "client") -> None:
        """Forget the tokens; calls raise NotLoggedIn until the next login. The upstream is not told."""
        logins.log_out(self.alias, self.account, by=by)

    def _row(self) -> Credential:
        may_begin = bool(self.backend.automatic_login) and self.account == "default"
        return states.find(self.alias, self.account, begin=may_begin)

    def _recall(self, request: PreparedRequest) -> Memory | None:
        # Another host may have replaced the token since, and a 401 would lose a body that can't be sent again.
        if not can_be_repeated(request):
            return None
        known = self._memory
        if known is None or not known.is_good:
            self._memory = known = self._run(partial(memory.recall, self.alias, self.account))
        return known

    def _look(self) -> Memory:
        changes, row = Changes.count, self._run(self._row)
        return self._remember(row, refresh.current(row, run=self._run), changes)

    def _remember(self, row: Credential, pair: TokenPair, changes: int) -> Memory:
        self._memory = new = self._run(partial(memory.remember, row, pair, changes))
        return new

    def _renew(self, used: Memory) -> Memory:
        changes = Changes.count
        try:
            row = self._run(self._row)
            pair = self._run(partial(refresh.stored, row))
            if pair.access == used.pair.access and not refresh.is_left_alone(row, timezone.now()):
                pair = refresh.refresh(row, rejected=pair.access, run=self._run)
        except CredentialError:
            Changes.note()  # whoever recorded it, no client of this process goes on with what it remembers
            raise
        return self._remember(row, pair, changes)

    # -- sending

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Send with the token, follow redirects with it inside the origin only; see the class for what is raised."""
        follow = kwargs.pop("allow_redirects", True)
        note_start(request)
        kwargs = {"stream": self.stream, "verify": self.verify, "cert": self.cert, **kwargs}
        if "proxies" not in kwargs:
            kwargs["proxies"] = resolve_proxies(request, dict(self.proxies), self.trust_env)
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self.backend.timeout
        response = self._answer(request, kwargs)
        answers = [*response.history, response]
        if follow and response.is_redirect:  # asked first, since requests takes a sixtieth of a call to ask it
            for hop in self.resolve_redirects(response, request, **kwargs):
                answers += [*hop.history, hop]
        elif not follow:
            response._next = self._next(response, request, kwargs)
        answers[-1].history = answers[:-1]
        return answers[-1]

    def _next(self, response: Response, request: PreparedRequest, kwargs: dict[str, Any]) -> PreparedRequest | None:
        requests: Iterator[Any] = self.resolve_redirects(response, request, yield_requests=True, **kwargs)
        try:
            return next(requests, None)
        except UnrewindableBodyError:
            return None

    def _answer(self, request: PreparedRequest, kwargs: dict[str, Any]) -> Response:
        if has_left(request):
            response = self._wire(request, None, kwargs)
        else:
            self._check_origin(request.url or "")
            if "Authorization" in request.headers:
                raise InvalidHeader("UpstreamClient sets Authorization itself; remove yours, or call with requests")
            response = self._exchange(request, kwargs)
        history = response.history
        response = dispatch_hook("response", request.hooks, response, **kwargs)
        response.history = history
        if not kwargs["stream"]:
            response.content  # noqa: B018 -- reads it, as Session.send does
        return response

    def _exchange(self, request: PreparedRequest, kwargs: dict[str, Any]) -> Response:
        known = self._recall(request) or self._look()
        first = self._wire(request, known.pair, kwargs)
        if self._judge(first, known) is not Verdict.EXPIRED:
            return first
        trials.wait_for(fingerprint(known.pair.access))
        fresh = self._renew(known)
        if fresh.pair.access == known.pair.access:
            return first
        rewind(request, first)
        drain(first)
        with trials.of(fingerprint(fresh.pair.access)):
            second = self._wire(request, fresh.pair, kwargs)
            second.history = [first]
            if self._judge(second, fresh) is Verdict.EXPIRED:
                self._leave_alone(fresh)
        return second

    def _judge(self, response: Response, used: Memory) -> Verdict:
        verdict = self.backend.verdict("api", response)
        if verdict is not Verdict.LOCKED:
            return verdict
        reason = self.backend.reason(response, [used.pair.access, *self.backend.own_secrets])
        self._run(partial(states.lock, used.row, used.pair, reason, response))
        return Verdict.EXPIRED  # said of a token that was replaced meanwhile

    def _leave_alone(self, used: Memory) -> None:
        interval = self.backend.min_refresh_interval
        self._run(partial(states.leave_alone, used.row, used.pair, interval))

    def _wire(self, request: PreparedRequest, pair: TokenPair | None, kwargs: dict[str, Any]) -> Response:
        sent = request.copy()
        # Hooks are for the answer that the caller gets; a raise_for_status in them would end the call at the 401.
        sent.hooks = default_hooks()
        if not can_be_repeated(sent):
            sent._body_position = None  # nor does requests end the call at a redirect that nobody may want to follow
        if pair:
            self.backend.authorize(sent, pair)
        try:
            response = super().send(sent, allow_redirects=False, **{**kwargs, "stream": True})
        except BaseException as error:  # of a body that is a generator, or of a signal, too
            clean(error, request)
            raise
        response.request = request
        response._next = None  # requests made it of the request that has the token
        return response
