"""System checks of whom incidents are told to."""

from __future__ import annotations

from typing import Any

import django
import pytest

from jwt_upstream import checks
from tests.support.checks import found, upstream


def test_no_admins(settings: Any) -> None:
    """A project with upstreams and without ADMINS hears that nobody will hear."""
    settings.ADMINS = []
    assert found(checks.check_settings()) == ["W002"]


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ([], ["W006"]),
        (["jwt_upstream.alerts.log", print], []),
        (("jwt_upstream.alerts.mail",), []),
        ("jwt_upstream.alerts.mail", ["E013"]),
        (None, ["E013"]),
        ([None], ["E013"]),
        (["jwt_upstream.alerts.fax"], ["E013"]),
        (["nowhere.tell"], ["E013"]),
        (["jwt_upstream.__version__"], ["E013"]),
        (["jwt_upstream.alerts.log", "jwt_upstream.alerts.log"], ["E013"]),
        (["jwt_upstream.alerts.webhook"], ["E015"]),
    ],
)
def test_notifiers(settings: Any, value: Any, ids: list[str]) -> None:
    """Whom incidents are told to is a list of callables or their paths, each once; nobody is a warning."""
    settings.JWT_UPSTREAM_NOTIFIERS = value
    assert found(checks.check_settings()) == ids


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("jwt_upstream.alerts.mial", "jwt_upstream.alerts.mail"),
        ("jwt_upstream.alert.webhook", "jwt_upstream.alerts.webhook"),
        ("jwt_upstream.log", "jwt_upstream.alerts.log"),
        ("mail", "jwt_upstream.alerts.mail"),
        (f"{__name__}.tell_opps", f"{__name__}.tell_ops"),
        ("jwt_upstream.alerts.fax", None),
        ("shop.alerts.mail", None),
    ],
)
def test_did_you_mean(settings: Any, written: str, meant: str | None) -> None:
    """A misspelt path is answered with the notifier that is like it, one of ours or of the module that it names."""
    settings.JWT_UPSTREAM_NOTIFIERS = [written]
    (error,) = checks.check_settings()
    assert error.msg.partition("; did you mean ")[2] == (f"'{meant}'?" if meant else "")


def tell_ops(alert: Any) -> None:
    """A notifier of a project's own."""


def test_recipients_in_place_of_admins(settings: Any) -> None:
    """ADMINS may be empty if every upstream has recipients of its own, or nobody is told by mail."""
    settings.ADMINS, settings.JWT_UPSTREAM = [], upstream(NOTIFY=["ops@example.com"])
    assert checks.check_settings() == []
    settings.JWT_UPSTREAM = {**upstream(), "erp": upstream(NOTIFY=["ops@example.com"])["crm"]}
    assert found(checks.check_settings()) == ["W002"]
    settings.JWT_UPSTREAM_NOTIFIERS = ["jwt_upstream.alerts.log"]
    assert checks.check_settings() == []


@pytest.mark.parametrize(
    ("url", "secret", "ids"),
    [
        ("https://chat.example.com/hook", "s3cret", []),
        ("https://chat.example.com/hook", "", ["E015"]),
        ("chat.example.com", "s3cret", ["E015"]),
        ("https://chat.example.com:x/hook", "s3cret", ["E015"]),
    ],
)
def test_webhook(settings: Any, url: str, secret: str, ids: list[str]) -> None:
    """A webhook needs a URL and a secret, of which the message shows neither."""
    settings.JWT_UPSTREAM_WEBHOOK_URL, settings.JWT_UPSTREAM_WEBHOOK_SECRET = url, secret
    messages = checks.check_settings()
    assert found(messages) == ids
    assert "chat" not in str(messages)
    assert "s3cret" not in str(messages)


@pytest.mark.parametrize(("value", "ids"), [("ops.example.com", ["E014"]), ("https://ops.example.com/x", [])])
def test_site_url(settings: Any, value: str, ids: list[str]) -> None:
    """The site's URL is one."""
    settings.JWT_UPSTREAM_SITE_URL = value
    assert found(checks.check_settings()) == ids


def test_links_of_a_deployment(settings: Any) -> None:
    """At deployment a missing site's URL is a warning, unless there is no admin to link to."""
    assert found(checks.check_site()) == ["W007"]
    settings.JWT_UPSTREAM_SITE_URL = "https://ops.example.com"
    assert checks.check_site() == []


@pytest.mark.parametrize("value", ["14", -1, None, True, 40_000])
def test_bad_days(settings: Any, value: Any) -> None:
    """Days are a number that is not negative, and no more than a century's."""
    settings.JWT_UPSTREAM_EXPIRY_WARNING_DAYS = value
    assert found(checks.check_settings()) == ["E017"]
    settings.JWT_UPSTREAM_EXPIRY_WARNING_DAYS, settings.JWT_UPSTREAM_EVENT_DAYS = 14, value
    assert found(checks.check_settings()) == ([] if value is None else ["E017"])


@pytest.mark.parametrize(
    ("backend", "changed", "ids"),
    [
        ("django.core.mail.backends.smtp.EmailBackend", {}, []),
        ("anymail.backends.mailgun.EmailBackend", {}, []),
        ("django.core.mail.backends.console.EmailBackend", {}, ["W011"]),
        ("django.core.mail.backends.dummy.EmailBackend", {}, ["W011"]),
        ("django.core.mail.backends.console.EmailBackend", {"DEBUG": True}, []),
        ("django.core.mail.backends.console.EmailBackend", {"JWT_UPSTREAM": {}}, []),
        (
            "django.core.mail.backends.console.EmailBackend",
            {"JWT_UPSTREAM_NOTIFIERS": ["jwt_upstream.alerts.log"]},
            [],
        ),
        ("django.core.mail.backends.console.EmailBackend", {"JWT_UPSTREAM_NOTIFIERS": None}, []),
    ],
)
def test_mail_backend(settings: Any, backend: str, changed: dict[str, Any], ids: list[str]) -> None:
    """At deployment a mail backend that sends nothing is a warning, if it is what admins are told by."""
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend
    for name, value in changed.items():
        setattr(settings, name, value)
    assert found(checks.check_mail()) == ids


def test_mailers(settings: Any) -> None:
    """Django 6.1 has MAILERS in place of EMAIL_BACKEND; without a backend it is SMTP."""
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    assert found(checks.check_mail()) == ["W011"]
    settings.MAILERS = {"default": {}}
    assert checks.check_mail() == []
    settings.MAILERS = {"newsletter": {}}
    (warning,) = checks.check_mail()
    assert warning.msg == (
        "Messages about incidents are mailed, but MAILERS has no entry 'default', so no one is told."
    )
