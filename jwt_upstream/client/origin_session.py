"""A ``requests.Session`` that is bound to one upstream's origin and shares nothing but connections; knows no token."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, MutableMapping
from copy import copy
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import MethodType
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from requests import PreparedRequest, Request, Response, sessions
from requests.cookies import RequestsCookieJar
from requests.exceptions import InvalidURL
from requests.structures import CaseInsensitiveDict
from requests.utils import default_headers
from urllib3.util import Url, parse_url

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.backends.core import Replaceable, Session, origin, without_query
from jwt_upstream.exceptions import ForeignOrigin

from .async_verbs import AsyncVerbs
from .caller_headers import check_connection, check_length, without_length
from .pool import for_this_process
from .proxies import NO_ENVIRONMENT, Environment, environment_for
from .redirects import has_left, mark_as_left, without_body
from .retries import adapter_for

# On the request itself, which may be sent much later, with a token that has another address of the API.
_BASE = "_jwt_upstream_base_url"
_WITHOUT_HOST = re.compile("\\s*https?://([/?#]|$)", re.IGNORECASE)
_SEGMENT = "[A-Za-z0-9_~-][A-Za-z0-9._~-]*"
#: Paths, and queries, of which nothing is resolved or quoted when they are joined to a URL.
_SIMPLE_PATH = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*/?(\?[A-Za-z0-9._~=&-]+)?", re.ASCII)
#: Those of every new session, which need no check.
_DEFAULT_HEADERS: CaseInsensitiveDict[str | bytes] = CaseInsensitiveDict(default_headers())
_DEFAULT_ITEMS = tuple(_DEFAULT_HEADERS.items())


class KeepNothing(DefaultCookiePolicy):
    """Takes no cookie of the upstream: one could outrank the token, or mix up two accounts."""

    def set_ok(self, *_: Any) -> bool:
        return False


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    return request


def _check_readable(url: str) -> None:
    try:
        parse_url(url)
    except ValueError:
        raise InvalidURL(f"not sent: no host and port can be read in the URL that begins with {url[:8]!r}") from None


class OriginSession(AsyncVerbs, Replaceable):
    """Joins paths to the upstream's BASE_URL, and refuses URLs that lead elsewhere.

    Uses the process's connections and the environment's proxies and certificates; reads no password from ``.netrc``,
    and keeps no cookies unless asked to.
    """

    stand_ins = {}

    def __init__(self, alias: str) -> None:
        super().__init__()
        backend = get_backend(alias)
        self._pid = os.getpid()
        self.alias = alias
        self.verify, self.cert = backend.verify, backend.cert
        self.proxies = dict(backend.proxies or {})
        # Does nothing, but with it requests doesn't look for a password in .netrc, which would replace the token.
        self.auth = _as_it_is
        self._cookie_policy = DefaultCookiePolicy() if backend.keep_cookies else KeepNothing()
        self.cookies.set_policy(self._cookie_policy)
        adapter = adapter_for(backend)
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
        backend = self.backend
        backend, base_url, there = self._address(backend)
        path = _text(request.url or "")
        # To join and prepare a URL takes a twentieth of the time of a call of requests.
        is_ready = _SIMPLE_PATH.fullmatch(path) is not None and _can_be_extended(base_url)
        url = base_url + path if is_ready else _joined(base_url, path)
        self._check_origin(url, backend, base_url, there)
        headers, length = without_length(request.headers)
        check_connection([*(headers or ()), *self.headers])
        prepared = self._prepared(request, url, headers, is_ready=is_ready)
        check_length(prepared, length)
        if backend.has_addresses:
            note_base(prepared, base_url)
        return prepared

    def _prepared(self, request: Request, url: str, headers: Any, *, is_ready: bool) -> PreparedRequest:
        prepare = super().prepare_request
        if self.auth is _as_it_is and _merges_headers_only(request, self) and _is_of_requests(prepare):
            return self._prepared_simply(request, url, headers, is_ready=is_ready)
        located = copy(request)
        located.url, located.headers = url, headers
        prepared = prepare(located)
        cast(CookieJar, prepared._cookies).set_policy(self._cookie_policy)  # for the next hop of a redirect
        return prepared

    def _prepared_simply(self, request: Request, url: str, headers: Any, *, is_ready: bool) -> PreparedRequest:
        """Do as requests does, but merge and check only what is there; that saves a fifth of a call's time."""
        prepared = PreparedRequest()
        prepared.prepare_method(cast(str, request.method).upper())
        if is_ready and not request.params:
            prepared.url = url
        else:
            prepared.prepare_url(url, request.params or None)
        if headers or tuple(self.headers.items()) != _DEFAULT_ITEMS:
            prepared.prepare_headers(sessions.merge_setting(headers or {}, self.headers, CaseInsensitiveDict))
        else:
            prepared.headers = _DEFAULT_HEADERS.copy()
        prepared._cookies = RequestsCookieJar(self._cookie_policy)
        prepared.prepare_body(request.data, request.files, request.json)
        prepared.prepare_auth(self.auth, url)
        return prepared

    def _address(self, backend: Backend) -> tuple[Backend, str, Url]:
        """Return the account's own backend, the URL that paths are joined to now, and its origin."""
        return backend, backend.base_url, backend.origin

    def _check_origin(self, url: str, backend: Backend, base_url: str, there: Url) -> None:
        if not backend.may_call(url, base_url):
            _check_readable(url)
            where = "below BASE_URL" if backend.within_base_url else f"on {there}, the origin"
            nor = ", nor at any of its origins" if backend.origins else ""
            raise ForeignOrigin(f"not sent: the URL is not {where} of upstream {self.alias!r}{nor}")

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
        backend = self.backend
        if backend.api_query:  # which a redirect may repeat
            prepared_request.url = without_query(str(prepared_request.url), backend.api_query)
        if has_left(response.request):
            mark_as_left(prepared_request)
            return
        backend, base_url, _ = self._address(backend)
        if not backend.may_call(prepared_request.url or "", base_url):
            mark_as_left(prepared_request)
        elif backend.has_addresses:
            note_base(prepared_request, base_url)


# -- preparing


def _merges_headers_only(request: Request, session: Session) -> bool:
    """Tell whether requests would merge nothing but headers of a request and a session."""
    if request.cookies or request.auth or any((request.hooks or {}).values()):
        return False
    return not (session.params or any((session.hooks or {}).values()) or next(iter(session.cookies), None))


def _is_of_requests(method: Callable[..., Any]) -> bool:
    """Tell whether a session's method is requests' own, and no class or tracer has put another in its place."""
    # By its type, since what wrapt makes of a method passes for one: in such a wrapper of prepare_request() the AWS
    # X-Ray SDK adds its header.
    return type(method) is MethodType and method.__func__.__globals__ is vars(sessions)


# -- addresses


def _text(url: Any) -> str:
    return url.decode() if isinstance(url, bytes) else str(url)


@lru_cache(maxsize=1000)
def _can_be_extended(base_url: str) -> bool:
    """Tell whether a URL and a simple path make a prepared URL if one is written after the other."""
    prepared = PreparedRequest()
    prepared.prepare_url(urljoin(base_url, "path"), None)
    return prepared.url == f"{base_url}path"


def _joined(base_url: str, url: str) -> str:
    if _WITHOUT_HOST.match(url):  # which urljoin would take for a path
        raise InvalidURL(f"not sent: no host in {url[:8]!r}")
    try:
        return urljoin(base_url, url)
    except ValueError as error:
        raise InvalidURL(f"not sent: {error}") from None


def note_base(request: PreparedRequest, base_url: str) -> None:
    """Note the address that a request was made for."""
    setattr(request, _BASE, base_url)


def moved(request: PreparedRequest, base_url: str) -> str:
    """Return the URL of a request at another address than the one that it was made for, if it was made for one."""
    url, made_for = str(request.url), getattr(request, _BASE, base_url)
    if made_for == base_url or origin(url) != origin(made_for):
        return url
    if url.startswith(made_for):
        return base_url + url.removeprefix(made_for)
    there = urlsplit(base_url)
    return urlsplit(url)._replace(scheme=there.scheme, netloc=there.netloc).geturl()
