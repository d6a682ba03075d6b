"""The code of the how-tos and of the README is one project, which passes the tests that the pages show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import DOCS, blocks

#: The first line of a block that is a file, or takes the place of one that an earlier block shows.
FILE = re.compile(r"# (?:(before|after): )?((?:shop|tests)/[\w/]+\.py)\n")
PAGES = sorted(page.relative_to(DOCS).as_posix() for page in DOCS.glob("howto/*.rst") if page.stem != "own_backend")
SETTINGS = """
from tests.settings import *
from importlib.util import find_spec
INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework", *(["social_django"] if find_spec("social_django") else [])]
ROOT_URLCONF = "urls"
TEMPLATES[0]["DIRS"] = ["templates"]
if not DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # the suite that runs this has one as well
    DATABASES["default"]["TEST"] = {"NAME": f"test_pages_{os.getpid()}"}
"""
URLS = """
from django.urls import path
from shop import accounts, api, async_views, connecting, more_async_views, views
from shop.urls import urlpatterns as of_ninja
urlpatterns = [
    path("orders/", views.orders),
    path("customers/", views.customers),
    path("accounts/orders/", accounts.orders, name="orders"),
    path("accounts/connect/", connecting.connect),
    path("api/orders/", api.Orders.as_view()),
    *of_ninja,
    path("async/orders/", async_views.orders),
    path("async/customers/", more_async_views.customers),
]
"""
README_URLS = """
from django.urls import path
import readme
urlpatterns = [path("orders/", readme.orders)]
"""
#: Files that are run by another test: what sends to others, and what needs a library that this suite may lack.
ELSEWHERE = {
    "shop/adopting_social.py": "sdks/test_howtos.py",
    "shop/consumers.py": "sdks/test_howtos.py",
    "shop/notifiers.py": "test_docs.py",
    "shop/sentry.py": "test_docs.py",
    "shop/tenant_tasks.py": "support/tenants/__main__.py",
}
#: As where the package is installed, whose entry point has pytest load the plugin.
RUN = ["-q", "-p", "no:cacheprovider", "-p", "pytest_django.plugin", "-p", "jwt_upstream.pytest_plugin", "-W", "error"]
# social-auth's OpenID, where that is installed.
RUN += ["-W", "ignore:defusedxml"]


def files() -> dict[str, str]:
    """Return the files that the pages show, by path; one name is used by one page."""
    found: dict[str, str] = {}
    for page in PAGES:
        for block in blocks(page, "python"):
            if (first := FILE.match(block)) and first[1] != "before":
                assert first[2] not in found, f"{page}: another page has {first[2]}"
                found[first[2]] = block
    return found


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a project whose settings are ``settings``."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(DOCS.parent)]),
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "",
    }


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a project of its own."""
    command = [sys.executable, "-m", "pytest", *RUN, *arguments]
    return subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=120)


def outcome(folder: Path) -> str:
    """Return what pytest says of the project of the pages, in an empty folder; fail if it is not good."""
    handler = next(block for block in blocks("howto/rest_framework.rst", "python") if "# settings.py" in block)
    accounts = next(blocks("howto/accounts.rst", "python")).replace("JWT_UPSTREAM = ", "JWT_UPSTREAM |= ")
    own = {"settings.py": SETTINGS + handler + accounts, "urls.py": URLS, "readme_urls.py": README_URLS}
    own["readme.py"] = next(blocks("../README.rst", "python"))
    own["templates/connect.html"] = "{{ form.as_p }}"
    for name, code in {**files(), **own}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(code)
    shutil.copy(Path(__file__).with_name("in_project.py"), folder / "tests" / "test_pages.py")
    done = run(folder, "tests", "shop")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def unused(folder: Path) -> set[str]:
    """Return the pages' files that nothing has imported, and so compiled, in a project that has been tested."""
    paths = {name: folder / name for name in files()}
    return {name for name, path in paths.items() if not list(path.parent.glob(f"__pycache__/{path.stem}.*"))}


@pytest.mark.slow
def test_project(tmp_path: Path) -> None:
    """Every test of the pages passes in a project with their files, and so do ours of what these don't test.

    Two need libraries that ``tests/sdks`` has.
    """
    assert re.search(r"\b(35 passed, 2 skipped|37 passed)\b", outcome(tmp_path))
    assert unused(tmp_path) <= ELSEWHERE.keys()


def test_files_elsewhere() -> None:
    """A file that is not imported here is named by the test that runs it, or its page is."""
    for name, test in ELSEWHERE.items():
        (page,) = (page for page in PAGES if any(f"# {name}\n" in block for block in blocks(page, "python")))
        text = (DOCS.parent / "tests" / test).read_text()
        assert name in text or f'blocks("{page}", "python")' in text, (name, test)
