"""Tries the wheel of ``dist`` without any extra, and with each extra alone: what needs it works, and all else too.

The databases are those of TOX_POSTGRES and TOX_MYSQL; without them the drivers are only loaded.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import PathDistribution
from pathlib import Path
from zipfile import Path as PathInZip
from zipfile import ZipFile

import environ
from packaging.requirements import Requirement

from release.project import SHELL, Failed, Project, upstream, wheel
from release.smoke import CALL

#: The modules that need an extra, and those that need a package which is nobody's extra. All others need none.
NEEDED = {
    "jwt_upstream.client.over_httpx": "httpx",
    "jwt_upstream.httpx_auth": "httpx",
    "jwt_upstream.monitoring.opentelemetry": "opentelemetry",
    "jwt_upstream.monitoring.prometheus": "prometheus",
}
OTHERS = {"monitoring.health_check", "pytest_plugin", "views.ninja", "views.rest_framework"}
# Prints the modules that can't be imported.
IMPORTS = """
from django.core.management import call_command
call_command("check", fail_level="WARNING")
call_command("migrate", verbosity=0)
import importlib, json, pkgutil, jwt_upstream
failed = []
for module in pkgutil.walk_packages(jwt_upstream.__path__, "jwt_upstream.", onerror=lambda name: None):
    try:
        importlib.import_module(module.name)
    except ImportError:
        failed.append(module.name)
print("failed", json.dumps(failed))
"""
# Of a project's own suite, for which Django makes and removes a database.
TEST = """
from django.test import TransactionTestCase
from jwt_upstream.client import UpstreamClient

class Orders(TransactionTestCase):
    def test_call(self):
        client = UpstreamClient("crm")
        client.login(username="someone", password="secret")
        self.assertEqual(client.get("orders/").json(), {"orders": [1, 2]})
"""
AWAITED = """
from asgiref.sync import async_to_sync
from jwt_upstream.httpx_auth import AsyncUpstreamClient
async def call():
    async with AsyncUpstreamClient("crm") as client:
        print("awaited", (await client.get("orders/")).json())
async_to_sync(call)()
"""


@dataclass(frozen=True)
class Part:
    """An extra, settings with which it is used, and code whose output shows that it works."""

    extra: str
    code: str = ""
    shows: str = ""
    settings: str = ""
    #: The variable that names the server, for a driver.
    server: str = ""
    has_pool: bool = False


_NO_LOSS = "'refreshed': 0, 'failed': 0"
PARTS = (
    Part(""),
    Part("celery", "from jwt_upstream import tasks; print(tasks.celery_refresh_due())", _NO_LOSS),
    Part("tasks", "from jwt_upstream import tasks; print(tasks.django_refresh_due.enqueue().return_value)", _NO_LOSS),
    Part("httpx", AWAITED, "awaited {'orders': [1, 2]}"),
    Part(
        "prometheus",
        "from prometheus_client import generate_latest; print(generate_latest().decode())",
        "jwt_upstream_calls_total{",
        "JWT_UPSTREAM_METRICS = ['prometheus']\n",
    ),
    Part(
        "opentelemetry",
        "import sys; print('measured', 'jwt_upstream.monitoring.opentelemetry' in sys.modules)",
        "measured True",
        "JWT_UPSTREAM_METRICS = ['opentelemetry']\n",
    ),
    Part("postgres", "import psycopg; print('has', psycopg.__version__)", "has 3.", server="TOX_POSTGRES"),
    Part("postgres", "import psycopg_pool; print('has a pool')", "has a pool", server="TOX_POSTGRES", has_pool=True),
    Part("mysql", "import MySQLdb; print('has', MySQLdb.version_info)", "has (2,", server="TOX_MYSQL"),
)


def requirements(extra: str) -> list[str]:
    """Return what the wheel says that an extra needs."""
    with ZipFile(wheel()) as opened:
        (folder,) = (path for path in PathInZip(opened).iterdir() if path.name.endswith(".dist-info"))
        needed = PathDistribution(folder).requires or []
    found = [each for each in map(Requirement, needed) if each.marker and each.marker.evaluate({"extra": extra})]
    return [f"{each.name}{'[' + ','.join(each.extras) + ']' if each.extras else ''}{each.specifier}" for each in found]


class Trial:
    """A part that is tried, in settings and with libraries of its own."""

    def __init__(self, project: Project, number: int, part: Part) -> None:
        self._project, self._part = project, part
        self._libraries = project.folder / f"libraries{number}"
        self._settings = project.folder / "site_of_mine" / f"settings{number}.py"
        self._variables = {
            "PYTHONPATH": str(self._libraries),
            "DJANGO_SETTINGS_MODULE": f"site_of_mine.settings{number}",
        }
        name = f"DATABASES['default']['NAME'] = BASE_DIR / '{number}.sqlite3'"
        self._settings.write_text(f"from site_of_mine.settings import *\n{name}\n{part.settings}")

    def run(self) -> str:
        """Return what was tried, on one line; raises Failed."""
        began = time.monotonic()
        pool = ["psycopg[pool]>=3.2"] if self._part.has_pool else []
        if needed := [*requirements(self._part.extra), *pool]:
            self._project.install("--target", str(self._libraries), *needed)
        self._use()
        database = self._call_on_server()
        what = self._part.extra + (" with a pool" if self._part.has_pool else "") or "no extra"
        return f"{what}{database}: works ({time.monotonic() - began:.0f} s)"

    def _use(self) -> None:
        printed = self._project.run("manage.py", *SHELL, IMPORTS + CALL + self._part.code, **self._variables)
        failed = json.loads(next(line[7:] for line in printed.splitlines() if line.startswith("failed ")))
        expected = {name for name, extra in NEEDED.items() if extra != self._part.extra}
        expected |= {f"jwt_upstream.{name}" for name in OTHERS}
        if set(failed) != expected:
            raise Failed(f"{self._part}: can't be imported: {failed}; expected: {sorted(expected)}.")
        if "'orders': [1, 2]" not in printed or self._part.shows not in printed:
            raise Failed(f"{self._part}: printed {printed!r}.")

    def _call_on_server(self) -> str:
        part = self._part
        server = os.environ.get(part.server)
        if not server:
            return f", without a server, which {part.server} would name" if part.server else ""
        name = f"jwt_upstream_extras_{os.getpid()}{'_pool' if part.has_pool else ''}"
        database = {**environ.Env.db_url_config(server), "TEST": {"NAME": name}}
        if part.has_pool:
            database["OPTIONS"] = {"pool": True}
        with self._settings.open("a") as settings:
            settings.write(f"DATABASES = {{'default': {database!r}}}\n")
        (self._project.folder / "site_of_mine" / "tests.py").write_text(TEST)
        self._project.run("-W", "error", "manage.py", "test", "--no-input", **self._variables)
        return f" on {part.server}"


def main() -> str | None:
    """Return what is wrong, if anything."""
    with upstream() as url, tempfile.TemporaryDirectory() as folder:
        try:
            project = Project(Path(folder), url)
            for number, part in enumerate(PARTS):
                print(Trial(project, number, part).run(), flush=True)
        except Failed as error:
            return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main())
