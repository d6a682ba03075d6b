"""The adapters that hand requests to a fake upstream in place of the network."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from http.client import responses as phrases
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from jwt_upstream.backends.core import transport
from jwt_upstream.client import UpstreamClient

from .calls import Call
from .server import Server


class _Adapter(HTTPAdapter):
    """Hands over requests, and makes responses of the answers as if they had come by a connection."""

    def __init__(self, server: Server, ask: Callable[[Call, str], Response]) -> None:
        super().__init__()
        self._server, self._ask = server, ask

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        content, url = _body(request.body), str(request.url)
        headers = {name: _text(line) for name, line in request.headers.items()}
        call = self._server.made(request.method, url, headers, content)
        said = self._ask(call, as_text(url, headers, content))
        body, phrase = io.BytesIO(said.content), phrases.get(said.status_code, "")
        raw = HTTPResponse(body, said.headers, said.status_code, reason=phrase, preload_content=False)
        return self.build_response(request, raw)


def activate(server: Server) -> None:
    """Answer the requests to an upstream from now on."""
    UpstreamClient.stand_ins[server.alias] = _Adapter(server, server.answer_call)
    transport.OneRequest.stand_ins[server.alias] = _Adapter(server, server.answer_token_request)


def deactivate(server: Server) -> None:
    """Undo ``activate``."""
    for session in (UpstreamClient, transport.OneRequest):
        del session.stand_ins[server.alias]


def is_active(alias: str) -> bool:
    """Tell whether there is one already."""
    return alias in UpstreamClient.stand_ins


def as_text(url: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return all of a request in which a token may be."""
    return "\n".join([url, *headers.values(), body.decode("latin-1")])


def _text(line: str | bytes) -> str:
    return line.decode("latin-1") if isinstance(line, bytes) else line


def _body(body: Any) -> bytes:
    """Return a request's body, which is read as a connection would read it."""
    if body is None:
        return b""
    content = body.read() if hasattr(body, "read") else body
    if isinstance(content, str):
        return content.encode()
    return content if isinstance(content, bytes) else b"".join(content)
