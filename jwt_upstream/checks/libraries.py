"""What is installed beside the app: libraries with which a guarantee does not hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata

import urllib3
from django.core.checks import CheckMessage, Error, Warning

#: In the order in which urllib3 prefers them; all of them decode Brotli.
_BROTLI = ("brotlicffi", "Brotli", "brotlipy")


def libraries() -> Iterator[CheckMessage]:
    """Yield the problems of urllib3 and Brotli."""
    if hasattr(urllib3, "ConnectionInfo"):
        text = "urllib3-future is installed in the place of urllib3: the deadline of logins and refreshes is not kept."
        hint = (
            "Uninstall urllib3-future, then reinstall urllib3. niquests can be installed beside it: "
            "URLLIB3_NO_OVERRIDE=1 pip install niquests --no-binary urllib3-future"
        )
        yield Error(text, hint=hint, id="jwt_upstream.E011")
    name, version = next(filter(None, map(_installed, _BROTLI)), ("", "1.2"))
    if [int(number) for number in re.findall(r"\d+", version)[:2]] < [1, 2]:
        text = f"{name} {version} is installed: a small compressed answer of an upstream can fill the memory."
        yield Warning(text, hint="Install Brotli 1.2 (brotlicffi 1.2) or later, or none.", id="jwt_upstream.W004")


def _installed(name: str) -> tuple[str, str] | None:
    try:
        return name, metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
