"""The plugin for pytest, where nobody uses it; the project of ``tests/pages`` uses it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.pages import DOCS

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
