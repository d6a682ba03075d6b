"""The admin's page "Upstreams": how each one is, what is configured, and where a person must act."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Min, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.backends.explain import shown_settings
from jwt_upstream.clock import host_now
from jwt_upstream.conf import conf
from jwt_upstream.models import Credential, Incident
from jwt_upstream.refresh import misconfigured_among, mismatch_among, values_problem, what_differs
from jwt_upstream.store import queries

from . import cells
from .access import may
from .acting import Acting
from .chart import of_upstream

State = Credential.State

#: Each takes some thirty short queries.
_CARDS_ON_PAGE = 12
_MOST_INCIDENTS = 5
_NEAR_SECONDS = (10, 600)


@dataclass
class Card:
    """What the page says of an upstream; every text is fit to be shown."""

    alias: str
    is_configured: bool
    problem: str = ""
    badge: str = ""
    since: str = ""
    states: list[tuple[str, str, str]] = field(default_factory=list)
    facts: list[tuple[str, Any]] = field(default_factory=list)
    incidents: list[tuple[str, Incident]] = field(default_factory=list)
    chart: str = ""
    settings: list[tuple[str, str]] = field(default_factory=list)
    log_in_url: str = ""
    register_url: str = ""
    note: str = ""


class Overview(Acting):
    """Adds the page to the pages of credentials."""

    def get_urls(self) -> list[URLPattern]:
        """Add the page."""
        view = self.admin_site.admin_view(self.upstreams_view)
        return [path("upstreams/", view, name="jwt_upstream_upstreams"), *super().get_urls()]

    def upstreams_view(self, request: HttpRequest) -> HttpResponse:
        """Show a card for each upstream, those with incidents first."""
        if not may(request, "view"):
            raise PermissionDenied
        shown = Paginator(_aliases(), _CARDS_ON_PAGE).get_page(request.GET.get("p"))
        context = {
            "title": _("Upstreams"),
            "cards": [self._card(request, alias) for alias in shown],
            "shown": shown,
        }
        return self.page(request, "upstreams", context)

    def _card(self, request: HttpRequest, alias: str) -> Card:
        card = Card(alias, alias in conf.upstreams)
        rows = Credential.objects.using(queries.database()).filter(upstream=alias)
        backend = self._configured(card)
        card.states = [self._linked(alias, *each) for each in _tally(rows, alias)]
        card.incidents = self._incidents(request, alias)
        ailing = misconfigured_among(alias, rows) or mismatch_among(rows)
        card.badge, card.since = _condition(card, rows, ailing)
        card.facts = [*_facts(rows, backend)]
        if card.states and request.user.has_perm("jwt_upstream.view_event"):
            card.chart = of_upstream(alias)
        if backend and may(request, "log_in"):
            card.log_in_url = self.act_url("log_in", alias)
            card.register_url = self.act_url("register", alias) if backend.accounts else ""
        if ailing:
            reason = values_problem(ailing) or what_differs(ailing)
            card.note = _("%(credential)s: %(reason)s.") % {"credential": ailing, "reason": reason}
        if not card.states and backend and backend.logs_in_by_itself:
            card.note = _("It logs in by itself at the first call.")
        return card

    def _configured(self, card: Card) -> Backend | None:
        if not card.is_configured:
            card.problem = _("It is not in JWT_UPSTREAM any more.")
            return None
        try:
            backend = get_backend(card.alias)
        except ImproperlyConfigured as error:
            card.problem = str(error)
            return None
        card.settings = list(shown_settings(backend))
        return backend

    def _linked(self, alias: str, label: str, number: int, query: dict[str, str]) -> tuple[str, str, str]:
        url = f"{self.url('credential_changelist')}?{urlencode({'upstream': alias, **query})}"
        return label, f"{number}+" if number >= queries.COUNT_LIMIT else str(number), url

    def _incidents(self, request: HttpRequest, alias: str) -> list[tuple[str, Incident]]:
        if not request.user.has_perm("jwt_upstream.view_incident"):
            return []
        rows = Incident.objects.filter(upstream=alias, is_open=True).order_by("account")[:_MOST_INCIDENTS]
        return [(cells.page_url(self.admin_site, "incident_change", row.pk), row) for row in rows]


def _aliases() -> list[str]:
    """Return what is configured or has credentials; those whose own incident is open come first."""
    names = {*conf.upstreams, *queries.upstreams(Credential.objects.using(queries.database()))}
    ailing = set(Incident.objects.filter(account="", is_open=True).values_list("upstream", flat=True))
    return sorted(names, key=lambda name: (name not in ailing, name))


def _tally(rows: QuerySet[Credential], alias: str) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Yield how many credentials are in each state, of those that there are, and the query that lists them."""
    for state in State:
        if number := queries.number(rows.filter(state=state), queries.COUNT_LIMIT):
            yield str(state.label), number, {"state__exact": state.value}
    if number := queries.number(queries.failing(rows, [alias]), queries.COUNT_LIMIT):
        yield _("failing"), number, {"trouble": "failing"}


def _condition(card: Card, rows: QuerySet[Credential], ailing: Credential | None) -> tuple[str, str]:
    """Return whether an upstream works, as a badge, and since when it doesn't or when it did last."""
    now = host_now()
    if card.problem:
        return cells.badge("bad", _("misconfigured") if card.is_configured else _("not configured")), ""
    whole = Incident.objects.filter(upstream=card.alias, account="", is_open=True).first()
    if whole:
        return cells.of_incident(whole), format_html(_("began {when}"), when=cells.moment(whole.since, now))
    if not card.states:
        return cells.badge("off", _("never logged in")), ""
    worked_at = rows.exclude(worked_at=None).order_by("-worked_at").values_list("worked_at", flat=True).first()
    said = format_html(_("last worked {when}"), when=cells.moment(worked_at, now)) if worked_at else ""
    if ailing:
        return cells.badge("bad", _("misconfigured") if values_problem(ailing) else _("mismatched")), said
    if not rows.filter(state=State.ACTIVE).exists():
        return cells.badge("bad", _("needs a human")), said
    return cells.badge("good", _("works")), said


def _facts(rows: QuerySet[Credential], backend: Backend | None) -> Iterator[tuple[str, Any]]:
    now, active = host_now(), rows.filter(state=State.ACTIVE)
    if next_expiry := _next_expiry(active, now):
        yield _("next access token expires"), cells.moment(next_expiry, now)
    # No index leads to it, so not all of a long table are looked at.
    some = active.order_by()[: queries.COUNT_LIMIT]
    if soonest := some.aggregate(soonest=Min("refresh_expires_at"))["soonest"]:
        yield _("first refresh token expires"), cells.moment(soonest, now)
    if backend and backend.client_secret_expires_at:
        yield _("client secret expires"), backend.client_secret_expires_at


def _next_expiry(active: QuerySet[Credential], now: datetime) -> datetime | None:
    # In the order of the index, of which the column before is NULL. First near ones: MariaDB sorts what it finds.
    well = active.filter(failures=0, next_attempt_at=None, access_expires_at__gt=now)
    moments = well.order_by("next_attempt_at", "access_expires_at").values_list("access_expires_at", flat=True)
    near = (moments.filter(access_expires_at__lt=now + timedelta(seconds=seconds)) for seconds in _NEAR_SECONDS)
    return next((found for each in (*near, moments) if (found := each.first())), None)
