"""The ``auth=`` of httpx2 and httpx, for SDKs that take nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from jwt_upstream.backends import Backend
from jwt_upstream.backends.core import placeholders
from jwt_upstream.exceptions import UpstreamMisconfigured
from jwt_upstream.measurements import measuring
from jwt_upstream.names import full_name
from jwt_upstream.tracebacks import forget_variables

from .exchange import Exchange
from .modules import both
from .steps import Close, Send, Walk

_HEADER = "Authorization"

if TYPE_CHECKING:
    import httpx
    import httpx2

    class _Auth(httpx2.Auth, httpx.Auth):  # type: ignore[misc]  # the one's requests or the other's
        """What both take."""
else:
    _Auth = both("Auth")


class UpstreamAuth(_Auth):
    """An ``auth=`` of httpx2 and httpx, waiting or awaited, that sends with the token of one account.

    For SDKs that take no client and no transport. ``UpstreamTransport`` is better: httpx follows redirects below an
    ``auth=``, shows event hooks the request with its token, and keeps that request in its errors. Raises what
    ``UpstreamClient`` raises, and UpstreamMisconfigured where calls need more than an Authorization header, since
    httpx takes all other headers wherever a redirect leads.
    """

    # Where it is imported from.
    __module__ = "jwt_upstream.httpx_auth"

    def __init__(self, alias: str = "default", account: str = "default") -> None:
        self.alias, self.account = alias, account
        self._exchange = Exchange(alias, account)

    def __repr__(self) -> str:
        return f"<UpstreamAuth {full_name(self.alias, self.account)}>"

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """Send with the token, and once more with a new one if it is refused."""
        with self._walk(request) as walk:
            while step := walk.next():
                if isinstance(step, Send):
                    with _concealing(step.copy) as answers:
                        answers.append((yield step.copy))
                    walk.answered(answers[0])
                elif isinstance(step, Close):
                    walk.answered(None)  # httpx closes it itself, or reads it before it sends again
                else:
                    walk.take(step)

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """Do as ``sync_auth_flow``."""
        with self._walk(request) as walk:
            while step := walk.next():
                if isinstance(step, Send):
                    with _concealing(step.copy) as answers:
                        answers.append((yield step.copy))
                    walk.answered(answers[0])
                elif isinstance(step, Close):
                    walk.answered(None)
                else:
                    await walk.atake(step)

    @contextmanager
    def _walk(self, request: Any) -> Iterator[Walk]:
        _check(self._exchange.backend)
        steps = self._exchange.steps(request)
        with measuring(self, request.method) as told, closing(steps):
            try:
                yield (walk := Walk(steps))
            except BaseException as error:
                forget_variables(error)
                raise
            told["status_code"] = walk.result.status_code


@contextmanager
def _concealing(sent: Any) -> Iterator[list[Any]]:
    """Take the token out of a request once it is answered, and out of those that followed from it."""
    answers: list[Any] = []
    try:
        yield answers
    finally:
        hops = [hop for answer in answers for hop in (*answer.history, answer)]
        followed = [request for hop in hops for request in (hop.request, hop.next_request)]
        for request in filter(None, (sent, *followed)):
            request.headers.pop(_HEADER, None)


def _check(backend: Backend) -> None:
    named = [name for name, text in backend.api_headers.items() if any(placeholders([text]))]
    if backend.api_query or any(name.lower() != _HEADER.lower() for name in named):
        text = "calls need more than an Authorization header, which UpstreamAuth can't keep to the upstream"
        raise UpstreamMisconfigured(f"{backend.alias}: not sent: {text}; use UpstreamTransport")
