"""The client for async views: httpx's own, for one account at one upstream."""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.client.origin_session import KeepNothing
from jwt_upstream.names import full_name

from .modules import MODULES
from .transport import UpstreamTransport

if TYPE_CHECKING:
    from httpx2 import URL, AsyncClient, Request
else:
    AsyncClient = MODULES[0].AsyncClient


#: For what httpx makes transports of its own, which it then prefers.
_PAST_THE_TRANSPORT = ("proxy", "proxies", "mounts")


class AsyncUpstreamClient(AsyncClient):
    """An ``AsyncClient`` of httpx2, or of httpx where that is what is installed, for one account at one upstream.

    Paths are joined to BASE_URL as a browser would. It has the upstream's timeouts, keeps no cookies unless
    ``keep_cookies`` is set, and takes every other argument of ``AsyncClient``, but raises TypeError for ``proxy`` and
    ``mounts``. Cheap to create, since all of them share connections. Calls raise what ``UpstreamTransport`` raises.
    """

    # Where it is imported from.
    __module__ = "jwt_upstream.httpx_auth"

    def __init__(self, alias: str = "default", account: str = "default", **options: Any) -> None:
        self.alias, self.account = alias, account
        _check(options)
        backend = get_backend(alias)
        transport = UpstreamTransport(alias, account, transport=options.pop("transport", None))
        super().__init__(base_url=backend.base_url, transport=transport, **{**_options(backend), **options})

    def __repr__(self) -> str:
        return f"<AsyncUpstreamClient {full_name(self.alias, self.account)}>"

    def build_request(self, method: str, url: URL | str, **options: Any) -> Request:
        """Join the path to BASE_URL and build as httpx does."""
        return super().build_request(method, urljoin(get_backend(self.alias).base_url, str(url)), **options)


def _check(options: dict[str, Any]) -> None:
    for name in filter(options.get, _PAST_THE_TRANSPORT):
        raise TypeError(f"with {name}= calls would be sent without the token; proxies are an option of the upstream")


def _options(backend: Backend) -> dict[str, Any]:
    connect, read = backend.timeout if isinstance(backend.timeout, list | tuple) else (backend.timeout,) * 2
    timeout = {"timeout": MODULES[0].Timeout(read, connect=connect)}
    return timeout if backend.keep_cookies else timeout | {"cookies": CookieJar(KeepNothing())}
