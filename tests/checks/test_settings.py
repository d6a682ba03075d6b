"""System checks: what is wrong is said at start-up, by an id and with a hint."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from jwt_upstream import checks
from tests.support.checks import upstream


def test_good_settings() -> None:
    """The suite's own settings have nothing wrong."""
    assert checks.check_settings() == []
    assert checks.check_keys() == []


def test_nothing_configured(settings: Any) -> None:
    """A project that has just installed the app is not bothered."""
    settings.JWT_UPSTREAM, settings.ADMINS = {}, []
    assert checks.check_settings() == []


def test_wiring(settings: Any, db: None) -> None:
    """manage.py check finds what the checks find; --deploy adds the warnings that are for deployments."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = []
    settings.JWT_UPSTREAM = upstream(TIMEOUT=5, OPTIONS={"verify": False})
    errors = StringIO()
    with pytest.raises(SystemCheckError, match=r"jwt_upstream\.E002") as caught:
        call_command("check", stdout=errors, stderr=errors)
    assert "W003" not in str(caught.value)
    with pytest.raises(SystemCheckError, match=r"(?s)jwt_upstream\.W003.*jwt_upstream\.W005"):
        call_command("check", deploy=True, stdout=errors, stderr=errors)


def test_documented() -> None:
    """The list of meanings, which the reference is made of, has the id of every check, and no other."""
    sources = "".join(file.read_text() for file in Path(str(checks.__file__)).parent.glob("*.py"))
    defined = set(re.findall(r'id="jwt_upstream\.(\w+)"', sources))
    assert set(re.findall(r"^([EW]\d{3}): \w", str(checks.settings.__doc__), re.MULTILINE)) == defined
