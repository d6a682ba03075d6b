"""What helps a person to find a mistake: the URL that was asked, and the names of what an answer holds; no values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from requests import PreparedRequest, Response

from .bodies import document
from .redaction import shown

_MAX_NAMES = 10
_COOKIE_NAME = re.compile(r"(?:^|,\s*)([^=;,\s]+)=")
#: A part of a path that may be a token: long, with digits, and not a UUID, such as Entra's tenants have.
_TOKENLIKE = re.compile(r"(?![\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$)(?=.*\d)[^/]{25,}", re.IGNORECASE)
#: A shorter value, a username say, is also found where it is none.
_MIN_SECRET_CHARACTERS = 6


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the paths in a body with the values there, down to four levels."""
    if isinstance(value, dict) and value and path.count(".") < 3:
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value and path.count(".") < 3:
        yield from leaves(value[0], f"{path}.0" if path else "0")
    elif value is not None or path:
        yield path or ".", value


def without_token(which: str, paths: Iterable[str], response: Response, secrets: Iterable[str]) -> str:
    """Return where a token was looked for in vain, and the names of what the answer holds instead."""
    where = f"{', '.join(paths)} ({which}_paths)"
    return f"no {which} token at {where}; the answer holds {held(response, secrets)}"


def held(response: Response, secrets: Iterable[str]) -> str:
    """Return the names of what an answer holds, "nothing" if there are none."""
    known = list(secrets)
    names = [shown(name, known) for name in islice(_names(response), _MAX_NAMES + 1)]
    return (", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")) or "nothing"


def _names(response: Response) -> Iterator[str]:
    yield from (path for path, value in leaves(document(response)) if path != "." or value)
    if "Authorization" in response.headers:
        yield "header:Authorization"
    # Responses that requests didn't receive itself have the header and an empty cookie jar.
    cookies = [cookie.name for cookie in response.cookies]
    cookies = cookies or _COOKIE_NAME.findall(response.headers.get("Set-Cookie", ""))
    yield from (f"cookie:{name}" for name in cookies)


def asked(request: PreparedRequest | None, secrets: Iterable[str], response: Response | None = None) -> str:
    """Return the method and URL of a request, and where a response redirects it to; "" for none, as of saved ones."""
    if request is None or not request.url:
        return ""
    known = [secret for secret in secrets if len(secret) >= _MIN_SECRET_CHARACTERS]
    text = f"{request.method} {shown_url(request.url, known)}"
    if response is None or not response.is_redirect:
        return text
    try:
        return f"{text} redirects to {shown_url(urljoin(request.url, response.headers['Location']), known)}"
    except ValueError:
        return f"{text} redirects to what is no URL"


def shown_url(url: str, secrets: Iterable[str]) -> str:
    """Return a URL without its query, user and fragment, and with "[…]" for parts of the path that may be secret."""
    parts, known = urlsplit(url), list(filter(None, secrets))
    path = "/".join(_shown_part(part, known) for part in parts.path.split("/"))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"


def _shown_part(part: str, secrets: list[str]) -> str:
    text = unquote(part)
    is_secret = _TOKENLIKE.fullmatch(text) or any(secret in text for secret in secrets)
    return "[…]" if is_secret else part
