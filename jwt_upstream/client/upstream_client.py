"""The client that views use: a ``requests.Session`` for one account at one upstream, always with a good token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Self

from django.utils.asyncio import async_unsafe
from requests import PreparedRequest, Request, RequestException, Response
from requests.adapters import BaseAdapter
from requests.exceptions import UnrewindableBodyError
from requests.hooks import default_hooks, dispatch_hook
from requests.utils import resolve_proxies
from urllib3.util import Url

from jwt_upstream import login
from jwt_upstream.backends import Backend, Verdict
from jwt_upstream.backends.core import Session, conceal, drain, without_query
from jwt_upstream.login import DeviceLogin
from jwt_upstream.measurements import is_measured, measured
from jwt_upstream.names import check_name, full_name
from jwt_upstream.refresh import Token, TokenSource, refresh
from jwt_upstream.tokens import NOTHING, AccessToken, Secrets, TokenPair
from jwt_upstream.tracebacks import without_variables

from .async_threads import on_callers_connection
from .caller_headers import check_prepared, drop_token
from .first_use import first_uses
from .origin_session import OriginSession, moved
from .redirects import has_left
from .replay import can_be_repeated, note_start, rewind
from .response_cache import AccountCache, keep_apart

#: What a copy has of its own, as it is made anew where it arrives: certificates, proxies, cookies, connections.
_STAYS = {"auth", "verify", "cert", "proxies", "cookies", "adapters", "alias", "account"}
_STAYS |= {"_pid", "_tokens", "_cookie_policy"}
#: Called in place of decorating, since the decorator's frame would hold a login's password.
_refuse_in_event_loop: Callable[[], None] = async_unsafe(
    "This method of UpstreamClient waits for the network: use await client.aget(), client.apost(), client.atoken() "
    "and so on, or wrap it in sync_to_async()."
)(lambda: None)


class UpstreamClient(OriginSession):
    """A ``requests.Session`` for one account at one configured upstream.

    Paths are joined to BASE_URL as a browser would; the token goes to that origin only. A 401 is answered by a
    refresh, once for all workers, and the same call again, once. Cheap to create, safe to share between threads.

    Raises ValueError for an account that is not 1 to 255 printable characters.

    Calls raise CredentialError where a human must act (nothing is sent), RefreshUnavailable and
    UpstreamMisconfigured if no token can be obtained, BodyNotReplayable, ForeignOrigin, and whatever requests raises.
    Any other answer of the upstream, a second 401 included, is returned. Every request has the backend's timeout
    unless it is given another one. Neither the responses nor the errors carry the token: ``response.request`` is
    without it.
    """

    # Where it is imported from: pickled clients must survive that this file moves.
    __module__ = "jwt_upstream.client"

    def __init__(self, alias: str = "default", account: str = "default") -> None:
        # First, for its repr, which tools show of an error that is raised here.
        self.alias, self.account = alias, account
        check_name("account", account)
        super().__init__(alias)
        self._tokens = TokenSource(account, on_callers_connection)

    def __reduce__(self) -> tuple[Any, ...]:
        # Not by the constructor, whose arguments may be others in a subclass.
        names = vars(self) if self.__attrs__ is Session.__attrs__ else vars(self).keys() & self.__attrs__
        state = {name: vars(self)[name] for name in names if name not in _STAYS}
        return _remade, (type(self), self.alias, self.account), state

    def __repr__(self) -> str:
        return f"<UpstreamClient {full_name(self.alias, self.account)}>"

    # -- caches of answers

    @property
    def cache(self) -> Any:
        """The cache of requests-cache, if this client's class has its ``CacheMixin``."""
        if "cache" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'cache'")
        cache = vars(self)["cache"]
        return AccountCache(cache, self._whose) if hasattr(cache, "create_key") else cache

    @cache.setter
    def cache(self, cache: Any) -> None:
        vars(self)["cache"] = cache

    def mount(self, prefix: str, adapter: BaseAdapter) -> None:
        """Do as requests does; raises ValueError for an adapter that caches the answers of another account."""
        keep_apart(adapter, self._whose)
        super().mount(prefix, adapter)

    def _whose(self) -> str:
        return self._tokens.whose(self.alias)

    # -- tokens

    @classmethod
    @without_variables
    def register(
        cls,
        alias: str,
        account: str,
        *,
        parameters: Mapping[str, str] = MappingProxyType({}),
        secrets: Mapping[str, str] = NOTHING,
        by: str = "client",
    ) -> Self:
        """Store what an account has of its own, as ACCOUNTS in settings declares it, and return its client.

        Values of other names are kept; a parameter that changes keeps the stored tokens from being sent before the
        next login. Nothing is sent.

        Raises AccountMisconfigured, and stores nothing, if a value is missing or not allowed.
        """
        _refuse_in_event_loop()
        login.register(alias, account, parameters=parameters, secrets=secrets, by=by)
        return cls(alias, account)

    @without_variables
    def login(self, *, by: str = "client", **credentials: str) -> None:
        """Log in with what the backend asks for, usually ``username`` and ``password``, and store the tokens.

        Raises LoginRejected, AccountLocked, UpstreamMisconfigured, RefreshUnavailable; what was stored before is kept.
        Logs a warning if there is no refresh token, and no other way to renew what the login brought.
        """
        _refuse_in_event_loop()
        login.login(self.alias, self.account, Secrets(credentials), by=by)

    def begin_device_login(self, *, by: str = "client") -> DeviceLogin:
        """Begin a login that a person confirms in a browser anywhere (RFC 8628); show its code, then ``wait()``.

        Raises UpstreamMisconfigured without ``device_path`` in OPTIONS, or with a grant that needs no person, and
        otherwise as ``login`` does.
        """
        _refuse_in_event_loop()
        return login.begin_device_login(self.alias, self.account, by=by)

    def adopt(self, pair: TokenPair, *, by: str = "client") -> None:
        """Store a pair which was obtained elsewhere, such as by a browser's OAuth flow."""
        _refuse_in_event_loop()
        login.adopt(self.alias, self.account, pair, by=by)

    def refresh(self) -> TokenPair:
        """Get new tokens now, however long the present ones are still valid; raises as a call does."""
        _refuse_in_event_loop()
        return refresh(self._tokens.row(self.backend))

    @without_variables
    def token(self) -> AccessToken:
        """Hand out an access token that is good now, for what speaks no HTTP of ours: WebSocket, gRPC, an SDK's key.

        Ask for it whenever it is needed: a good one is cached, and costs no query. Raises what a call raises.
        """
        _refuse_in_event_loop()
        return _handed_out(self._tokens.current(self.backend))

    @without_variables
    def refused(self, token: AccessToken) -> AccessToken:
        """Say that the upstream refused a token that was handed out; return the one to use in its place.

        It is refreshed once for all workers, if nobody has replaced it yet, and is the same one if a refresh has not
        helped a moment ago. Raises what a call raises.
        """
        _refuse_in_event_loop()
        return _handed_out(self._tokens.replace(self.backend, token.access))

    async def atoken(self) -> AccessToken:
        """Do as ``token``; a good one that is cached needs no thread."""
        known = self._tokens.known(self.backend)
        return _handed_out(known) if known else await self.arun(self.token)

    async def arefused(self, token: AccessToken) -> AccessToken:
        """Do as ``refused``."""
        return await self.arun(self.refused, token)

    def logout(self, *, by: str = "client") -> None:
        """Forget the tokens; calls raise NotLoggedIn until the next login.

        After that the upstream is told of it, for at most five seconds, if its backend has a ``revoke_path``; what
        comes of that is logged, and raises nothing.
        """
        _refuse_in_event_loop()
        login.log_out(self.alias, self.account, by=by)

    # -- sending

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Send with the token, follow redirects with it inside the origin only; see the class for what is raised."""
        _refuse_in_event_loop()
        if isinstance(request, Request):
            raise ValueError("only a prepared request can be sent; client.prepare_request() makes it one")
        self._notice_fork()  # the request may have been prepared in another process
        is_hop = kwargs.pop("is_hop", False)
        if is_hop or not is_measured():
            return self._send(request, is_hop=is_hop, **kwargs)
        return measured(partial(self._send, request, **kwargs), self, request.method)

    def _send(self, request: PreparedRequest, *, is_hop: bool = False, **kwargs: Any) -> Response:
        backend, follow = self.backend, kwargs.pop("allow_redirects", True)
        note_start(request)
        kwargs = {"stream": self.stream, "verify": self.verify, "cert": self.cert, **kwargs}
        if "proxies" not in kwargs:
            kwargs["proxies"] = resolve_proxies(request, dict(self.proxies), self.trust_env)
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = backend.timeout
        response = self._answer(request, backend, kwargs)
        answers = [*response.history, response]
        is_redirect = response.is_redirect  # asked once, since requests takes a sixtieth of a call to answer
        if is_redirect and (follow or is_hop):
            drain(response)  # before requests reads all of it, which may have no end
        if follow and is_redirect:
            for hop in self.resolve_redirects(response, request, is_hop=True, **kwargs):
                answers += [*hop.history, hop]
        elif is_redirect:
            response._next = self._next(response, request, kwargs)
        answers[-1].history = answers[:-1]
        if not kwargs["stream"]:
            answers[-1].content  # noqa: B018 -- reads it, as Session.send does
        return answers[-1]

    def _next(self, response: Response, request: PreparedRequest, kwargs: dict[str, Any]) -> PreparedRequest | None:
        requests: Iterator[Any] = self.resolve_redirects(response, request, yield_requests=True, **kwargs)
        try:
            return next(requests, None)
        except UnrewindableBodyError:
            return None

    def _answer(self, request: PreparedRequest, backend: Backend, kwargs: dict[str, Any]) -> Response:
        if has_left(request):
            response = self._wire(request, None, kwargs)
        else:
            if not backend.has_addresses:  # else it is checked against the address that comes with the token
                self._check_origin(request.url or "", backend, backend.base_url, backend.origin)
            check_prepared(request, backend)
            response = self._exchange(request, backend, kwargs)
        history = response.history
        response = dispatch_hook("response", request.hooks, response, **kwargs)
        response.history = history
        return response

    @without_variables
    def _exchange(self, request: PreparedRequest, backend: Backend, kwargs: dict[str, Any]) -> Response:
        used = self._tokens.current(backend, from_cache=can_be_repeated(request))
        first = self._wire(request, used, kwargs)
        if not self._is_refused(first, used):
            return first
        first_uses().wait_for(used)
        fresh = self._tokens.renew(used)
        if fresh.pair.access == used.pair.access:
            return first
        rewind(request, first)
        drain(first)
        with first_uses().of(fresh):
            second = self._wire(request, fresh, kwargs)
            second.history = [first]
            if self._is_refused(second, fresh):
                self._tokens.suppress(fresh)
        return second

    def _is_refused(self, response: Response, used: Token) -> bool:
        verdict = used.backend.verdict("api", response)
        if verdict is not Verdict.LOCKED:
            return verdict is Verdict.EXPIRED
        if error := self._tokens.lock(used, response):
            raise error
        return True  # said of a token that was replaced meanwhile

    def _address(self, backend: Backend) -> tuple[Backend, str, Url]:
        if not backend.has_addresses:
            return super()._address(backend)
        token = self._tokens.current(backend)
        return token.backend, *token.backend.address(token.pair)

    def _give_token(self, sent: PreparedRequest, request: PreparedRequest, token: Token) -> None:
        backend = token.backend
        if backend.has_addresses:
            base_url, there = backend.address(token.pair)
            sent.url = moved(request, base_url)
            self._check_origin(sent.url, backend, base_url, there)
        drop_token(sent, backend)
        shown_url = str(sent.url)
        backend.authorize(sent, token.pair)
        if backend.api_query:
            conceal(sent, shown_url, self.get_adapter(shown_url))

    def _wire(self, request: PreparedRequest, token: Token | None, kwargs: dict[str, Any]) -> Response:
        sent = request.copy()
        # Hooks are for the answer that the caller gets; a raise_for_status in them would end the call at the 401.
        sent.hooks = default_hooks()
        if not can_be_repeated(sent):
            sent._body_position = None  # nor does requests end the call at a redirect that nobody may want to follow
        if token:
            self._give_token(sent, request, token)
        try:
            response = super().send(sent, allow_redirects=False, **{**kwargs, "stream": True})
        except RequestException as error:
            error.request = request  # which has no token
            raise
        response.request = request
        if token and token.backend.api_query:
            response.url = without_query(response.url, token.backend.api_query)
        response._next = None  # requests made it of the request that has the token
        return response


def _handed_out(token: Token) -> AccessToken:
    return AccessToken(token.pair.access, token.pair.access_expires_at)


def _remade(kind: type[UpstreamClient], alias: str, account: str) -> UpstreamClient:
    client = kind.__new__(kind)
    UpstreamClient.__init__(client, alias, account)
    return client
