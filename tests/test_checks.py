"""System checks: what is wrong in settings is said at start-up, by an id and with a hint."""

from __future__ import annotations

from collections.abc import Iterable
from io import StringIO
from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from jwt_upstream import checks
from jwt_upstream.backends import Backend

URL = "https://crm.example.com/api/"


class Picky(Backend):
    """A project's own backend with a check of its own."""

    def check(self) -> Iterable[str]:
        """Find fault with everything."""
        yield "nothing is good enough"


def found(messages: list[CheckMessage]) -> list[str]:
    """Return the ids, having seen that each message says what to do and is one sentence."""
    for message in messages:
        assert message.hint
        assert "\n" not in message.msg
    return [str(message.id).removeprefix("jwt_upstream.") for message in messages]


def upstream(**settings: Any) -> dict[str, Any]:
    """Return JWT_UPSTREAM with one upstream."""
    return {"crm": {"BASE_URL": URL, **settings}}


def test_good_settings() -> None:
    """The suite's own settings have nothing wrong."""
    assert checks.check_settings() == []
    assert checks.check_keys() == []


def test_nothing_configured(settings: Any) -> None:
    """A project that has just installed the app is not bothered."""
    settings.JWT_UPSTREAM, settings.ADMINS = {}, []
    assert checks.check_settings() == []


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (["crm"], ["E001"]),
        (None, ["E001"]),
        ({"": {"BASE_URL": URL}}, ["E001"]),
        ({"x" * 101: {"BASE_URL": URL}}, ["E001"]),
        ({5: {"BASE_URL": URL}}, ["E001"]),
        ({"-crm": {"BASE_URL": URL}}, ["E001"]),
        ({"c\x1b[31mrm": {"BASE_URL": URL}}, ["E001"]),
        ({"crm\u202e": {"BASE_URL": URL}}, ["E001"]),
        ({"crm": URL}, ["E002"]),
        (upstream(OPTIONS=["login"]), ["E002"]),
        (upstream(OPTIONS={5: "login"}), ["E002"]),
        (upstream(BASEURL=URL, TIMEOUT=5), ["E002", "E002"]),
        ({"crm": {}}, ["E003"]),
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


def test_every_upstream_is_checked(settings: Any) -> None:
    """A mistake in one upstream doesn't hide another's."""
    settings.JWT_UPSTREAM = {"crm": {}, "erp": {"BASE_URL": URL, "TIMEOUT": 5}}
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


def test_no_admins(settings: Any) -> None:
    """A project with upstreams and without ADMINS hears that nobody will hear."""
    settings.ADMINS = []
    assert found(checks.check_settings()) == ["W002"]


@pytest.mark.parametrize(
    ("keys", "ids"),
    [
        ("one string", ["E006"]),
        (None, ["E006"]),
        ([5], ["E006"]),
        (["too short", "ö"], ["E006", "E006"]),
    ],
)
def test_bad_keys(settings: Any, keys: Any, ids: list[str]) -> None:
    """Keys that are none are found, and not shown."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = keys
    messages = checks.check_settings()
    assert found(messages) == ids
    assert "too short" not in str(messages)


@pytest.mark.parametrize("value", ["30", None, True, -1, float("inf"), float("nan")])
def test_bad_seconds(settings: Any, value: Any) -> None:
    """What must be a number of seconds is checked to be one."""
    settings.JWT_UPSTREAM_LEASE_SECONDS = value
    assert found(checks.check_settings()) == ["E008"]


@pytest.mark.parametrize("name", ["JWT_UPSTREAMS", "JWT_UPSTREAM_ENCRYPTION_KEY"])
def test_unknown_setting(settings: Any, name: str) -> None:
    """A setting that looks like one of the app's and is none is taken for a slip of the pen."""
    setattr(settings, name, "x")
    (message,) = checks.check_settings()
    assert found([message]) == ["E007"]
    assert message.msg == f"Unknown setting {name}."


def test_derived_key(settings: Any) -> None:
    """Keys derived from SECRET_KEY are good enough to develop with, and a warning at deployment."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = []
    assert checks.check_settings() == []
    assert found(checks.check_keys()) == ["W003"]


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


def test_wiring(settings: Any) -> None:
    """manage.py check finds what the checks find; --deploy adds the warnings that are for deployments."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = []
    settings.JWT_UPSTREAM = upstream(TIMEOUT=5, OPTIONS={"verify": False})
    errors = StringIO()
    with pytest.raises(SystemCheckError, match=r"jwt_upstream\.E002") as caught:
        call_command("check", stdout=errors, stderr=errors)
    assert "W003" not in str(caught.value)
    with pytest.raises(SystemCheckError, match=r"(?s)jwt_upstream\.W003.*jwt_upstream\.W005"):
        call_command("check", deploy=True, stdout=errors, stderr=errors)


def test_tenants_whose_schema_can_not_be_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine with a schema for each tenant, to which our own connections can't be pointed, is an error."""
    monkeypatch.setattr(connection, "schema_name", "public", raising=False)
    assert [problem.id for problem in checks.check_settings()] == ["jwt_upstream.E012"]
    for name in ("set_schema", "set_tenant"):
        monkeypatch.setattr(connection, name, print, raising=False)
    assert checks.check_settings() == []
