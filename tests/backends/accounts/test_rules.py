"""What an account's values may be: none leads outside of what settings say, whatever somebody writes into a form."""

from __future__ import annotations

from typing import Any

import pytest
import responses
from requests import PreparedRequest

from jwt_upstream.accounts import AccountValues
from jwt_upstream.backends import get_backend
from jwt_upstream.exceptions import AccountMisconfigured
from jwt_upstream.tokens import Secrets, TokenPair
from tests.support.accounts import ACME, SECRETS, shop

#: What turns a label into another host, as the URL standard parses it and OWASP's cheat sheet on SSRF lists it.
BAD_LABELS = [
    # another host, and what parsers take for its end
    *("evil.example.net/", "evil.example.net#", "evil.example.net?", "evil.example.net\\", "evil.example.net:443"),
    *("user@evil.example.net", "user:word@evil.example.net", "@evil.example.net", "evil.example.net;", "evil.com,a"),
    *("//evil.example.net", "https://evil.example.net/", "\\\\evil.example.net", "/..//evil.example.net", "a/../b"),
    # dots, and what normalizes to them
    *(".", "..", "evil.net.", "a..b", "acme。", "acme．evil", "acme｡evil", "%2e", "a%2eb", "a%00b", "%65vil"),
    # addresses
    *("127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "169.254.169.254", "①②⑦", "::1"),
    # characters that are invisible, end a line, or stand for others
    *("acme\r\nHost: evil", "acme\n", "acme\t", " acme", "acme ", "ac\0me", "ac\u00adme", "ac\u200dme", "acme\u202e"),
    *(
        "fa\u00df",
        "ex\uff41mple",
        "\u0430cme",
        "xn--80ak6aa92e",
        "XN--80ak6aa92e",
        "ac_me",
        "ac me",
        "a<b",
        "a|b",
        "a^b",
    ),
    *(
        "-acme",
        "acme-",
        "a" * 64,
        "",
        "a" * 300,
        "{access}",
        "{subdomain}",
        "file:a",
        "call:os.getcwd",
        None,
        5,
        ["a"],
    ),
]
BAD_SEGMENTS = [
    *(".", "..", "../admin", "a/b", "a\\b", "%2f", "%2e%2e", "a%5cb", "eu?x=1", "eu#x", "..;x", "eu;a=1", "/", "\\"),
    *("eu\r\nX: 1", "eu\0", "\u202eeu", "", "{refresh}", "e\u00fc"),
]


def resolve(**parameters: Any) -> Any:
    """Return the backend of an account with other parameters than are good."""
    return get_backend("shop", AccountValues("acme", {**ACME, **parameters}, Secrets(SECRETS)))


@responses.activate
@pytest.mark.parametrize(
    ("name", "value"),
    [*(("subdomain", value) for value in BAD_LABELS), *(("region", value) for value in BAD_SEGMENTS)],
    ids=ascii,
)
def test_bad_parameter(settings: Any, name: str, value: Any) -> None:
    """A parameter that could lead elsewhere is refused with what is allowed, and nothing is sent."""
    settings.JWT_UPSTREAM = shop()
    with pytest.raises(
        AccountMisconfigured, match=f"^shop/acme: nothing was sent: parameter '{name}' must be "
    ) as got:
        resolve(**{name: value})
    assert "client secret" not in str(got.value)
    assert not responses.calls


@pytest.mark.parametrize(
    ("name", "value", "base_url"),
    [
        ("subdomain", "a", "https://a.shop.example.com/eu/"),
        ("subdomain", "Acme-2", "https://Acme-2.shop.example.com/eu/"),
        ("subdomain", "a" * 63, f"https://{'a' * 63}.shop.example.com/eu/"),
        ("region", "eu west", "https://acme.shop.example.com/eu%20west/"),
        ("region", "a:b@c", "https://acme.shop.example.com/a%3Ab%40c/"),
    ],
)
def test_good_parameter(settings: Any, name: str, value: str, base_url: str) -> None:
    """What is a label is one in the host, and what is a segment is one in the path, percent-encoded."""
    settings.JWT_UPSTREAM = shop(OPTIONS={"client_secret": "{client_secret}", "client_authentication": "none"})
    assert resolve(**{name: value}).base_url == base_url


@pytest.mark.parametrize(
    ("base_url", "accounts", "good", "bad"),
    [
        ("https://{host}/", {"hosts": [".example.com"]}, ["a.example.com", "a.b.EXAMPLE.com"], [
            "example.com", "a.example.com.evil.net", "localhost", "10.0.0.1", "a.example.com.", "a@b.example.com",
            "evilexample.com", "1.2.3.4.example.com:80", "a..example.com", "[::1]", "a%2eexample.com",
        ]),
        ("https://{host}.com/", {"hosts": ["good.com"]}, ["good", "GOOD"], ["evil", "notgood"]),
        ("https://api-{host}.example.com/", {}, ["eu"], ["eu.evil.net/", "a" * 60]),
        ("http://127.0.0.{host}/", {"hosts": ["127.0.0.2"]}, ["2"], ["1", "02"]),
        ("http://{host}.localhost/", {}, ["acme"], ["acme.evil.net"]),
    ],
)  # fmt: skip
def test_hosts(settings: Any, base_url: str, accounts: Any, good: list[str], bad: list[str]) -> None:
    """A parameter leads to the domain that the URL ends with, or to those that ACCOUNTS names, and nowhere else."""
    written = {"BASE_URL": base_url, "ACCOUNTS": {"parameters": ["host"], **accounts}}
    settings.JWT_UPSTREAM = {"shop": {"BACKEND": "jwt_upstream.backends.Backend", **written}}
    for host in good:
        assert get_backend("shop", AccountValues("acme", {"host": host})).base_url == base_url.format(host=host)
    for host in bad:
        with pytest.raises(AccountMisconfigured, match="parameter 'host' must "):
            get_backend("shop", AccountValues("acme", {"host": host}))


@pytest.mark.parametrize(
    "place",
    [
        {"login_path": "https://{host}/token"},
        {"login_path": "https://{audience}/token", "audience": "{host}"},
        {"login_steps": [{"path": "https://{host}/token", "keep": {"a": "b"}}]},
        {"origins": ["https://{host}"]},
    ],
    ids=str,
)
def test_hosts_of_options(settings: Any, place: dict[str, Any]) -> None:
    """Where tokens and passwords go besides BASE_URL is held to the same domains."""
    accounts = {"parameters": ["host"], "hosts": [".example.com"]}
    written = {"BASE_URL": "https://api.example.com/", "OPTIONS": place, "ACCOUNTS": accounts}
    settings.JWT_UPSTREAM = {"shop": {"BACKEND": "jwt_upstream.backends.Auth0Backend", **written}}
    assert get_backend("shop", AccountValues("acme", {"host": "a.example.com"}))
    for host in ("a.example.net", "localhost", "a.example.com.evil.net"):
        with pytest.raises(AccountMisconfigured, match=r"must lead to a host that is at \.example\.com"):
            get_backend("shop", AccountValues("acme", {"host": host}))


@pytest.mark.parametrize("port", ["0", "65536", "080", "80@evil", "80/", "8a", "-1", "８０", ""])
def test_port(settings: Any, port: str) -> None:
    """A port, which needs a pattern, is a number and nothing else."""
    accounts = {"parameters": {"port": {"pattern": ".*"}}}
    written = {"BASE_URL": "http://127.0.0.1:{port}/", "ACCOUNTS": accounts}
    settings.JWT_UPSTREAM = {"shop": {"BACKEND": "jwt_upstream.backends.Backend", **written}}
    assert get_backend("shop", AccountValues("acme", {"port": "8001"})).base_url == "http://127.0.0.1:8001/"
    with pytest.raises(AccountMisconfigured, match="parameter 'port' must be"):
        get_backend("shop", AccountValues("acme", {"port": port}))


@pytest.mark.parametrize(
    "secret", ["", "file:/etc/passwd", "call:os.getcwd", "two\nlines", "a\r\nX: 1", "a\0b", "a" * 20_000, None, 5]
)
def test_bad_secret(settings: Any, secret: Any) -> None:
    """A secret is itself, and names neither a file nor a function of ours; the error doesn't show it."""
    settings.JWT_UPSTREAM = shop()
    with pytest.raises(AccountMisconfigured, match="secret 'client_secret' must be") as got:
        get_backend("shop", AccountValues("acme", ACME, Secrets(client_secret=secret)))
    assert not secret or str(secret) not in str(got.value).replace("file: or call:", "")


def test_pattern(settings: Any) -> None:
    """Settings may restrict a parameter further."""
    accounts = {"parameters": {"subdomain": {"pattern": "[a-z]+"}, "region": {}}, "secrets": ["client_secret"]}
    settings.JWT_UPSTREAM = shop(ACCOUNTS=accounts)
    assert resolve(subdomain="acme")
    with pytest.raises(AccountMisconfigured, match=r"parameter 'subdomain' must be as the pattern '\[a-z\]\+' says"):
        resolve(subdomain="acme2")


def test_secret_with_braces(settings: Any) -> None:
    """A secret that looks like a placeholder is sent as it is, and is no way to another secret."""
    options = {
        "login_fields": {"key": "{own_key}", "id": "x{own_key}"},
        "api_headers": {"X-Key": "{own_key}", "Authorization": "Bearer {access}"},
    }
    accounts = {"parameters": ["subdomain", "region"], "secrets": ["own_key"]}
    settings.JWT_UPSTREAM = shop(OPTIONS=options, ACCOUNTS=accounts)
    backend = get_backend("shop", AccountValues("acme", ACME, Secrets(own_key="{access}{now}")))
    assert backend.login_body({}) == {"key": "{access}{now}", "id": "x{access}{now}"}
    request = PreparedRequest()
    request.prepare("GET", backend.base_url)
    backend.authorize(request, TokenPair("an-access-token"))
    assert (request.headers["X-Key"], request.headers["Authorization"]) == ("{access}{now}", "Bearer an-access-token")
