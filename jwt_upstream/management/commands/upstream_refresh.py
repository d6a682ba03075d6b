"""``manage.py upstream_refresh``: refreshes tokens before calls have to wait for it; to be run by a timer."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jwt_upstream.background import refresh_due
from jwt_upstream.conf import conf


class Command(BaseCommand):
    """Refreshes the credentials that are due soon."""

    help = (
        "Refresh the credentials whose tokens expire soon, so that no call has to wait for it. Run it every minute. "
        "Failed refreshes are tried again later, and the exit code is 0 nevertheless; use upstream_status for "
        "monitoring."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the limits of a round."""
        parser.add_argument("aliases", nargs="*", help="Only these upstreams.")
        parser.add_argument("--limit", type=int, default=1000, help="Make at most so many attempts (%(default)s).")
        parser.add_argument(
            "--seconds", type=float, default=50.0, help="Begin no attempt after so many seconds (%(default)s)."
        )
        parser.add_argument(
            "--ahead",
            type=float,
            default=60.0,
            help="Refresh what calls would refresh within so many seconds (%(default)s).",
        )

    def handle(self, *args: Any, aliases: Sequence[str], **options: Any) -> None:
        """Make one round and print its result in one line."""
        if unknown := [alias for alias in aliases if alias not in conf.upstreams]:
            raise CommandError(f"No upstream {unknown[0]!r} in JWT_UPSTREAM.")
        bounds = {name: options[name] for name in ("limit", "seconds", "ahead")}
        if wrong := [name for name, bound in bounds.items() if bound < 0]:
            raise CommandError(f"--{wrong[0]} must be 0 or more.")
        result = refresh_due(upstreams=aliases, **bounds)
        self.stdout.write(
            f"{result.refreshed} refreshed, {result.failed} failed for now, {result.need_human} need a human"
        )
        for upstream in result.given_up:
            self.stderr.write(self.style.WARNING(f"{upstream}: skipped until the next round after repeated failures"))
