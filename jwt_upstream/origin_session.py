"""A ``requests.Session`` that is bound to one upstream's origin and shares nothing but connections; knows no token."""

from __future__ import annotations

from collections.abc import MutableMapping
from copy import copy
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, cast
from urllib.parse import urljoin

from requests import PreparedRequest, Request, Response
from requests.exceptions import InvalidURL

from jwt_upstream import environment, pool, retries
from jwt_upstream.async_verbs import AsyncVerbs
from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.backends.origins import origin
from jwt_upstream.exceptions import ForeignOrigin
from jwt_upstream.sending import has_left, mark_as_left, unchanged


class _KeepNothing(DefaultCookiePolicy):
    """Takes no cookie of the upstream: one could outrank the token, or mix up two accounts."""

    def set_ok(self, *_: Any) -> bool:
        return False


class OriginSession(AsyncVerbs):
    """Joins paths to the upstream's BASE_URL, and refuses URLs that lead elsewhere.

    Uses the process's connections and the environment's proxies and certificates; reads no password from ``.netrc``,
    and keeps no cookies unless asked to.
    """

    def __init__(self, alias: str) -> None:
        super().__init__()
        backend = get_backend(alias)
        self.alias = alias
        self.verify, self.cert = backend.verify, backend.cert
        self.proxies = dict(backend.proxies or {})
        # Does nothing, but with it requests doesn't look for a password in .netrc, which would replace the token.
        self.auth = unchanged
        self._cookie_policy = DefaultCookiePolicy() if backend.keep_cookies else _KeepNothing()
        self.cookies.set_policy(self._cookie_policy)
        adapter = retries.adapter(backend.retries, backend.retry_pause_max)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    @property
    def backend(self) -> Backend:
        """The backend as settings are now."""
        return get_backend(self.alias)

    def close(self) -> None:
        """Close adapters that were mounted on this client; the process's connections stay open for others."""
        for adapter in self.adapters.values():
            if adapter is not pool.adapter:
                adapter.close()

    def prepare_request(self, request: Request) -> PreparedRequest:
        """Join the path to BASE_URL and prepare as requests does; raises ForeignOrigin."""
        located = copy(request)
        located.url = url = self._joined(str(request.url or ""))
        self._check_origin(url)
        # requests merges and encodes mappings by way of typing's protocols, an eighth of a call's time even if they
        # are empty. It takes an empty text and None as they are.
        if not request.params and not self.params:
            located.params = ""
        if not request.headers and None not in self.headers.values():
            located.headers = None  # type: ignore[assignment]
        prepared = super().prepare_request(located)
        cast(CookieJar, prepared._cookies).set_policy(self._cookie_policy)  # for the next hop of a redirect
        return prepared

    def _joined(self, url: str) -> str:
        try:
            return urljoin(self.backend.base_url, url)
        except ValueError as error:
            raise InvalidURL(f"not sent: {error}") from None

    def _check_origin(self, url: str) -> None:
        if not self._is_ours(url):
            raise ForeignOrigin(f"not sent: the URL leads away from {self.backend.origin} of upstream {self.alias!r}")

    def _is_ours(self, url: str | None) -> bool:
        if url and url.startswith(self.backend.base_url):
            return True
        try:
            return origin(url or "") == self.backend.origin
        except ValueError:
            return False

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
        if proxies or not self.trust_env:
            return super().merge_environment_settings(url, dict(proxies or {}), stream, verify, cert)
        found = environment.look_up(str(self.backend.origin))
        if verify is None or verify is True:
            verify = found.verify if self.verify is True else self.verify
        return {
            "proxies": {**found.proxies, **self.proxies},
            "stream": self.stream if stream is None else stream,
            "verify": verify,
            "cert": cert or self.cert,
        }

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        """Note on each hop of a redirect whether it left the origin, after which no hop gets the token any more."""
        prepared_request.headers.pop("Authorization", None)
        if has_left(response.request) or not self._is_ours(prepared_request.url):
            mark_as_left(prepared_request)
