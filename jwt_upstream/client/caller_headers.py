"""Headers that a caller may not set: those that carry the token, and those that are the connection's business."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from requests import PreparedRequest
from requests.auth import AuthBase
from requests.exceptions import InvalidHeader, InvalidURL
from requests.utils import super_len

from jwt_upstream.backends import Backend
from jwt_upstream.backends.core import query_names, without_query
from jwt_upstream.headers import of_connection, plain_name

T = TypeVar("T")


def check_connection(names: Iterable[Any]) -> None:
    """Raise InvalidHeader for a header that is the connection's business."""
    if found := of_connection(names):
        raise _ours(found[0])


def check_framing(headers: Sequence[tuple[Any, Any]], length: str | None, library: str = "UpstreamClient") -> None:
    """Raise InvalidHeader if headers of the connection say of the body what isn't so.

    ``length`` is how long it is, None if that turns out as it is sent, in chunks.
    """
    right = ("Transfer-Encoding", "chunked") if length is None else ("Content-Length", length)
    wrong = [name for name, value in headers if (name.title(), value) != right]
    if more := wrong or [name for name, _ in headers[1:]]:
        raise _ours(more[0], library)


def _ours(name: Any, library: str = "UpstreamClient") -> InvalidHeader:
    return InvalidHeader(f"{library} sets {plain_name(name).title()} itself; remove yours")


def without_length(headers: Mapping[Any, Any] | None) -> tuple[Mapping[Any, Any] | None, str | None]:
    """Return headers without the length of the body, and that; SDKs say it though requests finds it out."""
    if not headers or "content-length" not in map(plain_name, headers):
        return headers, None
    said = next(value for name, value in headers.items() if plain_name(name) == "content-length")
    rest = {name: value for name, value in headers.items() if plain_name(name) != "content-length"}
    return rest, said.decode("latin-1") if isinstance(said, bytes) else str(said)


def check_length(prepared: PreparedRequest, said: str | None) -> None:
    """Raise InvalidHeader if a caller has said another length of the body than requests has found."""
    if said is not None and said.strip() != prepared.headers.get("Content-Length", "0"):
        raise InvalidHeader("UpstreamClient sets Content-Length itself, and the body has another one; remove yours")


def check_prepared(request: PreparedRequest, backend: Backend) -> None:
    """Raise InvalidHeader for a header, and InvalidURL for a field of the query, that the client sets itself.

    InvalidHeader also for an ``auth=`` that answers a 401 itself, such as requests' HTTPDigestAuth: it would send the
    call again, past the client.
    """
    hooks = request.hooks.get("response") or []
    for hook in [hooks] if callable(hooks) else hooks:
        if isinstance(owner := getattr(hook, "__self__", None), AuthBase):
            raise InvalidHeader(f"UpstreamClient answers 401 itself; remove {type(owner).__name__}, or use requests")
    if found := of_connection(request.headers):
        check_framing([(name, request.headers[name]) for name in found], _length(request.body))
    check_token(request, backend)


def _length(body: Any) -> str | None:
    """Return how long a body is to requests, None if requests sends it in chunks, as it does an empty file."""
    length = super_len(body)
    return str(length) if length or body is None or isinstance(body, str | bytes) else None


def check_token(request: PreparedRequest, backend: Backend) -> None:
    """Raise InvalidHeader or InvalidURL for what ``api_headers`` or ``api_query`` set as well and don't replace."""
    if backend.caller_authorization == "replace":
        return
    if backend.api_query and (found := query_names(str(request.url)) & backend.api_query.keys()):
        raise InvalidURL(f"UpstreamClient adds {', '.join(sorted(found))} to the query itself; remove yours")
    for name in colliding(request.headers, backend):
        text = f"UpstreamClient sets {name.strip()} itself; remove yours, or use requests instead"
        raise InvalidHeader(f"{text} (an SDK that insists on a key needs the option caller_authorization='replace')")


def drop_token(request: PreparedRequest, backend: Backend) -> None:
    """Remove what ``api_headers`` and ``api_query`` are about to set, however the caller has spelt it."""
    if backend.caller_authorization != "replace":  # else there is none
        return
    for name in colliding(request.headers, backend):
        del request.headers[name]
    if backend.api_query:
        request.url = without_query(str(request.url), backend.api_query)


def colliding(names: Iterable[T], backend: Backend) -> list[T]:
    """Return those of a request's headers, by name, that ``api_headers`` set."""
    ours = set(map(plain_name, backend.api_headers))
    return [name for name in names if plain_name(name) in ours]
