"""HTTP headers: which names are none, which are the same to servers, and which are the connection's business."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")

#: What HTTP libraries set. With another value the upstream would read the body differently (RFC 9112, section 11.2,
#: request smuggling), or have another of its sites answer.
_OF_THE_CONNECTION = {"host", "content-length", "transfer-encoding"}
_SEPARATORS = re.compile(r"[^0-9a-z]+")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: The values that http.client and requests accept.
_VALUE = re.compile(r"(?! )[\x20-\x7e\x80-\xff]*")


@lru_cache(maxsize=1000)
def plain_name(name: Any) -> str:
    """Return a name as servers may take it: in lower case, with single hyphens for whatever separates its words."""
    # Servers that strip white space take "Authorization " for the same header, and to those that follow CGI (RFC 3875,
    # section 4.1.18), as WSGI and PHP do, X-Api-Key and X_Api_Key are both HTTP_X_API_KEY.
    text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
    return _SEPARATORS.sub("-", text.lower()).strip("-")


def of_connection(names: Iterable[T]) -> list[T]:
    """Return those of a request's headers, by name, that are the connection's business, in any spelling."""
    return [name for name in names if plain_name(name) in _OF_THE_CONNECTION]


def is_header_name(name: object) -> bool:
    """Tell whether a header can have a name (RFC 9110, section 5.6.2)."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name))


def header_problems(where: str, headers: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each header in settings that can't be sent, or must not be set by anybody."""
    for name, value in headers.items():
        if not is_header_name(name):
            yield f"{where} has {name!r}, which is no name of a header"
        elif of_connection([name]):
            yield f"{where} can't contain {name}, which is set for each request as it must be"
        elif not _VALUE.fullmatch(value):
            yield f"{where}[{name!r}] has characters that a header can't carry, such as a final line break"
