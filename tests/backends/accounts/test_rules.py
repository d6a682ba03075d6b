"""What an account's values may be: none leads outside of what settings say, whatever somebody writes into a form."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
import responses
from requests import PreparedRequest

from jwt_upstream.accounts import AccountValues
from jwt_upstream.backends import Step, get_backend
from jwt_upstream.exceptions import AccountMisconfigured
from jwt_upstream.tokens import Secrets, TokenPair
from tests.support.accounts import ACME, BAD_HOSTS, BAD_IN_HEADER, BAD_LABELS, BAD_SEGMENTS, SECRETS, SHOP, shop


def resolve(**parameters: Any) -> Any:
    """Return the backend of an account with other parameters than are good."""
    return get_backend("shop", AccountValues("acme", {**ACME, **parameters}, Secrets(SECRETS)))


@responses.activate
@pytest.mark.parametrize(
    ("name", "values", "headers"),
    [
        ("subdomain", BAD_LABELS, {}),
        ("region", BAD_SEGMENTS, {}),
        ("region", [*BAD_SEGMENTS, *BAD_IN_HEADER], {"X-Region": "{region}"}),
    ],
    ids=["host", "path", "header"],
)
def test_bad_parameter(settings: Any, name: str, values: list[Any], headers: dict[str, str]) -> None:
    """A parameter that could lead elsewhere is refused with what is allowed, and nothing is sent."""
    settings.JWT_UPSTREAM = shop(OPTIONS={**SHOP["OPTIONS"], "api_headers": headers})
    said = rf"^shop/acme: nothing was sent: parameter '{name}' must be "
    for value in values:
        with pytest.raises(AccountMisconfigured, match=said) as got:
            resolve(**{name: value})
            pytest.fail(f"{value!a} is not refused")
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
        ("https://{host}/", {"hosts": [".example.com"]}, ["a" * 63 + ".example.com"], BAD_HOSTS),
        ("https://{host}/", {"hosts": ["10.0.0.7", "xn--a.example.com"]}, ["10.0.0.7", "xn--a.example.com"], [
            "10.0.0.8", "010.0.0.7", "[10.0.0.7]", "10.0.0.7:80", "b.xn--a.example.com", "XN--a.example.com",
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
        {"login_steps": [Step("https://{host}/token", keep={"a": "b"})]},
        {"origins": ["https://{host}"]},
        {"redirect_uri": "https://{host}/back"},
    ],
    ids=" ".join,
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


def test_hosts_of_several(settings: Any) -> None:
    """What several parameters make together is the name of a host as well: no "xn--", and not too long a one."""
    accounts = {"parameters": ["a", "b"]}
    written = {"BACKEND": "jwt_upstream.backends.Backend", "BASE_URL": "https://{a}{b}.x.{a}.{a}.{a}.example.com/"}
    for hosts in ({}, {"hosts": [".example.com"]}):
        settings.JWT_UPSTREAM = {"shop": {**written, "ACCOUNTS": {**accounts, **hosts}}}
        assert get_backend("shop", AccountValues("acme", {"a": "x", "b": "y"}))
        for a, b in (("x", "n--80ak6aa92e"), ("a" * 60, "b"), ("a" * 63, "b")):
            with pytest.raises(AccountMisconfigured, match="parameter 'a' must lead to a host"):
                get_backend("shop", AccountValues("acme", {"a": a, "b": b}))


@pytest.mark.parametrize(
    "port",
    ["0", "65536", "080", "80@evil", "80/", "8a", "-1", "８０", "", "443 ", "+80", "8_0", "1e3", "80#", "80\\", 80],
)
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


def test_reference_of_several(settings: Any) -> None:
    """Values that make up the name of a file together, in a login which may be kept in one, are refused."""
    accounts = {"parameters": ["a"], "secrets": ["own"]}
    settings.JWT_UPSTREAM = shop(
        BASE_URL="https://shop.example.com/", LOGIN={"username": "{a}:{own}", "password": "{own}"}, ACCOUNTS=accounts
    )
    settings.JWT_UPSTREAM["shop"]["OPTIONS"] = {}
    backend = get_backend("shop", AccountValues("acme", {"a": "x"}, Secrets(own="/etc/hostname")))
    assert backend.automatic_login.read()["username"] == "x:/etc/hostname"
    for kind in ("file", "call"):
        with pytest.raises(
            AccountMisconfigured, match=r"LOGIN\['username'\] must not begin with file: or call:"
        ) as got:
            get_backend("shop", AccountValues("acme", {"a": kind}, Secrets(own="/etc/hostname")))
        assert "/etc/hostname" not in str(got.value)


@responses.activate
@pytest.mark.parametrize(
    ("body_format", "parse"), [("json", json.loads), ("form", lambda body: dict(parse_qsl(body)))]
)
def test_value_in_fields(settings: Any, body_format: str, parse: Any) -> None:
    """In fields a value is the text that it is, in JSON as in a form, and makes no other field."""
    options = {"login_fields": {"tenant": "{own}"}, "body_format": body_format}
    written = {"BASE_URL": "https://shop.example.com/", "OPTIONS": options, "ACCOUNTS": {"parameters": ["own"]}}
    settings.JWT_UPSTREAM = {"shop": {"BACKEND": "jwt_upstream.backends.Backend", **written}}
    responses.post("https://shop.example.com/login", json={"access": "access-1"})
    for text in (
        '","admin":true,"x":"',
        "&admin=1",
        "a=b;c",
        "'--",
        "<!--",
        "%22%26",
        "$(id)",
        "a\\u0022",
        "\U0001f600",
    ):
        get_backend("shop", AccountValues("acme", {"own": text})).login({})
        assert parse(responses.calls[-1].request.body) == {"tenant": text}
