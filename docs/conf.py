"""Sphinx: the pages of this folder, with docstrings of the package where a page asks for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from jwt_upstream import __version__  # noqa: E402 -- found by the path above

project = "django-jwt-upstream"
author = "The django-jwt-upstream authors"
copyright = f"2026, {author}"
version = release = __version__
extensions = ["sphinx.ext.autodoc"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = f"django-jwt-upstream {__version__}"
nitpicky = False
