"""Addresses: the origin (scheme, host and port) that a token may be sent to, hosts and queries."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import accumulate
from urllib.parse import unquote, unquote_plus, unquote_to_bytes, urlencode, urljoin, urlsplit, urlunsplit

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from .templates import placeholders

#: The names of this machine, to itself.
LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
_LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
#: A host, or all hosts below a domain that has two labels at least.
_HOST_PATTERN = re.compile(rf"({_LABEL}|\*\.{_LABEL})(\.{_LABEL})+", re.ASCII | re.IGNORECASE)
#: What some servers take for a slash.
_SLASHES = dict.fromkeys(map(ord, "\\\N{FRACTION SLASH}\N{DIVISION SLASH}\N{SET MINUS}"), "/")
#: An escape of JavaScript, which IIS undoes in paths.
_PERCENT_U = re.compile("%u([0-9a-f]{4})", re.ASCII | re.IGNORECASE)
#: How often a path may be escaped; nobody does it more than twice, but to undo it thousands of times would take long.
_MOST_ESCAPES = 8


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
    return parsed.scheme in {"http", "https"} and _is_name(parsed.host or "") and not parsed.auth


def _is_name(host: str) -> bool:
    # urllib3 2.6 takes a space for a part of the host, and any release an escape, which no name has. Brackets are
    # around an address of IPv6, whose zone follows a "%".
    return bool(host) and not any(map(str.isspace, host)) and (host.startswith("[") or "%" not in host)


def no_host(template: str, texts: Iterable[str]) -> str:
    """Return what to say of the texts that the host of a URL is made of, if together they make none."""
    names = [name for name in placeholders(template.partition("://")[2].partition("/")[0]) if name in texts]
    return f"; {' and '.join(names)} must be a host or a part of one, and nothing more" if names else ""


def is_origin(url: str) -> bool:
    """Tell whether a web address names an origin and nothing more: no path, query or fragment, and no wildcard."""
    if not is_web_address(url):
        return False
    parsed = parse_url(url)
    return parsed.path in {None, "/"} and parsed.query is parsed.fragment is None and "*" not in url


def is_encrypted_or_local(url: str) -> bool:
    """Tell whether a web address is https, or that of a server on this machine."""
    parsed = origin(url)
    return parsed.scheme == "https" or parsed.host in LOOPBACK


def address(url: str) -> str:
    """Return a URL as it is compared with others: without its query, user, default port and final slash.

    The host is in lower case. One that is invalid is returned as far as it can be read.
    """
    split = urlsplit(url)
    path = split.path.rstrip("/")
    try:
        place = origin(url)
    except ValueError:
        return f"{split.scheme}://{split.netloc.rpartition('@')[2]}{path}"
    port = None if (place.scheme, place.port) in {("http", 80), ("https", 443)} else place.port
    return f"{Url(scheme=place.scheme, host=place.host, port=port)}{path}"


def bound_addresses(base_url: str, endpoint: str, origins: Iterable[str]) -> dict[str, str]:
    """Return the part of a binding that says where tokens are sent, to be used or refreshed."""
    place = address(urljoin(base_url, "/"))
    return {
        "origin": place,
        "origins": " ".join(sorted({*map(address, origins)} - {place})),
        "base_path": urlsplit(address(base_url)).path,
        "token_endpoint": address(urljoin(base_url, endpoint)),
    }


def is_below(url: str, base_url: str) -> bool:
    """Tell whether a URL's path stays below that of another one, however a server may read it.

    Servers differ in what they undo, and when: ``%2e%2e``, even if encoded twice, ``\\`` for ``/``, ``..;x`` (a path
    parameter of servlets), and what they normalize to dots and slashes. A path that goes up is below only if it has
    gone down as far in every such reading. One that isn't in UTF-8 never is.
    """
    base, segments = _segments(urljoin(f"{base_url}/", ".")), _segments(url)
    if list(map(unquote_to_bytes, segments[: len(base)])) != list(map(unquote_to_bytes, base)):
        return False
    try:
        return not base or min(accumulate(map(_least_depth, segments[len(base) :]), initial=0)) >= 0
    except ValueError:  # bytes that aren't UTF-8, such as an overlong form of a dot, or no end to the escapes
        return False


def _segments(url: str) -> list[str]:
    return [segment for segment in urlsplit(url).path.split("/") if segment]


def _least_depth(segment: str) -> int:
    """Return how far a segment leads down in the reading that leads down least: -1 is one level up."""
    names = [re.split("[?#;]", name, maxsplit=1)[0] for name in _undone(segment).split("/")]
    return -names.count("..") or int(names[0] not in {"", "."})


def _undone(segment: str) -> str:
    for _ in range(_MOST_ESCAPES):
        before, segment = segment, as_normalized(unquote(_PERCENT_U.sub(_character, segment), errors="strict"))
        if segment == before:
            return segment
    raise ValueError


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))


def as_normalized(text: str) -> str:
    """Return a part of a path as servers may normalize it: with plain dots and slashes, without spaces and controls.

    Backslashes, and other characters that some take for a slash, are slashes in it.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_SLASHES)
    return "".join(char for char in plain if char.isprintable() and not char.isspace())


def is_host_pattern(text: str) -> bool:
    """Tell whether a text is a host such as api.example.com, or all those below a domain, such as *.example.com."""
    return bool(_HOST_PATTERN.fullmatch(text))


def is_at(url: str, patterns: Iterable[str]) -> bool:
    """Tell whether a URL is https, with the usual port and no user, on a host that one of the patterns names."""
    if not is_web_address(url) or "\\" in url:  # which browsers, and some libraries, take for a slash
        return False
    there = origin(url)
    host = (there.host or "").lower()
    is_named = any(
        host.endswith(pattern[1:].lower()) if pattern.startswith("*") else host == pattern.lower()
        for pattern in patterns
    )
    return is_named and (there.scheme, there.port) == ("https", 443)


def with_query(url: str, fields: Mapping[str, str]) -> str:
    """Return a URL with more fields at the end of its query."""
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, urlencode(fields)]))
    return urlunsplit(parts._replace(query=query))


def query_names(url: str) -> set[str]:
    """Return the names of the fields of a URL's query."""
    return {_name(field) for field in urlsplit(url).query.split("&") if field}


def without_query(url: str, names: Iterable[str]) -> str:
    """Return a URL without the fields of its query that have one of the names; the others are as they were."""
    parts, removed = urlsplit(url), set(names)
    kept = [field for field in parts.query.split("&") if _name(field) not in removed]
    return urlunsplit(parts._replace(query="&".join(kept)))


def _name(field: str) -> str:
    return unquote_plus(field.partition("=")[0])
