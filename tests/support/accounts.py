"""Upstreams at which each account has its own host, path or client."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import responses

SHOP: dict[str, Any] = {
    "BACKEND": "jwt_upstream.backends.Backend",
    "BASE_URL": "https://{subdomain}.shop.example.com/{region}/",
    "OPTIONS": {
        "login_fields": {"user": "{username}", "pass": "{password}", "tenant": "{region}"},
        "client_id": "{subdomain}-app",
        "client_secret": "{client_secret}",
        "client_authentication": "post",
        "api_headers": {"Authorization": "Bearer {access}", "X-Region": "{region}"},
    },
    "ACCOUNTS": {"parameters": ["subdomain", "region"], "secrets": ["client_secret"]},
}
#: A server of which each account is a client, and nothing more.
CLIENTS: dict[str, Any] = {
    "BACKEND": "jwt_upstream.backends.OAuth2Backend",
    "BASE_URL": "https://api.example.com/",
    "OPTIONS": {
        "grant_type": "client_credentials",
        "login_path": "token",
        "client_id": "{client}",
        "client_secret": "{client_secret}",
        "client_authentication": "post",
    },
    "ACCOUNTS": {"parameters": ["client"], "secrets": ["client_secret"]},
}
ACME = {"subdomain": "acme", "region": "eu"}
SECRETS = {"client_secret": "acme's client secret"}


def shop(**changes: Any) -> dict[str, Any]:
    """Return JWT_UPSTREAM with the first of these, changed."""
    return {"shop": {**SHOP, **changes}}


def fields(number: int) -> dict[str, str]:
    """Return the fields of the form of a request that ``responses`` has answered."""
    return dict(parse_qsl(str(responses.calls[number].request.body)))


#: What turns a label into another host, as the URL standard parses it and OWASP's cheat sheet on SSRF lists it.
BAD_LABELS: list[Any] = [
    # another host, and what parsers take for its end
    *("evil.example.net/", "evil.example.net#", "evil.example.net?", "evil.example.net\\", "evil.example.net:443"),
    *("user@evil.example.net", "user:word@evil.example.net", "@evil.example.net", "evil.example.net;", "evil.com,a"),
    *("//evil.example.net", "https://evil.example.net/", "\\\\evil.example.net", "/..//evil.example.net", "a/../b"),
    *("evil.example.net#@", "evil.example.net/@", "evil.example.net\\@", "x:80#@evil", "///evil", "http:evil", "a:b@"),
    *("evil.example.net%23", "evil.example.net%2f", "evil%5c", "evil%40", "%2540evil", "a%3a80", "a+b", "a&b", "a=b"),
    # dots, and what normalizes to them
    *(".", "..", "evil.net.", "a..b", "acme。", "acme．evil", "acme｡evil", "%2e", "a%2eb", "a%00b", "%65vil", "acme."),
    *(".%2e", "%252e%252e", "acme․evil", "acme／evil", "acme＠evil", "acme：80", "acme？", "acme＃", "acme℀", "acme⁄"),
    # addresses, and names of this machine and of clouds' metadata
    *("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "169.254.169.254", "①②⑦", "::1", "127.1", "0.0.0.0"),
    *("[fe80::1%25lo]", "[::]", "0177.0.0.1", "0x7f.0x0.0x0.0x1", "localhost.", "metadata.google.internal"),
    *("169.254.169.254.nip.io", "127.0.0.1.nip.io", "1.1.1.1 &@2.2.2.2#@3.3.3.3", "[::127.0.0.1]", "127。0。0。1"),
    # characters that are invisible, end a line, or stand for others
    *("acme\r\nHost: evil", "acme\n", "acme\t", " acme", "acme ", "ac\0me", "ac\u00adme", "ac\u200dme", "acme\u202e"),
    *("ac\tme", "ac\nme", "\nacme", "\x01acme", "acme\x7f", "acme\u2028", "\ufeffacme", "acme\u3000", "ac%0d%0ame"),
    *(
        "fa\u00df",
        "ex\uff41mple",
        "\u0430cme",
        "xn--80ak6aa92e",
        "XN--80ak6aa92e",
        "xn--",
        "ac_me",
        "ac me",
        "a<b",
        "a|b",
    ),
    *("a^b", "a`b", 'a"b', "a'b", "a!b", "a$b", "a*b", "*", "a(b)", "a~b", "\U0001f600", "\ud800", "acme\u0301"),
    # what is too long or too short, what stands for something else, and what is no text
    *("-acme", "acme-", "-", "a" * 64, "", "a" * 300, "a." * 126 + "aa"),
    *("{access}", "{subdomain}", "{refresh}", "{{refresh}}", "{", "{%x%}", "${x}", "file:a", "call:os.getcwd"),
    *(None, 5, 0, 1.5, True, False, ["a"], ["acme"], [], {}, {"subdomain": "acme"}),
]
#: What leads out of a segment of a path.
BAD_SEGMENTS: list[Any] = [
    *(".", "..", "../admin", "a/b", "a\\b", "%2f", "%2e%2e", "a%5cb", "eu?x=1", "eu#x", "..;x", "eu;a=1", "/", "\\"),
    *(
        "..%2f..",
        "%252e%252e%252f",
        "..%c0%af",
        "..%00",
        ".. ",
        "／",
        "．．",
        "‥",
        "..⁄",
        "∕",
        "℀",
        "..＼",
        "eu?",
        "#",
    ),
    *(
        "eu\r\nX: 1",
        "eu\0",
        "\u202eeu",
        "",
        "{refresh}",
        "eu\nX: 1",
        "\r",
        "eu\r",
        "\teu",
        "eu\x0b",
    ),
    *("{{", "}}", "{region}", "file:/etc/passwd", "call:os.getcwd", "a" * 256, None, 5, True, ["eu"], {"a": "eu"}),
]
#: What a path may have, and a header may not.
BAD_IN_HEADER = ["e\u00fc", " eu", "eu "]
#: What is no host at .example.com.
BAD_HOSTS: list[Any] = [
    *("127.0.0.1", "127.1", "2130706433", "017700000001", "0x7f000001", "0177.0.0.1", "0", "0.0.0.0", "[::1]", "::1"),
    *("[::ffff:7f00:1]", "fe80::1%25lo", "169.254.169.254", "metadata.google.internal", "169.254.169.254.nip.io"),
    *(
        "localhost",
        "localhost.",
        "localhost.localdomain",
        "a.example.com.",
        "a.example.com..",
        ".example.com",
        ".",
        "",
    ),
    *("a.example.com:443", "a.example.com/", "a.example.com#", "user@a.example.com", "evil.net#.example.com"),
    *("evil.net/.example.com", "evil.net?.example.com", "evil.net\\.example.com", "evil.net%2f.example.com"),
    *("evil.net\t.example.com", "evil.net\n.example.com", "a.example.com\0", "evil.net\u3002example.com"),
    *("a.example.com.evil.net", "a-example.com", "aexample.com", "example.com", "a.example.co", "xn--a.example.com"),
    *("a_b.example.com", "-a.example.com", "a-.example.com", "a" * 64 + ".example.com", "a." * 122 + "example.com"),
    *(
        "a\u00ad.example.com",
        "\uff41.example.com",
        "*.example.com",
        "a..example.com",
        None,
        5,
        True,
        ["a.example.com"],
    ),
]
