"""``manage.py upstream_prune``: deletes history that is older than JWT_UPSTREAM_EVENT_DAYS."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from jwt_upstream.conf import conf
from jwt_upstream.management.arguments import UpstreamCommand, add_json
from jwt_upstream.store import pruning, queries


class Command(UpstreamCommand):
    """Deletes history that is old."""

    help = gettext_noop("""\
Delete events and closed incidents that are older than JWT_UPSTREAM_EVENT_DAYS,
and of refreshes that are older than a week all but one a day of each credential.

What explains an open incident is kept. Rows are deleted in small batches while
the site runs; if it is interrupted, run it again. upstream_refresh --every does
the same by and by.""")
    examples = ("manage.py upstream_prune --dry-run", "manage.py upstream_prune")
    exit_codes = {
        0: gettext_noop("nothing that is old is left, or JWT_UPSTREAM_EVENT_DAYS is None"),
        1: gettext_noop("the database failed; what was deleted before is deleted"),
        2: gettext_noop("the database is away, try later: what was deleted before is deleted; or a wrong argument"),
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what to do and how to say it."""
        parser.add_argument(
            "--dry-run", action="store_true", help=_("Delete nothing, only count what would be deleted.")
        )
        add_json(parser)

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        """Delete, then print the counts."""
        counts, days = pruning.Pruned(), conf.event_days
        for counts in [] if days is None else pruning.prune(days, queries.database(), dry_run=dry_run):
            self._show_progress(counts)
        if options["json"]:
            self.stdout.write(json.dumps({**asdict(counts), "days": days, "dry_run": dry_run}, indent=2))
        else:
            self.stdout.write(_line(counts, days, dry_run=dry_run))

    def _show_progress(self, counts: pruning.Pruned) -> None:
        if self.stderr.isatty():
            number = counts.events + counts.refreshes + counts.incidents
            self.stderr.write(ngettext("%(number)d row", "%(number)d rows", number) % {"number": number}, ending="\r")


def _line(counts: pruning.Pruned, days: float | None, *, dry_run: bool) -> str:
    if days is None:
        return _("JWT_UPSTREAM_EVENT_DAYS is None: all of the history is kept.")
    text = _(
        "Deleted (older than %(days)g days): events: %(events)d, incidents: %(incidents)d, "
        "repeated refreshes: %(refreshes)d."
    )
    if dry_run:
        text = _(
            "Would be deleted (older than %(days)g days): events: %(events)d, incidents: %(incidents)d, "
            "repeated refreshes: %(refreshes)d."
        )
    return text % {**asdict(counts), "days": days}
