"""A small chart of the refreshes and failures of the last days: SVG, whose description says the same in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jwt_upstream.clock import host_now
from jwt_upstream.models import Credential, Event
from jwt_upstream.store import queries

#: The history of repeated refreshes is thinned after a week.
DAYS = 7
FAILURES = (Event.Kind.FAILED, Event.Kind.REJECTED, Event.Kind.LOCKED, Event.Kind.UNREADABLE, Event.Kind.INTERRUPTED)

_HEIGHT, _WIDTH, _GAP, _LABEL = 60, 24, 10, 16


@dataclass(frozen=True)
class Day:
    """What happened on a day, in the current time zone; counted no further than ``queries.COUNT_LIMIT``."""

    day: date
    refreshes: int
    failures: int

    def __str__(self) -> str:
        return _("%(day)s: %(refreshes)s refreshes, %(failures)s failures") % {
            "day": date_format(self.day, _("D j M")),
            "refreshes": _counted(self.refreshes),
            "failures": _counted(self.failures),
        }


def of_account(credential: Credential) -> str:
    """Return the chart of one credential, by one query along the index of its history."""
    events = Event.objects.filter(upstream=credential.upstream, account=credential.account, at__gte=_starts()[0])
    read = events.values_list("at", "kind")[: queries.COUNT_LIMIT]
    counts = Counter((timezone.localtime(at).date(), kind in FAILURES) for at, kind in read if _is_counted(kind))
    days = [start.date() for start in _starts()]
    return _svg([Day(day, counts[day, False], counts[day, True]) for day in days])


def of_upstream(upstream: str) -> str:
    """Return the chart of all credentials of an upstream, by short looks at an index: one for each day and kind."""
    starts = _starts()
    events = Event.objects.filter(upstream=upstream, at__gte=starts[0])
    refreshes, *failures = (_by_day(events.filter(kind=kind), starts) for kind in (Event.Kind.REFRESHED, *FAILURES))
    failed = [sum(numbers) for numbers in zip(*failures, strict=True)]
    return _svg([Day(start.date(), *each) for start, *each in zip(starts, refreshes, failed, strict=True)])


def _by_day(events: QuerySet[Event], starts: list[datetime]) -> list[int]:
    if not events.exists():
        return [0] * len(starts)
    days = (events.filter(at__gte=start, at__lt=start + timedelta(days=1)) for start in starts)
    # In the order of the index and of what it has alone: PostgreSQL would rather read the table.
    return [day.order_by("at").values("at")[: queries.COUNT_LIMIT].count() for day in days]


def _is_counted(kind: str) -> bool:
    return kind == Event.Kind.REFRESHED or kind in FAILURES


def _starts() -> list[datetime]:
    today = timezone.localtime(host_now()).replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=number) for number in reversed(range(DAYS))]


def _counted(number: int) -> str:
    return f"{number}+" if number >= queries.COUNT_LIMIT else str(number)


def _svg(days: list[Day]) -> str:
    most = max(1, *(max(day.refreshes, day.failures) for day in days))
    bars = format_html_join("", "{}", ((_bars(day, number, most),) for number, day in enumerate(days)))
    html = (
        '<figure class="jwt-upstream-figure">'
        '<svg class="jwt-upstream-chart" role="img" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        "<title>{title}</title><desc>{desc}</desc>{bars}"
        '<rect class="ground" y="{ground}" width="{width}" height="1"/></svg>'
        '<figcaption>{title}: <span class="jwt-upstream-key good"></span>{good} '
        '<span class="jwt-upstream-key bad"></span>{bad}'
        "</figcaption></figure>"
    )
    return format_html(
        html,
        width=len(days) * (_WIDTH + _GAP),
        height=_HEIGHT + _LABEL,
        ground=_HEIGHT,
        title=ngettext("The last %(number)d day", "The last %(number)d days", len(days)) % {"number": len(days)},
        good=_("refreshes"),
        bad=_("failures"),
        desc="; ".join(map(str, days)),
        bars=bars,
    )


def _bars(day: Day, number: int, most: int) -> str:
    left, half = number * (_WIDTH + _GAP), _WIDTH // 2
    bars = [("good", day.refreshes, left), ("bad", day.failures, left + half)]
    drawn = [(kind, x, _HEIGHT - _scaled(value, most), half - 1, _scaled(value, most)) for kind, value, x in bars]
    rects = format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', drawn)
    label = '<text x="{}" y="{}">{}</text>'
    text = format_html(label, left + half, _HEIGHT + _LABEL - 4, date_format(day.day, "D"))
    return format_html("<g><title>{}</title>{}{}</g>", day, rects, text)


def _scaled(value: int, most: int) -> int:
    """Return the height of a bar: at least two pixels for what is not nothing."""
    return max(2, round(_HEIGHT * value / most)) if value else 0
