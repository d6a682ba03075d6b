"""Origins of URLs: the scheme, host and port that a token may be sent to."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote, urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url


def origin(url: str) -> Url:
    """Return the scheme, host and port that a connection would use, default ports filled in.

    Raises urllib3's LocationParseError or another ValueError for an invalid URL, and for one whose host and port
    differ between urllib3, with which requests prepares it, and urllib, with which requests (2.34) connects.
    """
    parsed = parse_url(url)
    if url.isascii() and _host_and_port(url) != ((parsed.host or "").strip("[]"), parsed.port):
        raise LocationParseError(url)
    port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme or "")
    return Url(scheme=parsed.scheme, auth=parsed.auth, host=parsed.host, port=port)


def _host_and_port(url: str) -> tuple[str, int | None]:
    # As urllib reads it. A URL that isn't ASCII is encoded before it is sent, and checked again then.
    split = urlsplit(url)
    return split.hostname or "", split.port


def is_web_address(url: str) -> bool:
    """Tell whether a URL is http or https, with a host and without a user or password, which messages would show."""
    try:
        parsed = origin(url)
    except ValueError:
        return False
    return parsed.scheme in {"http", "https"} and bool(parsed.host) and not parsed.auth


def is_below(url: str, base_url: str) -> bool:
    """Tell whether a URL's path stays below that of another one, however a server may read it.

    Servers differ in what they undo first: ``%2e%2e``, even if encoded twice, ``\\`` for ``/``, and ``..;x`` (a path
    parameter of servlets).
    """
    return f"{_resolved(url)}/".startswith(f"{_resolved(base_url)}/".replace("//", "/"))


def _resolved(url: str) -> str:
    path, before = urlsplit(url).path, ""
    while path != before:
        path, before = unquote(path), path
    segments = (segment.partition(";")[0] for segment in path.replace("\\", "/").split("/"))
    return posixpath.normpath("/" + "/".join(segments).lstrip("/"))
