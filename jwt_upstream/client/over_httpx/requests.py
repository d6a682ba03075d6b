"""Requests of httpx: which may have the token, and the copy of one that has it."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from requests import PreparedRequest
from requests.exceptions import InvalidHeader, InvalidURL

from jwt_upstream.backends import Backend
from jwt_upstream.backends.core import without_query
from jwt_upstream.client.caller_headers import check_framing, check_token, colliding, drop_token
from jwt_upstream.exceptions import ForeignOrigin
from jwt_upstream.headers import of_connection
from jwt_upstream.refresh import Token

from .bodies import length_of_body
from .modules import module_of

#: Which request was led away from the upstream by a redirect. httpx copies it to all requests that follow from it.
_LEFT = "jwt_upstream_left"
#: The extension by which httpcore asks for something else than a request's URL.
_TARGET = "target"


class _Outgoing:
    """What a backend gives the token to: a request with the attributes of a PreparedRequest that one may need."""

    def __init__(self, request: Any) -> None:
        self._request, self.method, self.headers = request, request.method, request.headers

    @property
    def url(self) -> str:
        return str(self._request.url)

    @url.setter
    def url(self, url: str) -> None:
        self._request.url = module_of(self._request).URL(url)

    @property
    def body(self) -> bytes | None:
        """The body, if it is one text."""
        return getattr(self._request, "_content", None)


def _as_prepared(request: Any) -> PreparedRequest:
    return cast(PreparedRequest, _Outgoing(request))


def has_left(request: Any) -> bool:
    """Tell whether a redirect led to this request out of the upstream's origin, now or earlier."""
    return request.extensions.get(_LEFT, request) is not request


def note_redirect(request: Any, response: Any, backend: Backend, base_url: str) -> None:
    """Note on a request whether its answer leads away, after which no hop gets the token any more.

    A token in the query, which a redirect may repeat, is taken out of where it leads.
    """
    if not 300 <= response.status_code < 400 or not response.has_redirect_location or has_left(request):
        return
    try:
        if backend.api_query:
            _conceal_location(request, response, backend)
        leads_away = not is_ours(request.url.join(response.headers["Location"]), backend, base_url)
    except Exception:  # whatever a library raises for an address that it can't read; it will say so if it goes there
        leads_away = True
    if leads_away:
        request.extensions[_LEFT] = request


def _conceal_location(request: Any, response: Any, backend: Backend) -> None:
    url = module_of(request).URL(response.headers["Location"])
    shown = without_query(f"?{url.query.decode()}", backend.api_query).removeprefix("?")
    response.headers["Location"] = str(url.copy_with(query=shown.encode() or None))


def is_ours(url: Any, backend: Backend, base_url: str) -> bool:
    """Tell whether a URL of httpx may be called with the token."""
    if url.userinfo or not _is_our_origin(url.scheme, url.netloc, backend, base_url):
        return False
    return not backend.within_base_url or backend.may_call(str(url), base_url)


@lru_cache(maxsize=1000)
def _is_our_origin(scheme: str, netloc: bytes, backend: Backend, base_url: str) -> bool:
    # By the host and port that httpx connects to, whatever the rest of the URL looks like to others.
    place = f"{scheme}://{netloc.decode()}/"
    return backend.may_call(urljoin(place, urlsplit(base_url).path) if backend.within_base_url else place, base_url)


def check_headers(request: Any, backend: Backend) -> None:
    """Raise InvalidHeader or InvalidURL for what the caller may not set, as ``UpstreamClient`` does."""
    if _TARGET in request.extensions:
        raise InvalidURL("httpx asks for the request's URL; remove the extension target")
    # By the names as they are: httpx decodes all headers for whoever asks for one, a fortieth of a call.
    headers = request.headers.raw
    names = [name for name, _ in headers]
    found = of_connection(names)
    if found != [b"Host"] or headers[0] != (b"Host", request.url.netloc):  # which is all that a GET has
        _check_connection(request, [(name, value) for name, value in headers if name in found])
    if backend.api_query or colliding(names, backend):
        check_token(_as_prepared(request), backend)


def _check_connection(request: Any, headers: list[tuple[bytes, bytes]]) -> None:
    host = (b"host", request.url.netloc)
    rest = [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if (name.lower(), value) != host
    ]
    if len(rest) != len(headers) - 1:
        raise InvalidHeader("httpx sets Host itself; remove yours")
    length, said = length_of_body(request), rest[0][1] if rest else ""
    # The length of a stream may be said beforehand: httpx breaks off one that turns out to have another.
    check_framing(rest, said if length is None and said.isdecimal() else length, "httpx")


def check_origin(url: Any, backend: Backend, base_url: str) -> None:
    """Raise ForeignOrigin for a URL that may not have the token."""
    if not is_ours(url, backend, base_url):
        where = "below BASE_URL" if backend.within_base_url else f"on {backend.origin}, the origin"
        nor = ", nor at any of its origins" if backend.origins else ""
        raise ForeignOrigin(f"not sent: the URL is not {where} of upstream {backend.alias!r}{nor}")


def with_token(request: Any, token: Token) -> Any:
    """Return a copy of a request that has the token; the request itself never does."""
    backend, sent = token.backend, copied(request)
    if backend.has_addresses:
        move(sent, token)
        check_origin(sent.url, backend, backend.address(token.pair)[0])
    prepared = _as_prepared(sent)
    drop_token(prepared, backend)
    backend.authorize(prepared, token.pair)
    return sent


def move(request: Any, token: Token) -> None:
    """Have a request that was made for BASE_URL go to the address that the account has, which comes with its token."""
    url, written = str(request.url), token.backend.template.base_url
    if token.backend.has_addresses and url.startswith(written):
        base_url = token.backend.address(token.pair)[0]
        request.url = module_of(request).URL(base_url + url.removeprefix(written))
        request.headers["Host"] = request.url.netloc.decode()


def conceal(sent: Any, backend: Backend) -> None:
    """Have a request show its URL without the query that is ours; httpcore, which writes it, is told the whole one.

    What traces httpx's transports, such as OpenTelemetry, gets requests as they are sent by these.
    """
    url, module = str(sent.url), module_of(sent)
    shown_url = without_query(url, backend.api_query)
    if shown_url != url and _takes_target(module):
        sent.extensions[_TARGET] = sent.url.raw_path
        sent.url = module.URL(shown_url)


@lru_cache
def _takes_target(module: Any) -> bool:
    # httpcore does since 1.0.4, and httpcore2 always has.
    core = import_module(module.__name__.replace("httpx", "httpcore"))
    return bool(core.Request("GET", "http://localhost/", extensions={_TARGET: b"/target"}).url.target == b"/target")


def copied(request: Any) -> Any:
    """Return a copy of a request, with headers of its own."""
    # Not by the class, which would parse the URL anew: a twentieth of a call.
    sent = object.__new__(type(request))
    sent.__dict__.update(request.__dict__)
    sent.headers = type(request.headers)(request.headers)
    sent.extensions = {name: value for name, value in request.extensions.items() if name != _LEFT}
    return sent
