"""What the demo's processes are told by environment variables, and ``manage.py`` in another terminal by a file."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet

from project.demo.sample import Sample

_PREFIXES = ("SAMPLE_UPSTREAM_", "JWT_UPSTREAM_", "DJANGO_")
_OTHERS = {"DATABASE_URL", "DEBUG", "ALLOWED_HOSTS", "ADMIN", "SITE_URL"}
_BRANCHES = ("berlin", "brno", "cork", "gdansk", "ghent", "graz", "lyon", "malmo", "oslo", "porto", "split", "turin")
_SHARED = (
    "DATABASE_URL",
    "SECRET_KEY",
    "JWT_UPSTREAM_ENCRYPTION_KEYS",
    "SAMPLE_UPSTREAM_URL",
    "SAMPLE_UPSTREAM_PASSWORD",
    "SAMPLE_UPSTREAM_BRANCHES",
    "SAMPLE_UPSTREAM_TENANTS",
    "LOG_FILE",
)


@contextmanager
def of(folder: Path) -> Iterator[None]:
    """Set up the environment of a demo in this folder, with secrets of its own; put the old one back in the end."""
    before = dict(os.environ)
    # What the caller's shell says of other projects must not count; passwords stay out of process lists.
    for name in before:
        if name in _OTHERS or name.startswith(_PREFIXES):
            del os.environ[name]
    os.environ |= _own(folder)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


def _own(folder: Path) -> dict[str, str]:
    return {
        # Everything is on this machine; a proxy could not reach it.
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DEMO_FOLDER": str(folder.resolve()),
        "DATABASE_URL": f"sqlite:///{folder.resolve() / 'project.sqlite3'}",
        "SECRET_KEY": secrets.token_urlsafe(40),
        "JWT_UPSTREAM_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "SAMPLE_UPSTREAM_DATABASE_URL": f"sqlite:///{folder.resolve() / 'sample_upstream.sqlite3'}",
        "SAMPLE_UPSTREAM_PASSWORD": secrets.token_urlsafe(12),
        "SAMPLE_UPSTREAM_BRANCHES": ",".join(_BRANCHES),
        # Each branch logs in, on a machine that may be small.
        "SAMPLE_UPSTREAM_PASSWORD_HASHER": "django.contrib.auth.hashers.ScryptPasswordHasher",
        "LOG_FILE": str(folder.resolve() / "log"),
    }


def leave(folder: Path, sample: Sample) -> None:
    """Tell this process where the sample upstream is, and ``manage.py`` all that it needs, until the demo ends."""
    os.environ["SAMPLE_UPSTREAM_URL"] = sample.url
    written = folder / "env"
    written.touch(mode=0o600)
    written.write_text("".join(f"{name}={os.environ[name]}\n" for name in _SHARED))
