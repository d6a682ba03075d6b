"""``manage.py upstream_rekey``: encrypts the stored tokens with the first key, and tells which are needed."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from jwt_upstream.fields import accepts_old_values, key_names
from jwt_upstream.management.arguments import UpstreamCommand, add_json
from jwt_upstream.refresh import Rekeyed, rekey
from jwt_upstream.tracebacks import without_variables


class Command(UpstreamCommand):
    """Encrypts the stored tokens anew."""

    help = gettext_noop("""\
Encrypt all stored tokens with the first key of JWT_UPSTREAM_ENCRYPTION_KEYS,
bound to their credentials, so that other keys can be retired. With --check only
count the credentials by key.

The site may run meanwhile. Begin when every worker knows the first key. If it is
interrupted, run it again: what is done is passed over.""")
    examples = ("manage.py upstream_rekey --check", "manage.py upstream_rekey")
    exit_codes = {
        0: gettext_noop("the first key alone reads everything"),
        1: gettext_noop("something is left, or can't be read by any key; or an argument is wrong"),
        2: gettext_noop("the database is away, try later: what is done is passed over; or a wrong argument"),
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what to do and how to say it."""
        parser.add_argument(
            "--check", action="store_true", help=_("Change nothing, only count the credentials by key.")
        )
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
            text = ngettext("%(number)d credential seen", "%(number)d credentials seen", counts.seen)
            self.stderr.write(text % {"number": counts.seen}, ending="\r")


def _by_key(counts: Rekeyed) -> dict[str, int]:
    return {name: counts.by_key[number] for number, name in enumerate(key_names())}


def _as_json(counts: Rekeyed) -> dict[str, Any]:
    return {**asdict(counts), "by_key": _by_key(counts)}


def _lines(counts: Rekeyed, *, is_check: bool) -> Iterator[str]:
    if not is_check:
        text = ngettext(
            "%(renewed)d of %(seen)d credential encrypted anew.",
            "%(renewed)d of %(seen)d credentials encrypted anew.",
            counts.seen,
        )
        yield text % {"renewed": counts.renewed, "seen": counts.seen}
    for name, number in _by_key(counts).items():
        yield f"{name}: {number}"
    if counts.names:
        about = {"number": counts.unreadable, "names": ", ".join(counts.names)}
        yield _("unreadable: %(number)d (%(names)s)") % about
    if not counts.old and not counts.unreadable:
        yield _("The first key reads everything: the others may be removed.")
        if accepts_old_values():
            yield _("No token is left as it was stored before: JWT_UPSTREAM_ACCEPT_OLD_VALUES may be False.")


def _left(counts: Rekeyed, *, is_check: bool) -> str:
    said = []
    if counts.old:
        said.append(_not_yet(counts.old, is_check=is_check))
    if counts.unreadable:
        text = ngettext(
            "%(number)d can't be read: keep its key, or log in again",
            "%(number)d can't be read: keep their key, or log in again",
            counts.unreadable,
        )
        said.append(text % {"number": counts.unreadable})
    return f"{'; '.join(said)}."


def _not_yet(number: int, *, is_check: bool) -> str:
    text = ngettext(
        "%(number)d is not yet encrypted with the first key and bound to its credential, since it was being "
        "refreshed: run it again",
        "%(number)d are not yet encrypted with the first key and bound to their credential, since they were being "
        "refreshed: run it again",
        number,
    )
    if is_check:
        text = ngettext(
            "%(number)d is not yet encrypted with the first key and bound to its credential: run it without --check",
            "%(number)d are not yet encrypted with the first key and bound to their credential: "
            "run it without --check",
            number,
        )
    return text % {"number": number}
