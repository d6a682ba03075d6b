"""``manage.py upstream_status``: how every credential is doing, for people and for monitoring; shows no secret."""

from __future__ import annotations

import json
import shutil
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from jwt_upstream import claims
from jwt_upstream.conf import conf
from jwt_upstream.fields import DecryptionError
from jwt_upstream.models import Credential, Outage
from jwt_upstream.texts import left, moment, paragraph, span
from jwt_upstream.tokens import fingerprint

State = Credential.State

_HEAD = ("UPSTREAM", "ACCOUNT", "STATE", "SINCE", "TOKEN LEFT", "REFRESH")
_NARROWEST = 8
_COLUMNS = (
    "upstream",
    "account",
    "state",
    "since",
    "reason",
    "username",
    "access_expires_at",
    "refresh_expires_at",
    "failures",
    "failing_since",
    "failure",
    "next_attempt_at",
)


@dataclass(frozen=True)
class Status:
    """What is told of one credential, or of an upstream that has none; every field is fit to be shown."""

    upstream: str
    account: str | None
    state: str
    needs_human: bool
    since: datetime | None = None
    reason: str = ""
    remedy: str = ""
    username: str = ""
    access_expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    access_fingerprint: str = ""
    refresh_fingerprint: str = ""
    failures: int = 0
    failing_since: datetime | None = None
    failure: str = ""
    next_attempt_at: datetime | None = None


class Command(BaseCommand):
    """Prints the state of every credential and upstream."""

    help = (
        "Show how every credential is doing, and which upstreams are in trouble. The exit code is 1 if a credential "
        "needs a human, or a configured upstream has none."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take an upstream to look at, and the form of the answer."""
        parser.add_argument("alias", nargs="?", help="Only this upstream.")
        parser.add_argument("--json", action="store_true", help="Print JSON, with every detail.")

    def handle(self, *args: Any, alias: str | None, **options: Any) -> None:
        """Print what is stored; nothing is sent to any upstream."""
        statuses, outages = _statuses(alias), _outages(alias)
        if alias and not (statuses or outages):
            raise CommandError(f"No upstream {alias!r} in JWT_UPSTREAM, and no credential of it.")
        if options["json"]:
            self.stdout.write(_as_json(statuses, outages))
        else:
            self._write_table(statuses)
            for outage in outages:
                self.stdout.write(self.style.WARNING(_told(outage)))
        if number := sum(status.needs_human for status in statuses):
            raise CommandError(f"{number} of {len(statuses)} need{'s' * (number == 1)} a human.")

    def _write_table(self, statuses: Sequence[Status]) -> None:
        now, width = timezone.now(), shutil.get_terminal_size().columns
        table = _fitted([_HEAD, *(_cells(status, now) for status in statuses)], width)
        self.stdout.write(table[0])
        for status, line in zip(statuses, table[1:], strict=True):
            self.stdout.write(self.style.ERROR(line) if status.needs_human else line)
            for detail in _details(status, now):
                self.stdout.write(paragraph(detail, width))


def _statuses(alias: str | None) -> list[Status]:
    rows = Credential.objects.using(claims.database()).order_by("upstream", "account")
    statuses = [_status(row) for row in (rows.filter(upstream=alias) if alias else rows)]
    aliases = {alias} & conf.upstreams.keys() if alias else set(conf.upstreams)
    missing = sorted(aliases - {status.upstream for status in statuses})
    return statuses + [_not_logged_in(name) for name in missing]


def _outages(alias: str | None) -> list[Outage]:
    rows = Outage.objects.using(claims.database()).order_by("upstream")
    return list(rows.filter(upstream=alias) if alias else rows)


def _not_logged_in(alias: str) -> Status:
    return Status(alias, None, "not logged in", True, remedy=Credential(upstream=alias).remedy)


def _status(row: Credential) -> Status:
    fields: dict[str, Any] = {}
    try:
        pair = row.pair
        fields |= {"access_fingerprint": fingerprint(pair.access), "refresh_fingerprint": fingerprint(pair.refresh)}
    except DecryptionError:
        if row.state == State.ACTIVE:  # nobody has called since the key was lost
            row.state, row.reason = State.UNREADABLE, "no configured key opens the stored tokens"
    fields |= {name: getattr(row, name) for name in _COLUMNS}
    return Status(needs_human=row.needs_human, remedy=row.remedy if row.needs_human else "", **fields)


def _as_json(statuses: Sequence[Status], outages: Sequence[Outage]) -> str:
    troubles = [
        {name: getattr(outage, name) for name in ("upstream", "kind", "since", "reason")} for outage in outages
    ]
    answer = {"credentials": [asdict(status) for status in statuses], "outages": troubles}
    return json.dumps(answer, cls=DjangoJSONEncoder, indent=2)


def _told(outage: Outage) -> str:
    return f"Upstream {outage.upstream} is {outage.kind} since {moment(outage.since)}: {outage.reason}"


def _cells(status: Status, now: datetime) -> tuple[str, ...]:
    has_token = bool(status.access_fingerprint)
    return (
        status.upstream,
        "-" if status.account is None else status.account,
        status.state.replace("_", " "),
        f"{status.since:%Y-%m-%d %H:%M}Z" if status.since else "-",
        left(status.access_expires_at, now) if has_token else "-",
        "-" if status.needs_human else "failing" if status.failures else "ok",
    )


def _details(status: Status, now: datetime) -> Iterator[str]:
    if status.reason and status.state != State.LOGGED_OUT:
        yield status.reason
    if status.remedy:
        yield status.remedy
    if status.failures:
        yield f"failing since {moment(status.failing_since)}: {status.failure}; {_next(status, now)}"
    if status.upstream not in conf.upstreams:
        yield "this upstream is not in JWT_UPSTREAM"


def _next(status: Status, now: datetime) -> str:
    wait = (status.next_attempt_at - now).total_seconds() if status.next_attempt_at else 0
    return f"next attempt in {span(wait)}" if wait > 0 else "next attempt with the next call"


def _fitted(rows: Sequence[tuple[str, ...]], width: int) -> list[str]:
    """Align columns, shortening upstream and account so that a line fits."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = width - sum(widths[2:]) - 2 * (len(widths) - 1)
    for number in (1, 0):
        excess = sum(widths[:2]) - room
        widths[number] = max(min(widths[number], _NARROWEST), widths[number] - max(excess, 0))
    return ["  ".join(_cell(*both) for both in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cell(text: str, width: int) -> str:
    return f"{text if len(text) <= width else text[: width - 1] + '…':<{width}}"
