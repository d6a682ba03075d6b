"""``manage.py upstream_rekey``: encrypts the stored tokens with the first key, and tells which are needed."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError

from jwt_upstream.fields import accepts_old_values, key_names
from jwt_upstream.management.arguments import UpstreamCommand, add_json
from jwt_upstream.refresh import Rekeyed, rekey
from jwt_upstream.tracebacks import without_variables


class Command(UpstreamCommand):
    """Encrypts the stored tokens anew."""

    help = """\
Encrypt all stored tokens with the first key of JWT_UPSTREAM_ENCRYPTION_KEYS,
bound to their credentials, so that other keys can be retired. With --check only
count the credentials by key.

The site may run meanwhile. Begin when every worker knows the first key. If it is
interrupted, run it again: what is done is passed over."""
    examples = ("manage.py upstream_rekey --check", "manage.py upstream_rekey")
    exit_codes = {
        0: "the first key alone reads everything",
        1: "something is left, or can't be read by any key; or an argument is wrong",
        2: "a wrong argument",
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what to do and how to say it."""
        parser.add_argument("--check", action="store_true", help="Change nothing, and count the credentials by key.")
        add_json(parser)

    @without_variables
    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        """Go through all credentials, then print the counts."""
        counts = Rekeyed()
        for counts in rekey(check=check):
            self._show_progress(counts)
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(counts), indent=2))
        else:
            for line in _lines(counts, is_check=check):
                self.stdout.write(line)
        if counts.old or counts.unreadable:
            raise CommandError(_left(counts, is_check=check))

    def _show_progress(self, counts: Rekeyed) -> None:
        if self.stderr.isatty():
            self.stderr.write(f"{counts.seen} credentials seen", ending="\r")


def _by_key(counts: Rekeyed) -> dict[str, int]:
    return {name: counts.by_key[number] for number, name in enumerate(key_names())}


def _as_json(counts: Rekeyed) -> dict[str, Any]:
    return {**asdict(counts), "by_key": _by_key(counts)}


def _lines(counts: Rekeyed, *, is_check: bool) -> Iterator[str]:
    if not is_check:
        yield f"{counts.renewed} of {counts.seen} credentials encrypted anew."
    for name, number in _by_key(counts).items():
        yield f"{name}: {number}"
    if counts.names:
        yield f"unreadable: {counts.unreadable} ({', '.join(counts.names)})"
    if not counts.old and not counts.unreadable:
        yield "The first key reads everything: the others may be removed."
        if accepts_old_values():
            yield "No token is left as it was stored before: JWT_UPSTREAM_ACCEPT_OLD_VALUES may be False."


def _left(counts: Rekeyed, *, is_check: bool) -> str:
    said = []
    if counts.old:
        again = "run it without --check" if is_check else "they were being refreshed, run it again"
        said.append(f"{counts.old} not yet encrypted with the first key and bound to their credential: {again}")
    if counts.unreadable:
        said.append(f"{counts.unreadable} can't be read: keep their key, or log in again")
    return f"{'; '.join(said)}."
