"""``manage.py upstream_refresh``: refreshes tokens before calls have to wait; run by a timer, or as a worker."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from jwt_upstream.alerts import deliver
from jwt_upstream.backends import written_settings
from jwt_upstream.background import Round, refresh_due
from jwt_upstream.conf import conf
from jwt_upstream.management.arguments import UpstreamCommand, add_json, seconds, told_in_a_line
from jwt_upstream.management.workers import Stop, in_processes, repeat
from jwt_upstream.store import pruning, queries

#: How often a worker deletes history that is old, and for how long at a time, in seconds.
_PRUNES_EVERY, _PRUNES_FOR = 3600.0, 10.0
#: How long a round waits for messages to be delivered; what takes longer goes on beside the next round.
_TELLS_FOR = 2.0
#: How many days of refreshes a worker thins out, which comes by more often than that.
_THINNED_DAYS = 2


class Command(UpstreamCommand):
    """Refreshes the credentials that are due soon."""

    help = gettext_noop("""\
Refresh the credentials whose tokens expire soon, so that no call has to wait for
it, and deliver what admins are yet to be told. Let a timer run it every minute,
or let it run for ever with --every: then it also deletes history that is old.

Any number of processes and hosts may do this at once. With SIGTERM or SIGINT it
finishes what is under way, which takes seconds, and ends; the second one ends it
at once. Refreshes that fail are tried again later and are no error of the
command; upstream_status --check is for monitoring.""")
    examples = (
        "manage.py upstream_refresh",
        "manage.py upstream_refresh crm erp --ahead 120",
        "manage.py upstream_refresh --every 30 --workers 2",
    )
    exit_codes = {
        0: gettext_noop("the round was made, whatever upstreams said; with --every: stopped as it was told to"),
        1: gettext_noop("an argument or a setting is wrong, or the database refuses"),
        2: gettext_noop(
            "the database is away, try later (with --every it tries again by itself); or a wrong argument"
        ),
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the limits of a round, and how often and by how many it is made."""
        parser.add_argument("aliases", nargs="*", help=_("Only these upstreams."))
        add = partial(parser.add_argument, type=seconds)
        add("--every", metavar="SECONDS", help=_("Keep running, and begin a round every SECONDS seconds."))
        parser.add_argument("--workers", type=int, default=1, help=_("Number of processes (default: %(default)s)."))
        parser.add_argument(
            "--threads", type=int, default=8, help=_("Number of threads in each process (default: %(default)s).")
        )
        parser.add_argument("--limit", type=int, help=_("Attempt at most this many refreshes in a round."))
        add("--seconds", default=50.0, help=_("Begin no attempt after this many seconds (default: %(default)s)."))
        add(
            "--ahead",
            default=60.0,
            help=_("Refresh what calls would refresh within this many seconds (default: %(default)s)."),
        )
        add_json(parser)

    def handle(self, *args: Any, aliases: Sequence[str], workers: int, every: float | None, **options: Any) -> None:
        """Make a round and print its result in one line, or do so again and again, in one process or in several."""
        for alias in aliases:
            written_settings(alias)  # raises what there is to say of an unknown one
        bounds = {name: options[name] for name in ("limit", "seconds", "ahead", "threads")}
        _check_numbers({"limit": bounds["limit"], "threads": bounds["threads"], "workers": workers}, every)
        stop = Stop()
        work = partial(self._work, stop, every, options["json"], {"upstreams": aliases, **bounds})
        with stop.on_signals():
            if workers == 1:
                work(1)
            elif code := in_processes(workers, partial(self._in_process, work), stop, replace=every is not None):
                raise CommandError(_("A worker failed."), returncode=code)

    def _in_process(self, work: Callable[[int], None], number: int) -> int:
        try:
            work(number)
        except CommandError as error:
            self.stderr.write(str(error))
            return error.returncode
        return 0

    def _work(self, stop: Stop, every: float | None, as_json: bool, bounds: dict[str, Any], number: int) -> None:
        watch = self._watch if self.stderr.isatty() else lambda _: None
        # A mail server that hangs must not hold up a worker, which outlives it.
        tell = deliver if every is None else partial(deliver, seconds=_TELLS_FOR)
        make = partial(self._round, stop, as_json, {**bounds, "on_progress": watch}, number, tell)
        with told_in_a_line():  # in a process of its own nobody else does
            if every is None:
                make(lambda: 0)
            else:
                repeat(partial(make, _Pruning(stop, is_first=number == 1)), every, stop, self.stderr.write)

    def _round(
        self,
        stop: Stop,
        as_json: bool,
        bounds: dict[str, Any],
        number: int,
        tell: Callable[[], int],
        prune: Callable[[], int],
    ) -> None:
        began = time.monotonic()
        result = refresh_due(stop=stop, **bounds)
        told, pruned = tell(), prune()
        if as_json:
            counts = {"refreshed": result.refreshed, "failed": result.failed, "need_human": result.need_human}
            beside = {"told": told, "pruned": pruned, "seconds": round(time.monotonic() - began, 3)}
            self.stdout.write(json.dumps({"worker": number, **counts, "given_up": result.given_up, **beside}))
        else:
            self.stdout.write(_line(result))
            for upstream in result.given_up:
                said = _("%(upstream)s: skipped until the next round after repeated failures")
                self.stderr.write(self.style.WARNING(said % {"upstream": upstream}))
            if number := result.mismatched:
                said = ngettext(
                    "%(number)d left alone: obtained for other settings; upstream_status says what to do",
                    "%(number)d left alone: obtained for other settings; upstream_status says what to do",
                    number,
                )
                self.stderr.write(self.style.WARNING(said % {"number": number}))
            if number := result.misconfigured:
                said = ngettext(
                    "%(number)d left alone: settings don't allow its own values; upstream_status says what to do",
                    "%(number)d left alone: settings don't allow their own values; upstream_status says what to do",
                    number,
                )
                self.stderr.write(self.style.WARNING(said % {"number": number}))
        self.stdout.flush()

    def _watch(self, result: Round) -> None:
        self.stderr.write(_line(result), ending="\r")


class _Pruning:
    """Deletes history that is old, now and then and for a bounded time; one worker of several does it."""

    def __init__(self, stop: Stop, *, is_first: bool) -> None:
        self._stop = stop
        self._next = 0.0 if is_first else float("inf")

    def __call__(self) -> int:
        now, days = time.monotonic(), conf.event_days
        if days is None or now < self._next:
            return 0
        self._next, total = now + _PRUNES_EVERY, 0
        for done in pruning.prune(days, queries.database(), thinned_days=_THINNED_DAYS):
            total = done.events + done.refreshes + done.incidents
            if self._stop() or time.monotonic() - now > _PRUNES_FOR:
                self._next = 0.0  # there is more
                break
        return total


def _check_numbers(numbers: Mapping[str, int | None], every: float | None) -> None:
    if wrong := [name for name, number in numbers.items() if number is not None and number < 1]:
        raise CommandError(_("%(option)s must be 1 or more.") % {"option": f"--{wrong[0]}"})
    if every == 0:
        raise CommandError(_("--every must be more than 0."))


def _line(result: Round) -> str:
    counts = {"refreshed": result.refreshed, "failed": result.failed, "need_human": result.need_human}
    text = ngettext(
        "%(refreshed)d refreshed, %(failed)d failed for now, %(need_human)d needs a human",
        "%(refreshed)d refreshed, %(failed)d failed for now, %(need_human)d need a human",
        result.need_human,
    )
    return text % counts
