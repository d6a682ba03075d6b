"""A ``requests.Session`` that is bound to one upstream's origin and shares nothing but connections; knows no token."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, MutableMapping
from copy import copy
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, cast
from urllib.parse import urljoin

from requests import PreparedRequest, Request, Response
from requests.cookies import RequestsCookieJar
from requests.exceptions import InvalidURL

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.backends.core import is_below, origin
from jwt_upstream.exceptions import ForeignOrigin

from .async_verbs import AsyncVerbs
from .caller_headers import check_connection
from .pool import for_this_process
from .proxies import NO_ENVIRONMENT, Environment, environment_for
from .redirects import has_left, mark_as_left, without_body
from .retries import adapter_for

_WITHOUT_HOST = re.compile("\\s*https?:///", re.IGNORECASE)


class _KeepNothing(DefaultCookiePolicy):
    """Takes no cookie of the upstream: one could outrank the token, or mix up two accounts."""

    def set_ok(self, *_: Any) -> bool:
        return False


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    return request


class OriginSession(AsyncVerbs):
    """Joins paths to the upstream's BASE_URL, and refuses URLs that lead elsewhere.

    Uses the process's connections and the environment's proxies and certificates; reads no password from ``.netrc``,
    and keeps no cookies unless asked to.
    """

    def __init__(self, alias: str) -> None:
        super().__init__()
        backend = get_backend(alias)
        self._pid = os.getpid()
        self.alias = alias
        self.verify, self.cert = backend.verify, backend.cert
        self.proxies = dict(backend.proxies or {})
        # Does nothing, but with it requests doesn't look for a password in .netrc, which would replace the token.
        self.auth = _as_it_is
        self._cookie_policy = DefaultCookiePolicy() if backend.keep_cookies else _KeepNothing()
        self.cookies.set_policy(self._cookie_policy)
        adapter = adapter_for(backend.retries, backend.retry_backoff_max)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    @property
    def backend(self) -> Backend:
        """The backend as settings are now."""
        return get_backend(self.alias)

    def _notice_fork(self) -> None:
        """Share nothing with a parent process in which this client was made: no connection, and no lock."""
        if self._pid == os.getpid():
            return
        # A thread that isn't in this process may have held the cookies' lock at the fork. Mounted by the caller, since
        # our own adapter notices forks itself, an adapter has connections that the parent goes on to use.
        if isinstance(self.cookies, RequestsCookieJar):
            self.cookies = self.cookies.copy()
        for prefix, adapter in list(self.adapters.items()):
            self.adapters[prefix] = for_this_process(adapter)
        self._pid = os.getpid()

    def prepare_request(self, request: Request) -> PreparedRequest:
        """Join the path to BASE_URL and prepare as requests does; raises ForeignOrigin."""
        self._notice_fork()
        check_connection([*(request.headers or ()), *self.headers])
        backend, located = self.backend, copy(request)
        located.url = url = self._joined(request.url or "", backend)
        self._check_origin(url, backend)
        # requests merges and encodes mappings by way of typing's protocols, an eighth of a call's time even if they
        # are empty. It takes an empty text and None as they are.
        if not request.params and not self.params:
            located.params = ""
        if not request.headers and None not in self.headers.values():
            located.headers = None  # type: ignore[assignment]
        prepared = super().prepare_request(located)
        cast(CookieJar, prepared._cookies).set_policy(self._cookie_policy)  # for the next hop of a redirect
        return prepared

    def _joined(self, url: str | bytes, backend: Backend) -> str:
        url = url.decode() if isinstance(url, bytes) else str(url)
        if _WITHOUT_HOST.match(url):  # which urljoin would take for a path
            raise InvalidURL(f"not sent: no host in {url[:8]!r}")
        try:
            return urljoin(backend.base_url, url)
        except ValueError as error:
            raise InvalidURL(f"not sent: {error}") from None

    def _check_origin(self, url: str, backend: Backend) -> None:
        if not self._is_ours(url, backend):
            where = "below BASE_URL" if backend.within_base_url else f"on {backend.origin}, the origin"
            raise ForeignOrigin(f"not sent: the URL is not {where} of upstream {self.alias!r}")

    def _is_ours(self, url: str | None, backend: Backend) -> bool:
        if url and url.startswith(backend.base_url) and not backend.within_base_url:
            return True
        try:
            is_there = origin(url or "") == backend.origin
        except ValueError:
            return False
        return is_there and (not backend.within_base_url or is_below(str(url), backend.base_url))

    def merge_environment_settings(
        self,
        url: str,
        proxies: MutableMapping[str, str] | None,
        stream: bool | None,
        verify: bool | str | None,
        cert: str | tuple[str, str] | None,
    ) -> dict[str, Any]:
        """Merge as requests does, but don't search the environment anew on every call, a quarter of its time.

        What is configured for the upstream comes before the environment's CA bundle.
        """
        found = environment_for(url) if self.trust_env else NO_ENVIRONMENT
        verify = self._verification(verify, found)
        if proxies or not self.trust_env:
            return super().merge_environment_settings(url, dict(proxies or {}), stream, verify, cert)
        return {
            "proxies": {**found.proxies, **self.proxies},
            "stream": self.stream if stream is None else stream,
            "verify": verify,
            "cert": cert or self.cert,
        }

    def _verification(self, verify: bool | str | None, found: Environment) -> bool | str | None:
        """Return how to verify: a call's own wish comes first, and its True is kept where the upstream has False."""
        if verify is None:
            verify = self.verify
        if verify is not True:
            return verify
        return self.verify if isinstance(self.verify, str) else found.verify

    def resolve_redirects(
        self, resp: Response, req: PreparedRequest, stream: bool = False, *args: Any, **kwargs: Any
    ) -> Generator[Response, None, None]:
        """Find out where a redirect leads without reading its body, which requests does, however long it is."""
        if kwargs.get("yield_requests") and 300 <= resp.status_code < 400:
            resp = without_body(resp)
        return super().resolve_redirects(resp, req, stream, *args, **kwargs)

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        """Note on each hop of a redirect whether it left the origin, after which no hop gets the token any more."""
        prepared_request.headers.pop("Authorization", None)
        if has_left(response.request) or not self._is_ours(prepared_request.url, self.backend):
            mark_as_left(prepared_request)
