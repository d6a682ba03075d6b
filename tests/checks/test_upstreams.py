"""System checks of the settings of each upstream."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from jwt_upstream import checks
from jwt_upstream.backends import Backend
from tests.support.checks import PLAIN, URL, found, upstream

CRM = {"BACKEND": PLAIN, "BASE_URL": URL}


class Picky(Backend):
    """A project's own backend with a check of its own."""

    def check(self) -> Iterable[str]:
        """Find fault with everything."""
        yield "nothing is good enough"


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (["crm"], ["E001"]),
        (None, ["E001"]),
        ({"": CRM}, ["E001"]),
        ({"x" * 101: CRM}, ["E001"]),
        ({5: CRM}, ["E001"]),
        ({"-crm": CRM}, ["E001"]),
        ({"c\x1b[31mrm": CRM}, ["E001"]),
        ({"crm\u202e": CRM}, ["E001"]),
        ({"crm": URL}, ["E002"]),
        (upstream(OPTIONS=["login"]), ["E002"]),
        (upstream(OPTIONS={5: "login"}), ["E002"]),
        (upstream(BASEURL=URL, TIMEOUT=5), ["E002", "E002"]),
        ({"crm": {"BACKEND": PLAIN}}, ["E003"]),
        (upstream(BASE_URL=None), ["E003"]),
        (upstream(BASE_URL=""), ["E003"]),
        (upstream(BASE_URL=5), ["E003"]),
        (upstream(BASE_URL="crm.example.com"), ["E003"]),
        (upstream(BASE_URL="ftp://crm.example.com/"), ["E003"]),
        (upstream(BASE_URL="https:///api/"), ["E003"]),
        (upstream(BASE_URL="https://crm.example.com:99999999/"), ["E003"]),
        (upstream(BASE_URL="https://user:word@crm.example.com/"), ["E003"]),
        (upstream(BASE_URL=f"{URL}?key=1"), ["E003"]),
        (upstream(BASE_URL=f"{URL}#top"), ["E003"]),
        (upstream(BACKEND="jwt_upstream.backends.LexicBackend"), ["E004"]),
        (upstream(BACKEND="nowhere.Backend"), ["E004"]),
        (upstream(BACKEND="json.JSONDecoder"), ["E004"]),
        (upstream(BACKEND=None), ["E004"]),
        ({"crm": {"BASE_URL": URL}}, ["W010"]),
        (upstream(OPTIONS={"login_pth": "x"}), ["E005"]),
        (upstream(OPTIONS={"login_path": 5, "deadline": "soon"}), ["E005", "E005"]),
        (upstream(OPTIONS={"body_format": "xml"}), ["E005"]),
        (upstream(OPTIONS={"caller_authorization": "keep"}), ["E005"]),
        (upstream(BACKEND=f"{__name__}.Picky"), ["E005"]),
        (upstream(OPTIONS={"login_path": "http://[bad/"}), ["E005"]),
        (upstream(OPTIONS={"deadline": 20}), ["E009"]),
        (upstream(BACKEND="jwt_upstream.backends.OAuth2Backend"), ["E010"]),
        (upstream(OPTIONS={"refresh_path": "http://sso.example.com/token"}), ["W001"]),
        (upstream(OPTIONS={"refresh_path": "HTTP://sso.example.com/token"}), ["W001"]),
        (upstream(OPTIONS={"device_path": "http://sso.example.com/device"}), ["W001"]),
        (upstream(OPTIONS={"authorize_path": "http://sso.example.com/authorize"}), ["W001"]),
        (upstream(OPTIONS={"revoke_path": "http://sso.example.com/revoke"}), ["W001"]),
        (upstream(BASE_URL="http://localhost/", OPTIONS={"origins": ["http://files.example.com"]}), ["W001"]),
        (upstream(OPTIONS={"login_steps": [{"path": "http://sso.example.com/nonce"}]}), ["W001"]),
        (upstream(OPTIONS={"login_steps": [{"path": "nonce", "keep": {"a": "a"}}], "login_path": "{a}/x"}), []),
        (upstream(OPTIONS={"refresh_path": "https://sso.example.com/token"}), []),
        (upstream(OPTIONS={"refresh_path": "//evil.example.com/token"}), ["E005"]),
        (upstream(OPTIONS={"login_path": "//crm.example.com:8443/token"}), ["E005"]),
        (upstream(OPTIONS={"refresh_path": "HTTP:token"}), ["E005"]),
        (upstream(OPTIONS={"refresh_path": "ftp://crm.example.com/token"}), ["E005"]),
        (upstream(OPTIONS={"refresh_path": "/token?next=https://crm.example.com/"}), []),
    ],
)
def test_upstreams(settings: Any, value: Any, ids: list[str]) -> None:
    """Each mistake in JWT_UPSTREAM is found, and nothing else."""
    settings.JWT_UPSTREAM = value
    assert found(checks.check_settings()) == ids


def test_secret_that_cannot_be_read(settings: Any, tmp_path: Path) -> None:
    """A missing file is warned of, since it may be there when the site runs; a callable is not called."""
    options = {"client_secret": [f"file:{tmp_path}/none", list], "client_id": "we"}
    login = {"username": "call:nowhere.at_all", "password": f"file:{tmp_path}/none"}
    settings.JWT_UPSTREAM = upstream(OPTIONS={**options, "cert": (str(tmp_path), "us.key")}, LOGIN=login)
    warnings = checks.check_settings()
    assert found(warnings) == ["W008", "W008", "W008", "W008"]
    assert "cert names 'us.key', and there is no such file" in warnings[3].msg
    assert f"client_secret can't be read from '{tmp_path}/none': No such file" in warnings[0].msg


def test_every_upstream_is_checked(settings: Any) -> None:
    """A mistake in one upstream doesn't hide another's."""
    settings.JWT_UPSTREAM = {"crm": {"BACKEND": PLAIN}, "erp": {**CRM, "TIMEOUT": 5}}
    assert found(checks.check_settings()) == ["E003", "E002"]


def test_password_in_the_url_is_not_shown(settings: Any) -> None:
    """The message about a password in BASE_URL doesn't repeat it."""
    settings.JWT_UPSTREAM = upstream(BASE_URL="https://user:hunter2@crm.example.com/")
    assert "hunter2" not in str(checks.check_settings())


@pytest.mark.parametrize(
    ("url", "debug", "ids"),
    [
        ("http://crm.example.com/", False, ["W001"]),
        ("http://crm.example.com/", True, []),
        ("http://localhost:8000/", False, []),
        ("http://127.0.0.1/", False, []),
        ("http://[::1]:8000/", False, []),
        ("http://localhost.example.com/", False, ["W001"]),
    ],
)
def test_unencrypted_upstream(settings: Any, url: str, debug: bool, ids: list[str]) -> None:
    """http:// is warned of unless it stays on the machine or DEBUG is on."""
    settings.JWT_UPSTREAM, settings.DEBUG = upstream(BASE_URL=url), debug
    assert found(checks.check_settings()) == ids


@pytest.mark.parametrize(("value", "ids"), [("2027-01-31", []), ("31.1.2027", ["E005"]), (20270131, ["E005"])])
def test_expiry_of_the_client_secret(settings: Any, value: Any, ids: list[str]) -> None:
    """When a client secret expires is an ISO date."""
    settings.JWT_UPSTREAM = upstream(OPTIONS={"client_secret_expires_at": value})
    assert found(checks.check_settings()) == ids


@pytest.mark.parametrize(
    ("value", "ids"), [([], []), (["ops@example.com"], []), ("ops@example.com", ["E016"]), ([1], ["E016"])]
)
def test_recipients(settings: Any, value: Any, ids: list[str]) -> None:
    """An upstream's own recipients are a list of mail addresses."""
    settings.JWT_UPSTREAM = upstream(NOTIFY=value)
    assert found(checks.check_settings()) == ids


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (upstream(OPTIONS={"verify": False}), ["W005"]),
        (upstream(OPTIONS={"verify": True}), []),
        (upstream(OPTIONS={"verify": "ca.pem"}), []),
        (upstream(BASE_URL="nonsense"), []),
        ([], []),
    ],
)
def test_certificates_that_are_not_verified(settings: Any, value: Any, ids: list[str]) -> None:
    """An upstream whose certificate is not verified is good enough to develop with, and a warning at deployment."""
    settings.JWT_UPSTREAM = value
    assert "W005" not in found(checks.check_settings())
    assert found(checks.check_verification()) == ids


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({"BACKEND": "jwt_upstream.backends.LexicBackend"}, "did you mean 'jwt_upstream.backends.LexikBackend'?"),
        ({"BACKEND": "LexikBackend"}, "did you mean 'jwt_upstream.backends.LexikBackend'?"),
        ({"BACKEND": "jwt_upstream.backend.LexikBackend"}, "did you mean 'jwt_upstream.backends.LexikBackend'?"),
        ({"BACKEND": f"{__name__}.Pikcy"}, f"did you mean '{__name__}.Picky'?"),
        ({"OPTIONS": {"login_pth": "x"}}, "did you mean 'login_path'?"),
        ({"OPTIONS": {"body_format": "jsn"}}, "did you mean 'json'?"),
        ({"OPTIONS": {"signing_algorithm": "RS265"}}, "did you mean 'RS256'?"),
        ({"OPTIONS": {"rules": [{"verdict": "locke"}]}}, "did you mean 'LOCKED'?"),
        ({"OPTIONS": {"rules": [{"verdict": "LOCKED", "were": "api"}]}}, "did you mean 'where'?"),
        ({"OPTIONS": {"rules": [{"verdict": "LOCKED", "where": "apis"}]}}, "did you mean 'api'?"),
        ({"OPTIONS": {"login_steps": [{"pth": "x"}]}}, "did you mean 'path'?"),
        ({"OPTIONS": {"login_steps": [{"path": "x", "method": "PSOT"}]}}, "did you mean 'POST'?"),
        ({"OPTIONS": {"refresh_fields": {"a": "{refrsh}"}}}, "did you mean 'refresh'?"),
        ({"OPTIONS": {"revoke_fields": {"a": "{tokn}"}}}, "did you mean 'token'?"),
        ({"OPTIONS": {"device_fields": {"a": "{devicecode}"}}}, "did you mean 'device_code'?"),
        ({"OPTIONS": {"api_headers": {"A": "{acess}"}}}, "did you mean 'access'?"),
        ({"LOGIN": {"username": "x", "password": "y", "pasword": "z"}}, "did you mean 'password'?"),
        ({"OPTIONSS": {}}, "did you mean 'OPTIONS'?"),
    ],
    ids=str,
)
def test_did_you_mean(settings: Any, written: dict[str, Any], text: str) -> None:
    """Of an unknown name the message or its hint says what it may have been meant to be, and lists ten at most."""
    settings.JWT_UPSTREAM = upstream(**written)
    (message,) = checks.check_settings()
    said = f"{message.msg} {message.hint}"
    assert text in said
    assert "?." not in said
    assert said.count(",") <= 12


def test_name_like_no_other(settings: Any) -> None:
    """A name that is like none is not taken for one."""
    settings.JWT_UPSTREAM = upstream(BACKEND="nowhere.Xyz")
    assert "did you mean" not in str(checks.check_settings())
