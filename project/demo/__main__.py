"""``python -m project.demo``: what ``make demo`` runs, in a fresh ``.demo/`` folder; ``--help`` has its options."""

from __future__ import annotations

import argparse
import io
import secrets
import sys
from pathlib import Path

import django
from django.core.management import call_command

from project.demo import environment, folder, tenant_servers
from project.demo.sample import Sample

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Return the exit code: 0 only if every step of the story came out as told."""
    arguments = _arguments()
    _make_printable()
    with (
        folder.fresh(arguments.folder) as own,
        environment.of(own),
        Sample.started() as sample,
        tenant_servers.started(own),
    ):
        environment.leave(own, sample)
        django.setup()
        call_command("migrate", verbosity=0)
        password = _create_demo_user()
        return _show(arguments, sample, password)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m project.demo", description="Tell the story, then serve the page.")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--exit", action="store_true", help="end after the story, as without a terminal")
    how.add_argument("--page", action="store_true", help="skip the story, and serve the page without a terminal too")
    parser.add_argument("--port", type=int, default=8000, help="of the page; any free port is taken if it is busy")
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="for the databases, the log and the mails")
    return parser.parse_args()


def _make_printable() -> None:
    # A terminal which is not in UTF-8 shows "?" for a tick; the story goes on.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _create_demo_user() -> str:
    from django.contrib.auth import get_user_model

    password = secrets.token_urlsafe(12)
    get_user_model().objects.create_superuser("demo", password=password)
    return password


def _show(arguments: argparse.Namespace, sample: Sample, password: str) -> int:
    from project.demo import page, story

    if arguments.page:
        story.skip()
    elif not story.tell(sample):
        return 1
    if arguments.page or (not arguments.exit and sys.stdin.isatty() and sys.stdout.isatty()):
        page.serve(arguments.port, password)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nGood-bye.")
