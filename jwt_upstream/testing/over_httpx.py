"""Hands the requests of httpx2 and httpx to fake upstreams in place of the network.

``UpstreamAuth`` sends by whatever transport its client has, so the transports themselves are replaced: for as long as
there are fake upstreams, and for requests to these only.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any
from unittest import mock

import requests

from .over_requests import as_text
from .server import Server

#: By the error of requests, the name of the same one of httpx.
_ERRORS = (
    (requests.ConnectTimeout, "ConnectTimeout"),
    (requests.Timeout, "ReadTimeout"),
    (requests.ConnectionError, "ConnectError"),
)
_active: list[Server] = []
_patches: list[Any] = []


def activate(server: Server) -> None:
    """Answer the requests to an upstream from now on."""
    if not _active:
        modules = dict.fromkeys(import_module(name) for name in ("httpx2", "httpx") if find_spec(name))
        _patches.extend(patch for module in modules for patch in _replacing(module))
        for patch in _patches:
            patch.start()
    _active.append(server)


def deactivate(server: Server) -> None:
    """Undo ``activate``."""
    _active.remove(server)
    while not _active and _patches:
        _patches.pop().stop()


def _replacing(module: Any) -> list[Any]:
    """Return what replaces the methods by which a module's transports send, as no setting of its clients does."""
    send, asend = module.HTTPTransport.handle_request, module.AsyncHTTPTransport.handle_async_request

    def handle_request(transport: Any, request: Any) -> Any:
        server = _server_of(str(request.url))
        return send(transport, request) if server is None else _answered(module, server, request, request.read())

    async def handle_async_request(transport: Any, request: Any) -> Any:
        server = _server_of(str(request.url))
        if server is None:
            return await asend(transport, request)
        return _answered(module, server, request, await request.aread())

    # The classes themselves, as respx and pytest-httpx do: the client of an ``auth=`` sends by a transport of its own.
    return [
        mock.patch.object(module.HTTPTransport, "handle_request", handle_request),
        mock.patch.object(module.AsyncHTTPTransport, "handle_async_request", handle_async_request),
    ]


def _server_of(url: str) -> Server | None:
    """Return the one that answers; where several are at one origin, the one whose BASE_URL has most of the URL."""
    serving = [server for server in reversed(_active) if server.serves(url)]

    def common(server: Server) -> int:
        base_url = server.at(url).base_url
        return len(base_url) if url.startswith(base_url) else 0

    return max(serving, key=common, default=None)


def _answered(module: Any, server: Server, request: Any, body: bytes) -> Any:
    # With the query that only httpcore is told, of ``api_query``.
    target = request.extensions.get("target", request.url.raw_path)
    url = str(request.url.copy_with(raw_path=target))
    headers = dict(request.headers)
    call = server.made(request.method, url, headers, body)
    try:
        said = server.answer_call(call, as_text(url, headers, body))
    except requests.RequestException as error:
        name = next((name for kind, name in _ERRORS if isinstance(error, kind)), "TransportError")
        raise getattr(module, name)(str(error), request=request) from None
    return module.Response(said.status_code, headers=dict(said.headers), content=said.content, request=request)
