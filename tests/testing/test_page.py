"""The page on testing: a project whose tests are those that the page shows passes them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.test_docs import DOCS, blocks

URLS = """
from django.urls import path
from shop import views
urlpatterns = [path("orders/", views.orders), path("customers/", views.customers)]
"""
#: As where the package is installed, whose entry point has pytest load the plugin.
RUN = ["-q", "-p", "no:cacheprovider", "-p", "pytest_django.plugin", "-p", "jwt_upstream.pytest_plugin", "-W", "error"]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a project of its own, whose settings are ``settings``."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(DOCS.parent)]),
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    command = [sys.executable, "-m", "pytest", *RUN, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_page(tmp_path: Path) -> None:
    """Every test of the page passes in a project with the page's views."""
    for block in blocks("howto/testing.rst", "python"):
        first, _, code = block.partition("\n")
        file = tmp_path / first.removeprefix("# ")
        file.parent.mkdir(exist_ok=True)
        file.write_text(code)
    (tmp_path / "shop" / "urls.py").write_text(URLS)
    (tmp_path / "settings.py").write_text("from tests.settings import *\nROOT_URLCONF = 'shop.urls'\n")
    done = run(tmp_path, "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "18 passed" in done.stdout


WITHOUT_DJANGO = """
import subprocess, sys
def test_nothing_is_loaded(pytestconfig):
    assert pytestconfig.pluginmanager.hasplugin("jwt_upstream.pytest_plugin")
    assert not [name for name in sys.modules if name.split(".")[0] in ("django", "requests", "httpx", "httpx2")]
"""


def test_plugin_costs_nothing(tmp_path: Path) -> None:
    """A run of pytest that has no use for the plugin loads neither Django nor a library for HTTP."""
    (tmp_path / "test_it.py").write_text(WITHOUT_DJANGO)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "jwt_upstream.pytest_plugin"]
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
