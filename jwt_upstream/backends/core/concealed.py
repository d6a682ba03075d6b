"""URLs whose query holds a secret: what sends a request gets the whole URL, and what logs it a part.

Above our adapter (sessions, and what traces them) a request has the URL that may be shown. The adapter hands the
whole one to requests, where test doubles look; below that, urllib3, which logs and quotes URLs, has the one that may
be shown again, until the connection writes the request line.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from requests import PreparedRequest, RequestException, Response
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connection import HTTPConnection

_WHOLE = "_jwt_upstream_whole_url"
#: On the copy that has the whole URL: the one that may be shown.
SHOWN = "_jwt_upstream_shown_url"
#: What a request line has in place of what else: the target that may be shown, and the whole one.
_target: ContextVar[tuple[str, str]] = ContextVar("jwt_upstream_target", default=("", ""))


def conceal(request: PreparedRequest, shown_url: str, adapter: BaseAdapter) -> None:
    """Have a request show another URL than the one it is sent to, if the adapter that will send it knows how to."""
    if shown_url != request.url and isinstance(adapter, ConcealingAdapter):
        setattr(request, _WHOLE, request.url)
        request.url = shown_url


def without_any_query(url: str) -> str:
    """Return a URL without its query."""
    return urlunsplit(urlsplit(url)._replace(query=""))


class ConcealingAdapter(HTTPAdapter):
    """Sends requests to their whole URL; responses and errors have the one that may be shown."""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send as requests does."""
        whole = getattr(request, _WHOLE, "")
        if not whole:
            return super().send(request, *args, **kwargs)
        sent = request.copy()
        sent.url = whole
        setattr(sent, SHOWN, request.url)
        token = _target.set(("", ""))
        try:
            response = super().send(sent, *args, **kwargs)
        except RequestException as error:
            error.request = request
            raise
        finally:
            _target.reset(token)
        response.url, response.request = str(request.url), request
        return response

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        """Return the target for urllib3, without what must not be shown."""
        target = super().request_url(request, proxies)
        if not hasattr(request, SHOWN):
            return target
        double = request.copy()
        double.url = getattr(request, SHOWN)
        shown_target = super().request_url(double, proxies)
        _target.set((shown_target, target))
        return shown_target


class ConcealingConnection(HTTPConnection):
    """Writes the whole target into the request line."""

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        """Send as urllib3 does; a cassette of vcrpy, which records what it is given, is given the whole target."""
        shown, whole = _target.get()
        super().request(method, whole if hasattr(self, "real_connection") and url == shown else url, *args, **kwargs)

    def _encode_request(self, request: str) -> bytes:
        shown, whole = _target.get()
        method, target, version = request.split(" ")
        line = f"{method} {whole} {version}" if whole and target == shown else request
        encoded: bytes = super()._encode_request(line)  # type: ignore[misc]  # http.client's own, not in typeshed
        return encoded
