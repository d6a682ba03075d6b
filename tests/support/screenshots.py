"""The pictures that the documentation shows; ``make screenshots`` keeps them."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.chromium import Chromium

_MOST_BYTES = 150_000


def keep(name: str, chromium: Chromium, of: str = "") -> None:
    """Take a picture that the documentation shows, check its size, and keep it where SCREENSHOTS says."""
    picture = chromium.picture(of)
    assert 5_000 < len(picture) < _MOST_BYTES
    if folder := os.environ.get("SCREENSHOTS"):
        (Path(folder) / f"{name}.png").write_bytes(picture)
