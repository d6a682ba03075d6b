"""``manage.py`` in a process of its own, on the suite's database: ``python -m tests.support.manage``."""

from __future__ import annotations

import json
import os
import sys

import django
from django.conf import settings
from django.core.management import execute_from_command_line

from tests.support.workers import ENVIRONMENT

if __name__ == "__main__":
    django.setup()
    settings.JWT_UPSTREAM = json.loads(os.environ[ENVIRONMENT])["upstreams"]
    execute_from_command_line(["manage.py", *sys.argv[1:]])
