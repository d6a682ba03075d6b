"""Headers that a caller may not set: those that carry the token, and those that are the connection's business."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any

from requests.exceptions import InvalidHeader

from jwt_upstream.backends import Backend

#: What requests and urllib3 set. With another value the upstream would read the body differently (RFC 9112, section
#: 11.2, request smuggling), or have another of its sites answer.
_OF_THE_CONNECTION = {"host", "content-length", "transfer-encoding"}


def check_connection(names: Iterable[Any]) -> None:
    """Raise InvalidHeader for a header that is the connection's business."""
    if found := _OF_THE_CONNECTION.intersection(map(_plain, names)):
        raise InvalidHeader(f"UpstreamClient sets {found.pop().title()} itself; remove yours")


def check_prepared(headers: Mapping[str, Any], backend: Backend) -> None:
    """Raise InvalidHeader for one that ``api_headers`` sets, unless ``caller_authorization`` has it replaced."""
    if "Host" in headers:  # unlike the length of the body not something that requests has set
        check_connection(["Host"])
    if backend.caller_authorization == "replace":
        return
    for name in _colliding(headers, backend):
        text = f"UpstreamClient sets {name.strip()} itself; remove yours, or use requests instead"
        raise InvalidHeader(f"{text} (an SDK that insists on a key needs the option caller_authorization='replace')")


def drop_token(headers: MutableMapping[str, Any], backend: Backend) -> None:
    """Remove what ``api_headers`` is about to set, however the caller has spelt it."""
    if backend.caller_authorization != "replace":  # else there is none
        return
    for name in _colliding(headers, backend):
        del headers[name]


def _colliding(headers: Mapping[str, Any], backend: Backend) -> list[str]:
    ours = set(map(_plain, backend.api_headers))
    if ours.isdisjoint(map(_plain, headers)):
        return []
    return [name for name in headers if _plain(name) in ours]


@lru_cache(maxsize=1000)
def _plain(name: Any) -> str:
    # Servers that strip white space take "Authorization " for the same header.
    return (name.decode("latin-1") if isinstance(name, bytes) else str(name)).strip().lower()
