"""One call over httpx, step by step: with a good token, and once more with a new one if the upstream refuses it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from jwt_upstream.backends import Backend, Verdict, get_backend
from jwt_upstream.backends.core import received, unpacked
from jwt_upstream.client.async_threads import on_callers_connection
from jwt_upstream.client.first_use import first_uses
from jwt_upstream.exceptions import BodyNotReplayable
from jwt_upstream.names import check_name
from jwt_upstream.refresh import Token, TokenSource
from jwt_upstream.tokens import fingerprint

from .bodies import note_start
from .modules import module_of
from .requests import check_headers, check_origin, copied, has_left, is_ours, move, note_redirect, with_token
from .steps import Ask, Close, Peek, Send, Step, Steps


class Exchange:
    """The calls of one account; knows their steps, and not whether they are waited for or awaited.

    An error ends the steps, and whoever takes them closes the answer that the caller then doesn't get.
    """

    def __init__(self, alias: str, account: str) -> None:
        self.alias, self.account = alias, account
        check_name("account", account)
        self.backend  # noqa: B018 -- raises for one that isn't configured
        self._tokens = TokenSource(account, on_callers_connection)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy that kept a token would not be told when it is replaced.
        return type(self), (self.alias, self.account)

    @property
    def backend(self) -> Backend:
        """The backend as settings are now."""
        return get_backend(self.alias)

    def steps(self, request: Any) -> Steps:
        """Yield the steps of a call, and return its answer; raises what ``UpstreamClient`` raises."""
        backend = self.backend
        if has_left(request):
            return (yield Send(copied(request), request, backend))
        if not backend.has_addresses:  # else it is checked against the address that comes with the token
            check_origin(request.url, backend, backend.base_url)
        check_headers(request, backend)
        rewind = note_start(request)
        # Most calls' tokens are known, and nothing has to be asked.
        used = None if rewind is None else self._tokens.known(backend)
        if used is None:
            used = yield self._current(backend, from_cache=rewind is not None)
        if used.backend.accounts and not used.backend.base_url_paths:
            move(request, used)  # httpx makes those that a redirect leads to of this one
        response = yield from self._exchange(request, used, rewind)
        note_redirect(request, response, used.backend, used.backend.address(used.pair)[0])
        return response

    def _exchange(self, request: Any, used: Token, rewind: Callable[[], None] | None) -> Steps:
        first = yield Send(with_token(request, used), request, used.backend)
        if not (yield from self._is_refused(first, used)):
            return first
        fresh = yield self._renewal(used)
        if fresh.pair.access == used.pair.access:
            return first
        _rewind(rewind, first)
        yield Close(first)
        with first_uses().of(fresh):
            second = yield Send(with_token(request, fresh), request, fresh.backend)
            if (yield from self._is_refused(second, fresh)):
                yield Ask(self.alias, partial(self._tokens.suppress, fresh))
        return second

    def _current(self, backend: Backend, *, from_cache: bool) -> Step:
        current = partial(self._tokens.current, backend, from_cache=from_cache)
        if not from_cache:
            return Ask(self.alias, current)
        return Ask(self.alias, current, partial(self._key, backend, ""))

    def _renewal(self, used: Token) -> Step:
        def renew() -> Token:
            first_uses().wait_for(used)
            return self._tokens.renew(used)

        return Ask(self.alias, renew, partial(self._key, used.backend, fingerprint(used.pair.access)))

    def _key(self, backend: Backend, refused: str) -> tuple[Any, str] | None:
        identity = self._tokens.identity(backend)
        return None if identity is None else (identity, refused)

    def _is_refused(self, response: Any, used: Token) -> Generator[Any, Any, bool]:
        backend, status, headers, body = used.backend, response.status_code, response.headers, b""
        if not backend.may_concern_token(status, headers):
            return False
        if not is_ours(response.request.url, backend, backend.address(used.pair)[0]):
            return False  # to an ``auth=``, that of another server, to which httpx has followed a redirect
        if backend.reads_body(status):
            body = yield Peek(response, module_of(response.request).HTTPError)
        judged = received(status, headers, unpacked(headers, body) if body else b"")
        verdict = backend.verdict("api", judged)
        if verdict is not Verdict.LOCKED:
            return verdict is Verdict.EXPIRED
        if error := (yield Ask(self.alias, partial(self._tokens.lock, used, judged))):
            raise error
        return True  # said of a token that was replaced meanwhile


def _rewind(rewind: Callable[[], None] | None, first: Any) -> None:
    if rewind is None:
        text = "the token was refreshed, but this body can't be sent again; call again with a new body, or with bytes"
        raise BodyNotReplayable(text, response=first)
    rewind()
