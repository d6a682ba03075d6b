"""What tokens are bound to, and which differences count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jwt_upstream.backends import (
    Auth0Backend,
    Backend,
    GitHubAppBackend,
    GoogleServiceAccountBackend,
    HubSpotBackend,
    KeycloakBackend,
    OAuth2Backend,
    SlackBackend,
)
from jwt_upstream.backends.oauth2 import JWT_BEARER
from jwt_upstream.binding import changes, described, refreshed
from tests.support.signatures import google_key_file, pem

URL = "https://crm.example.com/api/"


def bound(url: str = URL, cls: type[Backend] = OAuth2Backend, **options: Any) -> dict[str, str]:
    """Return the binding of a backend."""
    return cls("crm", url, **options).binding


def changed(before: dict[str, str], now: dict[str, str], **how: Any) -> list[str]:
    """Return the names of what counts."""
    return [each.name for each in changes(before, now, **how)]


def test_binding() -> None:
    """It says where, for whom and for what, in words that compare, and holds no secret."""
    options: dict[str, Any] = {"client_id": "us", "client_secret": "s3cr", "scope": "write  read", "api_key": "k3y"}
    assert bound("HTTPS://CRM.Example.com:443/api", login_path="{api_key}/é/?key=s3cr", **options) == {
        "origin": "https://crm.example.com",
        "origins": "",
        "base_path": "/api",
        "token_endpoint": "https://crm.example.com/api/api_key/é",
        "client": "us",
        "scope": "read write",
        "grant": "",
    }
    assert bound("http://[::1]:8000/", Backend)["origin"] == "http://[::1]:8000"


@pytest.mark.parametrize("url", ["https://ümlaut.example/", "https://a_b.example.com/", "https://crm.example.com:443"])
def test_odd_addresses(url: str) -> None:
    """Any address that settings may have is bound."""
    assert bound(url)["origin"].startswith("https://")
    assert changed(bound(url), bound(URL + "x")) == (["origin"] if ":443" not in url else [])


def test_invalid_endpoint() -> None:
    """Nor does one break that is none; the checks say what is wrong with it."""
    assert bound(login_path="http://user:hunter2@host:port/x")["token_endpoint"] == "http://host:port/x"


@pytest.mark.parametrize(
    ("now", "names"),
    [
        ({}, []),
        ({"url": "https://crm.example.com"}, []),
        ({"url": "https://crm.example.com/v2"}, []),
        ({"url": "https://crm.example.com/v2", "login_path": URL + "token"}, []),
        ({"login_path": "/api/token/"}, []),
        ({"url": "http://crm.example.com/api"}, ["origin"]),
        ({"url": "https://crm.example.com:8443/api"}, ["origin"]),
        ({"url": "https://crm.example.com.evil.net/api"}, ["origin"]),
        ({"url": "https://new.example.com/", "login_path": URL + "token"}, ["origin"]),
        ({"url": "https://new.example.com/", "login_path": "v2/token"}, ["origin", "token_endpoint"]),
        ({"login_path": "v2/token"}, ["token_endpoint"]),
        ({"login_path": "/token"}, ["token_endpoint"]),
        ({"login_path": "https://id.example.com/token"}, ["token_endpoint"]),
        ({"refresh_path": "other"}, ["token_endpoint"]),
        ({"revoke_path": "revoke", "headers": {"a": "b"}}, []),
        ({"client_id": "us"}, ["client"]),
        ({"scope": "read"}, ["scope"]),
        ({"client_secret": "new", "client_authentication": "post"}, []),
        ({"cls": Backend, "login_path": "token", "refresh_path": "token"}, []),
    ],
)
def test_what_counts(now: dict[str, Any], names: list[str]) -> None:
    """What is elsewhere or somebody else's counts; the same in other words, and what may change, does not."""
    assert changed(bound(), bound(**now)) == names


def test_realms_and_audiences() -> None:
    """What a family of servers has besides: a realm is in the path, an audience is beside the scope."""
    one, other = (bound(cls=KeycloakBackend, realm=name, client_id="us") for name in ("prod", "staging"))
    assert changed(one, other) == ["token_endpoint"]
    one, other = (bound(cls=Auth0Backend, audience=name) for name in ("", "https://api.example.com"))
    assert changed(one, other) == ["audience"]
    assert described(changes(one, other)) == "the audience was not set and is https://api.example.com now"
    without = {name: value for name, value in other.items() if name != "audience"}
    assert changed(other, without) == ["audience"]


LIMITS: dict[str, Any] = {"permissions": {"issues": "read", "checks": "read"}, "repositories": ["shop"]}


@pytest.mark.parametrize(
    ("cls", "before", "now", "names"),
    [
        (SlackBackend, {"user_scope": "b,a"}, {"user_scope": "a, b"}, []),
        (SlackBackend, {"user_scope": "a"}, {"user_scope": "a,b"}, ["user_scope"]),
        (HubSpotBackend, {"optional_scope": "a b"}, {"optional_scope": ""}, ["optional_scope"]),
        (GitHubAppBackend, {"login_fields": LIMITS}, {"login_fields": dict(reversed(LIMITS.items()))}, []),
        (GitHubAppBackend, {"login_fields": LIMITS}, {}, ["permissions", "repositories"]),
        (OAuth2Backend, {"grant_type": "password"}, {"grant_type": "client_credentials"}, ["grant"]),
        (OAuth2Backend, {"grant_type": "client_credentials"}, {"grant_type": JWT_BEARER}, ["grant"]),
        (OAuth2Backend, {"grant_type": "password"}, {"grant_type": "authorization_code"}, []),
        (GoogleServiceAccountBackend, {"client_email": "a@x.y"}, {"client_email": "b@x.y"}, ["client_email"]),
    ],
)
def test_whose_and_what_for(cls: type[Backend], before: dict[str, Any], now: dict[str, Any], names: list[str]) -> None:
    """Further scopes, limits, the kind of grant and the service account count; what a row of before lacks does not."""
    one, other = bound(cls=cls, **before), bound(cls=cls, **now)
    assert changed(one, other) == names
    assert changed({name: value for name, value in one.items() if name not in names}, other) == []


def test_keys_of_service_accounts(tmp_path: Path) -> None:
    """Whose key it is says the key, where it is in settings or in a file; nothing is called for it."""
    keys = {name: google_key_file(client_email=f"{name}@x.y") for name in ("prod", "staging")}
    for name, key in keys.items():
        (tmp_path / name).write_text(key)
    prod, staging, both = (
        bound(cls=GoogleServiceAccountBackend, signing_key=key)
        for key in (f"file:{tmp_path}/prod", f"file:{tmp_path}/staging", list(keys.values()))
    )
    assert described(changes(prod, staging)) == "the client email was prod@x.y and is staging@x.y now"
    assert both["client_email"] == "prod@x.y staging@x.y"
    assert changed(prod, bound(cls=GoogleServiceAccountBackend, signing_key=keys["prod"])) == []
    for unknown in (pem(), "nonsense", f"file:{tmp_path}/none", pytest.fail):
        assert bound(cls=GoogleServiceAccountBackend, signing_key=unknown)["client_email"] == ""


class ProjectBackend(Backend):
    """A backend whose tokens are for one project."""

    project: str = ""

    @property
    def binding(self) -> dict[str, str]:
        return {**super().binding, "project": self.project}


def test_more_names() -> None:
    """A backend of a project binds its tokens to more."""
    one, other = bound(cls=ProjectBackend, project="one"), bound(cls=ProjectBackend, project="other")
    assert described(changes(one, other)) == "the project was one and is other now"
    assert changed(one, one) == []


def test_nothing_known() -> None:
    """What was stored before there were bindings fits anything, as does what a later version adds."""
    assert changed({}, bound()) == []
    assert changed({"origin": "https://crm.example.com"}, bound(client_id="us")) == []


def test_further_origins() -> None:
    """One that is new counts, whatever was known of them before; one that is gone, or written otherwise, does not."""
    files, mail = "https://files.example.com", "https://mail.example.com"
    both = bound(origins=[mail, "https://Files.example.com:443/"])
    assert both["origins"] == f"{files} {mail}"
    assert changed(both, bound(origins=[files])) == changed(both, bound()) == []
    assert changed(bound(origins=[files]), both) == changed(bound(), both) == ["origins"]
    assert changed(bound(), both, is_misconfigured=True) == ["origins"]
    before = {name: value for name, value in bound().items() if name != "origins"}
    assert described(changes(before, bound(origins=[mail]))) == f"the origins were not set and are {mail} now"
    assert changed({}, both) == []
    assert bound(origins=["https://crm.example.com"]) == bound()


def test_what_a_refresh_brings() -> None:
    """It is bound to what settings name then, and to the further origins that were confirmed before."""
    one, other = ["https://a.example.com"], ["https://b.example.com"]
    found = refreshed(bound(origins=one), bound(origins=other, scope="read"))
    assert found == bound(origins=one + other, scope="read")
    assert refreshed({}, bound()) == bound()


def test_corrections() -> None:
    """While the settings were refused anything may be corrected but the origin, be it of calls or of the endpoint."""
    wrong = bound(login_path="wrong", client_id="wrong")
    assert changed(wrong, bound(client_id="us"), is_misconfigured=True) == []
    elsewhere = bound(login_path="https://id.example.com/token")
    assert changed(wrong, elsewhere, is_misconfigured=True) == ["token_endpoint"]
    assert changed(wrong, bound("https://new.example.com/"), is_misconfigured=True) == ["origin", "token_endpoint"]
