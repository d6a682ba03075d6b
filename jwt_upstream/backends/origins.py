"""Where a URL leads: the scheme, host and port that a token may or may not be sent to."""

from __future__ import annotations

from urllib3.util import Url, parse_url


def origin(url: str) -> Url:
    """Return scheme, host and port as a connection would be made to, default ports filled in.

    Parsed by urllib3, as the connection is, so that no other reading of a strange URL can slip through.
    """
    parsed = parse_url(url)
    port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme or "")
    return Url(scheme=parsed.scheme, auth=parsed.auth, host=parsed.host, port=port)
