"""``manage.py upstream_status``: the state of every credential, for people and monitoring; shows no secret."""

from __future__ import annotations

import json
import shutil
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple
from datetime import datetime
from itertools import chain, islice
from textwrap import indent
from typing import Any, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import Error
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext, pgettext

from jwt_upstream.alerts import try_notifiers
from jwt_upstream.checks import check_settings
from jwt_upstream.clock import host_now
from jwt_upstream.conf import conf
from jwt_upstream.formatting import duration, paragraph, sentence, time_left, timestamp
from jwt_upstream.management.arguments import UpstreamCommand, add_alias, add_json, meant, seconds
from jwt_upstream.management.messages import expiries, notified
from jwt_upstream.management.monitoring import check, critical, unknown
from jwt_upstream.management.status import Report, Status, Tally
from jwt_upstream.models import Credential, Incident
from jwt_upstream.names import command, harmless
from jwt_upstream.recorded import translated
from jwt_upstream.refresh import NOT_RENEWABLE
from jwt_upstream.store import queries
from jwt_upstream.tracebacks import without_variables

State = Credential.State

_HEADER = (
    gettext_lazy("UPSTREAM"),
    gettext_lazy("ACCOUNT"),
    gettext_lazy("STATE"),
    gettext_lazy("SINCE"),
    gettext_lazy("EXPIRES IN"),
    gettext_lazy("REFRESH"),
)
_SUMMARY_HEADER = (
    gettext_lazy("UPSTREAM"),
    gettext_lazy("CREDENTIALS"),
    gettext_lazy("ACTIVE"),
    gettext_lazy("FAILING"),
    gettext_lazy("NEED A HUMAN"),
)
_MIN_COLUMN_WIDTH = 8
#: How many rows are aligned with each other; with --all there may be any number of them.
_CHUNK_ROWS = 500


class Command(UpstreamCommand):
    """Prints the state of every credential and upstream; if there are many, totals and the credentials in trouble."""

    help = gettext_noop("""\
Show the state of every credential, and which upstreams are in trouble; of many
credentials the numbers, and those in trouble. Nothing is sent to any upstream.

With --check one line is printed, as Nagios, Icinga and the like read it, and the
exit code says how bad it is. Without it, only that a human is needed counts.""")
    examples = (
        "manage.py upstream_status",
        "manage.py upstream_status crm --all --json",
        "manage.py upstream_status --check --grace 300",
        "manage.py upstream_status --test-notification",
    )
    exit_codes = {
        0: gettext_noop("nothing needs a human; with --check: nothing is wrong"),
        1: gettext_noop(
            "a credential needs a human, an upstream has none and doesn't log in by itself, a notifier failed, the "
            "database refuses, or an argument is wrong"
        ),
        2: gettext_noop(
            "with --check: a credential is degraded, an upstream is down or misconfigured; without it: the database "
            "is away, try later; or a wrong argument"
        ),
        3: gettext_noop("with --check: it can't be told, since the alias is unknown or the database fails"),
    }
    for_programs = ("json", "check")
    # Wrong settings are shown as trouble of their upstream, and are no reason to be silent on the others.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the upstream to show, and the options for the output."""
        add_alias(parser, nargs="?", help=_("Only this upstream."))
        how = parser.add_mutually_exclusive_group()
        add_json(how)
        how.add_argument("--check", action="store_true", help=_("Print one line for a monitoring system."))
        how.add_argument(
            "--test-notification",
            action="store_true",
            help=_("Show nothing, but send a test message by every notifier, and say of each whether it worked."),
        )
        parser.add_argument(
            "--grace",
            type=seconds,
            default=0.0,
            metavar="SECONDS",
            help=_("With --check: leave out trouble that is younger than this (default: %(default)s)."),
        )
        parser.add_argument("--all", action="store_true", help=_("Show every credential, however many there are."))
        parser.add_argument(
            "--limit",
            type=int,
            default=100,
            help=_("If there are more credentials, show this many of those in trouble (default: %(default)s)."),
        )

    @without_variables
    def handle(self, *args: Any, alias: str | None, limit: int, **options: Any) -> None:
        """Print what is stored; sends nothing to any upstream."""
        if limit < 0:
            raise CommandError(_("--limit must be 0 or more."))
        if options["check"]:
            self._check(alias, options["grace"])
        if options["test_notification"]:
            self._try_notifiers()
            return
        if not isinstance(conf.upstreams, Mapping):
            raise CommandError(_("JWT_UPSTREAM must be a dict."))
        with _settings_blamed():
            self._show(alias, limit, **options)

    def _show(self, alias: str | None, limit: int, **options: Any) -> None:
        report = Report(alias, limit, show_all=options["all"])
        if alias and report.is_empty:
            text = _("There is no upstream %(alias)s in JWT_UPSTREAM, and no credential for it")
            raise CommandError(sentence(text % {"alias": repr(alias)} + meant(alias, conf.upstreams)))
        write = self._write_json if options["json"] else self._write_texts
        write(report)
        if report.need_human:
            raise CommandError(_summary(report))

    def _check(self, alias: str | None, grace: float) -> NoReturn:
        try:
            with _settings_blamed():
                result = check(alias, grace)
        except Error as error:
            result = unknown(f"the database failed ({type(error).__name__})")
        except CommandError as error:
            result = critical(str(error))
        self.stdout.write(result.line)
        # Not a CommandError, which would say more than the line.
        raise SystemExit(result.code)

    def _try_notifiers(self) -> None:
        results = try_notifiers()
        for text in notified(results):
            self.stdout.write(text)
        if failed := sum(map(bool, results.values())):
            text = ngettext("%(number)d of %(total)d failed.", "%(number)d of %(total)d failed.", failed)
            raise CommandError(text % {"number": failed, "total": len(results)})
        if not results:
            raise CommandError(_("JWT_UPSTREAM_NOTIFIERS is empty: nobody is told of anything."))

    def _write_texts(self, report: Report) -> None:
        width = shutil.get_terminal_size().columns
        if report.is_short:
            self.stdout.write(
                "\n".join([*_fitted([_titles(_SUMMARY_HEADER), *map(_totals, report.tallies)], width), ""])
            )
        self._write_table(report.statuses(), width, has_header=not report.is_short)
        if report.left_out:
            text = ngettext(
                "%(number)s more needs a human: use --limit to show more, or --all to show every credential.",
                "%(number)s more need a human: use --limit to show more, or --all to show every credential.",
                report.left_out,
            )
            self.stdout.write(text % {"number": _count(report.left_out, report.is_exact)})
        now = host_now()
        ends = (each.sentence(now) for each in expiries(report.alias, now))
        for text in chain(report.problems.values(), map(_incident, report.incidents), ends):
            self.stdout.write(self.style.WARNING(text))

    def _write_table(self, shown: Iterator[Status], width: int, *, has_header: bool) -> None:
        now, piece = host_now(), list(islice(shown, _CHUNK_ROWS))
        table = _fitted([_titles(_HEADER), *(_cells(status, now) for status in piece)], width)
        if piece or has_header:
            self.stdout.write(table[0])
        while piece:
            for status, line in zip(piece, table[1:], strict=True):
                self.stdout.write(self.style.ERROR(line) if status.needs_human else line)
                for detail in _details(status, now):
                    self.stdout.write(paragraph(detail, width))
            piece = list(islice(shown, _CHUNK_ROWS))
            table = _fitted([_titles(_HEADER), *(_cells(status, now) for status in piece)], width)

    def _write_json(self, report: Report) -> None:
        # In pieces, so that memory doesn't grow with the number of credentials.
        self.stdout.write(f'{{\n  "is_complete": {_json(not report.is_short)},\n  "credentials": [', ending="")
        for number, status in enumerate(report.statuses()):
            self.stdout.write(f"{',' if number else ''}\n{indent(_json(asdict(status)), '    ')}", ending="")
        names = ("upstream", "kind", "since", "reason", "url", "notified_at")
        incidents = [{name: getattr(incident, name) for name in names} for incident in report.incidents]
        rest = {
            "summary": [asdict(tally) for tally in report.tallies],
            "incidents": incidents,
            "problems": report.problems,
            "expiries": [asdict(expiry) for expiry in expiries(report.alias, host_now())],
        }
        self.stdout.write(f"\n  ],\n{_json(rest)[2:]}")


@contextmanager
def _settings_blamed() -> Iterator[None]:
    """Tell what the checks have against settings where these, which were not checked before, end in an error."""
    try:
        yield
    except (AttributeError, ImproperlyConfigured, TypeError, ValueError) as error:
        problems = [each.msg for each in check_settings() if each.is_serious()]
        if not problems:
            raise
        raise CommandError(" ".join(problems)) from error


def _summary(report: Report) -> str:
    number = report.credentials + len(report.missing)
    need_human, total = _count(report.need_human, report.is_exact), _count(number, report.is_exact)
    if report.is_exact and not report.is_need_human_exact:
        need_human += "+"
    text = ngettext(
        "%(number)s of %(total)s needs a human.", "%(number)s of %(total)s need a human.", report.need_human
    )
    return text % {"number": need_human, "total": total}


def _titles(header: Sequence[str | Promise]) -> tuple[str, ...]:
    return tuple(map(str, header))


def _totals(tally: Tally) -> tuple[str, ...]:
    upstream, *numbers, is_exact = astuple(tally)
    return (upstream, *(_count(number, is_exact) for number in numbers))


def _count(number: int, is_exact: bool) -> str:
    return f"{number}{'' if is_exact or number < queries.COUNT_LIMIT else '+'}"


def _json(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, indent=2)


def _incident(incident: Incident) -> str:
    text = _("Upstream %(upstream)s has been %(kind)s since %(when)s: %(reason)s")
    said = text % {
        "upstream": incident.subject,
        "kind": incident.get_kind_display(),
        "when": timestamp(incident.since),
        "reason": translated(incident.reason),
    }
    return f"{said} ({incident.url})" if incident.url else said


def _cells(status: Status, now: datetime) -> tuple[str, ...]:
    has_token = bool(status.access_fingerprint)
    return (
        harmless(status.upstream),
        "-" if status.account is None else harmless(status.account),
        status.label,
        f"{status.since:%Y-%m-%d %H:%M}Z" if status.since else "-",
        _expiry(status, now) if has_token else "-",
        "-" if status.needs_human or status.account is None else _refreshing(status),
    )


def _expiry(status: Status, now: datetime) -> str:
    return pgettext("expires", "never") if status.never_expires else time_left(status.access_expires_at, now)


def _refreshing(status: Status) -> str:
    if status.never_expires and not status.failures:
        return "-"
    if not status.can_be_renewed:
        return pgettext("refresh", "none")
    return pgettext("refresh", "failing") if status.failures else _("ok")


def _details(status: Status, now: datetime) -> Iterator[str]:
    if status.reason and status.state != State.LOGGED_OUT:
        yield status.reason
    if not status.can_be_renewed:
        text = _("%(reason)s; once the access token has expired, %(remedy)s")
        yield text % {"reason": NOT_RENEWABLE, "remedy": status.remedy}
    elif status.remedy:
        yield status.remedy
    if status.state == State.LOCKED:
        again = command("upstream_try_again", status.upstream, status.account or "default")
        yield _("once it is unlocked, to try the stored tokens: %(command)s") % {"command": again}
    if status.failures:
        yield _failing(status, now)
    if status.failures and status.failure_verdict == "config":
        account = (status.account or "default") if status.parameters else "default"
        probe = command("upstream_probe", status.upstream, account)
        yield _("to see what is sent: %(command)s") % {"command": probe}
    if status.upstream not in conf.upstreams:
        yield _("this upstream is not in JWT_UPSTREAM")


def _failing(status: Status, now: datetime) -> str:
    wait = (status.next_attempt_at - now).total_seconds() if status.next_attempt_at else 0
    text = _("failing since %(when)s: %(failure)s; next attempt in %(span)s")
    if wait <= 0:
        text = _("failing since %(when)s: %(failure)s; next attempt with the next call")
    return text % {"when": timestamp(status.failing_since), "failure": status.failure, "span": duration(wait)}


def _fitted(rows: Sequence[tuple[str, ...]], width: int) -> list[str]:
    """Return aligned rows, with upstream and account shortened so that they fit the width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = width - sum(widths[2:]) - 2 * (len(widths) - 1)
    for number in (1, 0):
        excess = sum(widths[:2]) - room
        widths[number] = max(min(widths[number], _MIN_COLUMN_WIDTH), widths[number] - max(excess, 0))
    return ["  ".join(_cell(*both) for both in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cell(text: str, width: int) -> str:
    return f"{text if len(text) <= width else text[: width - 1] + '…':<{width}}"
