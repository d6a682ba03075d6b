"""``manage.py upstream_prune``: deletes history that is older than JWT_UPSTREAM_EVENT_DAYS."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from jwt_upstream.conf import conf
from jwt_upstream.management.arguments import UpstreamCommand, add_json, told_in_a_line
from jwt_upstream.store import pruning, queries


class Command(UpstreamCommand):
    """Deletes history that is old."""

    help = """\
Delete events and closed incidents that are older than JWT_UPSTREAM_EVENT_DAYS,
and of refreshes that are older than a week all but one a day of each credential.

What explains an open incident is kept. Rows are deleted in small batches while
the site runs; if it is interrupted, run it again. upstream_refresh --every does
the same by and by."""
    examples = ("manage.py upstream_prune --dry-run", "manage.py upstream_prune")
    exit_codes = {
        0: "nothing that is old is left, or JWT_UPSTREAM_EVENT_DAYS is None",
        1: "the database failed; what was deleted before is deleted",
        2: "a wrong argument",
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what to do and how to say it."""
        parser.add_argument("--dry-run", action="store_true", help="Delete nothing, and count what would be.")
        add_json(parser)

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        """Delete, then print the counts."""
        counts, days = pruning.Pruned(), conf.event_days
        with told_in_a_line():
            for counts in [] if days is None else pruning.prune(days, queries.database(), dry_run=dry_run):
                self._show_progress(counts)
        if options["json"]:
            self.stdout.write(json.dumps({**asdict(counts), "days": days, "dry_run": dry_run}, indent=2))
        else:
            self.stdout.write(_line(counts, days, dry_run=dry_run))

    def _show_progress(self, counts: pruning.Pruned) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"{counts.events + counts.refreshes + counts.incidents} rows", ending="\r")


def _line(counts: pruning.Pruned, days: float | None, *, dry_run: bool) -> str:
    if days is None:
        return "JWT_UPSTREAM_EVENT_DAYS is None: all of the history is kept."
    said = "would be deleted" if dry_run else "deleted"
    return (
        f"{counts.events} events and {counts.incidents} incidents of more than {days:g} days, "
        f"and {counts.refreshes} repeated refreshes {said}."
    )
