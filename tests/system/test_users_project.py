"""The tests of a project that uses the app: its TestCases and pytest tests, with SQLite in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = """
SECRET_KEY = "x"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "jwt_upstream"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
ROOT_URLCONF = "shop"
JWT_UPSTREAM = {"crm": {"BACKEND": "jwt_upstream.backends.SimpleJWTBackend", "BASE_URL": "https://crm.example.com/"}}
"""

SHOP = """
from django.http import JsonResponse
from django.urls import path

from jwt_upstream.client import UpstreamClient

crm = UpstreamClient("crm")  # one for the whole life of a worker, which here is that of all tests


def orders(request):
    return JsonResponse({"orders": crm.get("orders/").json()})


urlpatterns = [path("orders/", orders)]
"""

CASES = """
import responses
from django.db import transaction
from django.test import TestCase, TransactionTestCase

from jwt_upstream.exceptions import AccountLocked, CredentialRejected, NotLoggedIn
from jwt_upstream.models import Credential, Event
from jwt_upstream.testing import FakeUpstream, logged_in

BEARER = responses.matchers.header_matcher


def answer(mock, access, orders):
    mock.get("https://crm.example.com/orders/", json=orders, match=[BEARER({"Authorization": f"Bearer {access}"})])


class Steps:
    def step(self, number):
        # What the tests before have stored, and what the client remembers of it, is gone.
        self.assertFalse(Credential.objects.exists() or Event.objects.exists())
        with self.assertRaises(NotLoggedIn):
            self.client.get("/orders/")
        logged_in("crm", access=f"stale-{number}", refresh=f"refresh-{number}")
        with responses.RequestsMock() as mock:
            stale = BEARER({"Authorization": f"Bearer stale-{number}"})
            mock.get("https://crm.example.com/orders/", status=401, match=[stale])
            mock.post("https://crm.example.com/token/refresh/", json={"access": f"fresh-{number}", "refresh": "next"})
            answer(mock, f"fresh-{number}", [number])
            with transaction.atomic():
                self.assertEqual(self.client.get("/orders/").json(), {"orders": [number]})
        self.assertEqual(Credential.objects.get().pair.refresh, "next")
        with responses.RequestsMock() as mock:
            mock.get("https://crm.example.com/orders/", status=401)
            mock.post("https://crm.example.com/token/refresh/", status=401, json={"code": "token_not_valid"})
            with self.assertRaises(CredentialRejected):
                self.client.get("/orders/")
        self.assertEqual(Credential.objects.get().state, "rejected")

    def test_first(self):
        self.step(1)

    def test_second(self):
        self.step(2)


class InATransaction(Steps, TestCase):
    pass


class Committed(Steps, TransactionTestCase):
    pass


class SetUpForAll(TestCase):
    @classmethod
    def setUpTestData(cls):
        logged_in("crm", access="of-all")

    def read(self):
        with responses.RequestsMock() as mock:
            answer(mock, "of-all", [])
            self.assertEqual(self.client.get("/orders/").json(), {"orders": []})

    def test_as_it_was_set_up(self):
        self.read()
        logged_in("crm", access="another")

    def test_still_as_it_was_set_up(self):
        self.read()
        logged_in("crm", access="another")


class WithAFake(TestCase):
    def setUp(self):
        self.crm = self.enterContext(FakeUpstream("crm"))
        self.crm.answer("GET", "orders/", json=[7])

    def test_expired(self):
        self.crm.expired()
        self.assertEqual(self.client.get("/orders/").json(), {"orders": [7]})
        self.assertEqual(self.crm.refreshes, 1)

    def test_locked(self):
        self.crm.locked()
        with self.assertRaises(AccountLocked):
            self.client.get("/orders/")
        self.assertEqual(Credential.objects.get().state, "locked")
"""

FUNCTIONS = """
import pytest
import responses

from jwt_upstream.exceptions import NotLoggedIn
from jwt_upstream.models import Credential
from jwt_upstream.testing import logged_in


@pytest.mark.parametrize("number", [1, 2])
def test_in_a_transaction(db, client, number):
    check(client, number)


@pytest.mark.parametrize("number", [3, 4])
def test_committed(transactional_db, client, number):
    check(client, number)


@responses.activate
def check(client, number):
    assert not Credential.objects.exists()
    with pytest.raises(NotLoggedIn):
        client.get("/orders/")
    logged_in("crm", access=f"access-{number}", expires_in=0)
    responses.post("https://crm.example.com/token/refresh/", json={"access": f"new-{number}"})
    responses.get("https://crm.example.com/orders/", json=[number])
    assert client.get("/orders/").json() == {"orders": [number]}
    assert responses.calls[-1].request.headers["Authorization"] == f"Bearer new-{number}"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project with tests."""
    files = {"config.py": SETTINGS, "shop.py": SHOP, "tests_cases.py": CASES, "test_functions.py": FUNCTIONS}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\npython_files = test*.py\nfilterwarnings = error\n")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["django", "test", "--verbosity", "0"], "Ran 8 tests"),
        (["pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_django.plugin"], "12 passed"),
    ],
    ids=["manage.py test", "pytest"],
)
def test_users_tests(project: Path, command: list[str], says: str) -> None:
    """Everything works inside a test's transaction and outside of it, and no test sees what another one stored."""
    here = str(Path(__file__).parents[2])
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config",
        "PYTHONPATH": f"{project}{os.pathsep}{here}",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    run = [sys.executable, "-m", *command]
    ran = subprocess.run(run, cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert says in ran.stdout + ran.stderr
