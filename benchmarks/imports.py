"""How long a process takes longer to start with the app: beside Django, requests and cryptography, which it needs.

Fresh processes take turns: some set up Django with its own apps and import the other two libraries, some have the app
besides and import what views do. The shortest of each counts, since all else is other work of the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks import report

_NEEDED = "import requests, cryptography.fernet, cryptography.hazmat.primitives.serialization, jwt"
_PROGRAM = """
import time
began = time.perf_counter(), time.process_time()
from django.conf import settings
settings.configure(
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", {apps}],
    JWT_UPSTREAM={{"crm": {{"BACKEND": "jwt_upstream.backends.{backend}", "BASE_URL": "https://crm.example.com/"}}}},
)
import django
django.setup()
{needed}
{imports}
import json
print(json.dumps([time.perf_counter() - began[0], time.process_time() - began[1]]))
"""
_APP = '"jwt_upstream"'
#: By name: the apps beside Django's, and what is done besides.
CASES = {
    "Django, requests, cryptography, PyJWT": ("", ""),
    "with the app": (_APP, "from jwt_upstream.client import UpstreamClient"),
    "with the app and all its backends": (
        _APP,
        "from jwt_upstream.client import UpstreamClient\nfrom jwt_upstream.backends import *",
    ),
}


def run(*, rounds: int) -> None:
    """Measure, and write the results."""
    times: dict[str, list[list[float]]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, (apps, imports) in CASES.items():
            program = _PROGRAM.format(apps=apps, imports=imports, needed=_NEEDED, backend="OAuth2Backend")
            said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
            times[name].append(json.loads(said))
    found = {name: [min(each) * 1000 for each in zip(*taken, strict=True)] for name, taken in times.items()}
    first = next(iter(found.values()))
    results: dict[str, Any] = {"machine": report.machine([]), "milliseconds": found}
    rows = [
        [name, f"{wall:.0f} ms", f"{cpu:.0f} ms", f"**{wall - first[0]:.0f} ms**", f"{wall / first[0]:.2f}"]
        for name, (wall, cpu) in found.items()
    ]
    head = ["A process that has imported", "After", "Processor time", "More", "Ratio"]
    report.save("imports", results, report.table(head, rows), f"The shortest of {rounds}.\n")
