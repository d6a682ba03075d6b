"""Where a URL leads: the scheme, host and port that a token may or may not be sent to."""

from __future__ import annotations

from urllib3.util import Url, parse_url


def origin(url: str) -> Url:
    """Return scheme, host and port as a connection would be made to, default ports filled in.

    Parsed by urllib3, as the connection is, so that no other reading of a strange URL can slip through. Raises
    urllib3's LocationParseError, a ValueError, for what is no URL.
    """
    parsed = parse_url(url)
    port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme or "")
    return Url(scheme=parsed.scheme, auth=parsed.auth, host=parsed.host, port=port)


def is_web_address(url: str) -> bool:
    """Tell whether a URL is http or https and names a host."""
    try:
        parsed = origin(url)
    except ValueError:
        return False
    return parsed.scheme in {"http", "https"} and bool(parsed.host)
