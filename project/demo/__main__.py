"""``python -m project.demo [--exit] [--port PORT]``: what ``make demo`` runs, in a fresh ``.demo/`` folder."""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
from cryptography.fernet import Fernet
from django.core.management import call_command

from project.demo.sample import Sample

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".demo"
_PREFIXES = ("SAMPLE_UPSTREAM_", "JWT_UPSTREAM_", "DJANGO_")


def main() -> int:
    """Return the exit code: 0 only if every step of the story came out as told."""
    arguments = _arguments()
    _make_printable()
    with _fresh_folder(), _environment(), Sample.started() as sample:
        _configure(sample)
        from project.demo import page, story

        if not story.tell(sample):
            return 1
        if arguments.exit or not (sys.stdin.isatty() and sys.stdout.isatty()):
            return 0
        page.serve(arguments.port)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m project.demo", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="end after the story, as without a terminal")
    parser.add_argument("--port", type=int, default=8000, help="of the page; any free port is taken if it is busy")
    return parser.parse_args()


def _make_printable() -> None:
    # A terminal which is not in UTF-8 shows "?" for a tick; the story goes on.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@contextmanager
def _fresh_folder() -> Iterator[None]:
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("A demo is running in this folder already; end it first (Ctrl-C there).") from None
        for path in FOLDER.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()
        yield


@contextmanager
def _environment() -> Iterator[None]:
    # What the caller's shell says of other projects must not count; passwords stay out of process lists.
    for name in list(os.environ):
        if name in {"DATABASE_URL", "DEBUG", "ALLOWED_HOSTS", "ADMIN"} or name.startswith(_PREFIXES):
            del os.environ[name]
    _set_environment()
    try:
        yield
    finally:
        # It names a database and an upstream that later commands must not use.
        (FOLDER / "env").unlink(missing_ok=True)


def _set_environment() -> None:
    os.environ |= {
        # Everything is on this machine; a proxy could not reach it.
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DATABASE_URL": f"sqlite:///{FOLDER / 'project.sqlite3'}",
        "SECRET_KEY": secrets.token_urlsafe(40),
        "JWT_UPSTREAM_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "SAMPLE_UPSTREAM_DATABASE_URL": f"sqlite:///{FOLDER / 'sample_upstream.sqlite3'}",
        "SAMPLE_UPSTREAM_PASSWORD": secrets.token_urlsafe(12),
        "LOG_FILE": str(FOLDER / "log"),
    }


def _configure(sample: Sample) -> None:
    os.environ["SAMPLE_UPSTREAM_URL"] = sample.url
    names = [
        "DATABASE_URL",
        "SECRET_KEY",
        "JWT_UPSTREAM_ENCRYPTION_KEYS",
        "SAMPLE_UPSTREAM_URL",
        "SAMPLE_UPSTREAM_PASSWORD",
        "LOG_FILE",
    ]
    # For ``manage.py`` in another terminal while the page is served.
    written = FOLDER / "env"
    written.touch(mode=0o600)
    written.write_text("".join(f"{name}={os.environ[name]}\n" for name in names))
    django.setup()
    call_command("migrate", verbosity=0)
    _create_demo_user()


def _create_demo_user() -> None:
    from django.contrib.auth import get_user_model

    get_user_model().objects.create_superuser("demo", password="demo")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nGood-bye.")
