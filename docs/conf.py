"""Sphinx: the pages of this folder, with docstrings of the package where a page asks for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

if TYPE_CHECKING:
    from sphinx.application import Sphinx

django.setup()

from jwt_upstream import __version__  # noqa: E402 -- found by the path above

project = "django-jwt-upstream"
author = "The django-jwt-upstream authors"
copyright = f"2026, {author}"
version = release = __version__
extensions = ["sphinx.ext.autodoc", "docs.reference_tables"]
autodoc_member_order = "bysource"
maximum_signature_line_length = 90
smartquotes = False  # of messages and commands, which are copied
html_theme = "furo"
html_title = f"django-jwt-upstream {__version__}"
nitpicky = True
#: Types in signatures: libraries', and our own that have no page, where autodoc names the file that defines them.
nitpick_ignore_regex = [
    ("py:class", r"(collections\.abc|datetime|os|requests\.models)\.\w+(\[.*)?"),
    ("py:class", r"tuple\[~jwt_upstream\.alerts\.messages\.Trouble"),
]
nitpick_ignore = [
    ("py:class", f"jwt_upstream.{name}")
    for name in (
        "alerts.messages.Trouble",
        "background.rounds.Round",
        "backends.core.verdicts.Outcome",
        "backends.core.verdicts.Verdict",
        "backends.device.DeviceCode",
        "client.async_verbs.T",
        "models.credentials.Credential",
        "store.connections.Run",
        "typing.calls.CallOptions",
    )
]


def _without_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, None] | None:
    # All errors are made in the same way, and by this package only.
    return ("", None) if what == "exception" and signature else None


def setup(app: Sphinx) -> None:
    """Connect what shortens the page of the errors."""
    app.connect("autodoc-process-signature", _without_signature)
