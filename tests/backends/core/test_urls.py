"""Origins: the scheme, host and port that a token may be sent to."""

from __future__ import annotations

from urllib.parse import urljoin

from jwt_upstream.backends import Backend
from jwt_upstream.backends.core import is_below

URL = "https://up.example.com/api"


def test_origin() -> None:
    """Tokens may go to the scheme, host and port of the address."""
    backend = Backend("up", URL)
    assert (backend.base_url, str(backend.origin)) == (f"{URL}/", "https://up.example.com:443")


BASE = "https://up.example.com/api/v1/"

BELOW = [
    *(
        "",
        "orders",
        "orders/../lines/",
        "./orders",
        "a/b/%2e%2e/c",
        "%41",
        "orders;x=1/",
        "a%20b",
        "..orders",
        "...",
        "é",
    ),
    *("a%2fb/%2e%2e", "a\\b", "%25u0041", "100%25", "½", "…/ /․a"),
    *("https://up.example.com/api/v1", "?next=/../..", "#/../.."),
]
ABOVE = [
    *(
        "/",
        "/api",
        "/api/v10/",
        "..",
        "../v2/",
        "a/../../b",
        "%2e%2e/v2",
        "%2E./v2",
        "%252e%252e/v2",
        "..%2fv2",
        "..%5cv2",
    ),
    *(
        "..\\v2",
        "\\..\\..\\",
        "..;/v2",
        "..;x=1/v2",
        "a/..;/..;/b",
        "/api/v1/../v2",
        "//up.example.com/api/",
        "/API/V1/",
    ),
    # By servers that drop spaces and controls, or normalize what they have decoded, or end a path there at ? and #.
    *("a/..%20/..%20/v2", "..%20", ".%2e%09/", "..%00/v2", ".%E2%80%8B./"),
    *("．．/v2", "％2e％2e/", "..%3f/", "..%23/v2"),
    *("‥/v2", "․․", "..⁄v2", "..∕v2", "..∖v2", "%u002e%u002e/v2", "..%ef%bc%8fv2"),
    # No UTF-8, a form of the dot in two bytes, or no end to what is escaped.
    *("%c0%ae%c0%ae/v2", "%e4", f"%{'25' * 20}2e"),
    # The first segment is one to servers that undo %2f or \\ later, two to others; it may be none.
    *("a%2fb/%2e%2e/%2e%2e/v2", "a\\b/%2e%2e/%2e%2e/v2", "a%252fb/..;/..;/"),
    *("%2fa/..;/", "%20/%2e%2e/v2", ";x/..;/v2", "a/%3fb/..;/..;/", "a/..%2fb/..;/..;/"),
]


def joined(path: str) -> list[str]:
    """Return the URL as a client joins it, and as a proxy might pass it on."""
    return [urljoin(BASE, path)] + ([f"{BASE}{path}"] if "//" not in path and not path.startswith("/") else [])


def test_paths_below_the_base_url() -> None:
    """Whatever a server undoes first, these paths stay below BASE_URL."""
    assert [url for path in BELOW for url in joined(path) if not is_below(url, BASE)] == []


def test_paths_that_leave_the_base_url() -> None:
    """These leave it, if the server undoes what some servers do."""
    assert [url for path in ABOVE for url in joined(path) if is_below(url, BASE)] == []


def test_base_url_without_a_path() -> None:
    """Nothing leaves the root of a host."""
    assert all(
        is_below(f"https://up.example.com{path}", "https://up.example.com/") for path in ("", "/", "/a", "/../b")
    )
