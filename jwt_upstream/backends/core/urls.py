"""Where a URL leads: the scheme, host and port that a token may or may not be sent to."""

from __future__ import annotations

from urllib.parse import urlsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url


def origin(url: str) -> Url:
    """Return scheme, host and port as a connection would be made to, default ports filled in.

    Raises urllib3's LocationParseError or another ValueError for what is no URL, and for what is not the same one to
    urllib3, by which requests prepares it, and to urllib, by which requests (2.34) connects.
    """
    parsed = parse_url(url)
    if url.isascii() and _host_and_port(url) != ((parsed.host or "").strip("[]"), parsed.port):
        raise LocationParseError(url)
    port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme or "")
    return Url(scheme=parsed.scheme, auth=parsed.auth, host=parsed.host, port=port)


def _host_and_port(url: str) -> tuple[str, int | None]:
    # By urllib. What isn't ASCII was made so before it is sent, and is looked at again then.
    split = urlsplit(url)
    return split.hostname or "", split.port


def is_web_address(url: str) -> bool:
    """Tell whether a URL is http or https and names a host, and no user or password, which messages would show."""
    try:
        parsed = origin(url)
    except ValueError:
        return False
    return parsed.scheme in {"http", "https"} and bool(parsed.host) and not parsed.auth
