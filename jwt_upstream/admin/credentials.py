"""The admin's pages of credentials: a list with trouble first, and a page for each with its history and buttons."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db import connections, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html, format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from jwt_upstream import binding
from jwt_upstream.backends import get_backend
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.login import known_secrets
from jwt_upstream.models import Credential, Incident
from jwt_upstream.names import command, harmless
from jwt_upstream.recorded import translated
from jwt_upstream.refresh import (
    NOT_RENEWABLE,
    mismatched,
    needs_login_soon,
    needs_rebinding,
    never_expires,
    rebinding,
    values_problem,
    what_differs,
)

from . import cells, filters
from .access import ReadOnly, may
from .browser_login import BrowserLogins
from .chart import of_account
from .overview import Overview
from .timeline import timeline


def _time(name: str, label: Any) -> Callable[[Any, Any], str]:
    """Return a method of a ModelAdmin that shows a time."""

    @admin.display(description=label, empty_value="")
    def show(self: Any, row: Any) -> str:
        moment: datetime | None = getattr(row, name)
        return cells.moment(moment, row.now())

    return show


@admin.register(Credential)
# ModelAdmin is generic to the type checker only.
class CredentialAdmin(ReadOnly, Overview, BrowserLogins, admin.ModelAdmin):  # type: ignore[type-arg]  # no generic at run time
    """Shows states, expiries and fingerprints; only a credential's own page decrypts its tokens."""

    list_display = ["name", "badge", "from_when", "token_expiry", "problem"]
    list_filter = [filters.Trouble, "state", filters.ByUpstream]
    # By an index each; by other columns the database would sort the whole table.
    sortable_by = ["name", "badge"]
    search_fields = ["username", "reason", "failure"]
    search_help_text = _("By upstream/account, or by words of the name, username, reason or failure.")
    list_max_show_all = 0
    show_full_result_count = False
    actions = ["try_again", "rebind", "log_out"]
    fieldsets = [
        (None, {"fields": ["upstream", "account", "username", "own_values"]}),
        (_("State"), {"fields": ["badge", "from_when", "why", "what_now", "incidents"]}),
        (_("Tokens"), {"fields": ["access", "refresh", "obtained", "bound_to", "generation"]}),
        (_("Refresh"), {"fields": ["worked", "refreshing", "failure", "next_attempt", "interrupted", "suppressed"]}),
    ]

    from_when = _time("since", _("since"))
    obtained = _time("obtained_at", _("obtained"))
    worked = _time("worked_at", _("last worked"))
    next_attempt = _time("next_attempt_at", _("next attempt"))
    interrupted = _time("interrupted_at", _("interrupted"))
    suppressed = _time("refresh_suppressed_until", _("not refreshed after a 401 until"))

    def get_urls(self) -> list[URLPattern]:
        """Keep the pages out of ATOMIC_REQUESTS, whose transaction would block on SQLite what is written for good."""
        return [_without_transaction(pattern) for pattern in super().get_urls()]

    def get_paginator(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any) -> Any:
        """Put trouble first, unless the user asks for another order; the admin's own history has pages, too."""
        is_sorted = request.GET.get("o") or queryset.model is not Credential
        kind = filters.BoundedPaginator if is_sorted else filters.TroubleFirst
        return kind(queryset, *args, **kwargs)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[filters.CredentialList]:
        """Return the class of the list."""
        return filters.CredentialList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by an index and within bounds; see ``queries.search``."""
        return filters.found(queryset, search_term, self.search_fields), False

    @admin.display(description=_("credential"), ordering="upstream")
    def name(self, credential: Credential) -> str:
        """Return the upstream and account."""
        return str(credential)

    @admin.display(description=_("state"), ordering="state")
    def badge(self, credential: Credential) -> str:
        """Return a badge with the state, or "degraded" for an active credential whose refresh fails."""
        return cells.of_credential(credential)

    @admin.display(description=_("access token"), empty_value="")
    def token_expiry(self, credential: Credential) -> str:
        """Return when the access token expires, without decrypting it."""
        if not credential.access_token:
            return ""
        is_static = never_expires(credential)
        return cells.expiry(credential.access_expires_at, credential.now(), is_static=is_static)

    @admin.display(description=_("reason"), empty_value="")
    def why(self, credential: Credential) -> str:
        """Return the reason for the state."""
        return translated(credential.reason)

    @admin.display(description=_("reason"), empty_value="")
    def problem(self, credential: Credential) -> str:
        """Return why it needs a human, why its refresh fails, or that it can't be refreshed."""
        if wrong := values_problem(credential):
            return wrong
        if credential.needs_human:
            return translated(credential.reason)
        if needs_rebinding(credential):
            return what_differs(credential)
        return credential.failure or (str(NOT_RENEWABLE) if needs_login_soon(credential) else "")

    @admin.display(description=_("refresh"), empty_value="")
    def refreshing(self, credential: Credential) -> str:
        """Return whether refreshes work or since when they fail, and whether one is in progress."""
        if credential.needs_human:
            return ""
        if credential.is_leased(credential.now()):
            return str(_("in progress"))
        if needs_login_soon(credential):
            return str(NOT_RENEWABLE)
        if credential.failing_since is None:
            return str(_("ok"))
        since = cells.moment(credential.failing_since, credential.now())
        text = ngettext("failed once, {when}", "failed {number} times, first {when}", credential.failures)
        return format_html(text, when=since, number=credential.failures)

    @admin.display(description=_("what to do"), empty_value="")
    def what_now(self, credential: Credential) -> str:
        """Return what a person should do, if anything."""
        if wrong := values_problem(credential):
            text = _("Change the account: %(problem)s")
            return text % {"problem": wrong}
        if needs_rebinding(credential):
            return capfirst(f"{what_differs(credential)}: {rebinding(credential)}")
        if credential.needs_human or (needs_login_soon(credential) and not credential.failures):
            return capfirst(credential.remedy)
        if credential.failure_verdict == "config":
            text = _("Correct the settings of this upstream, then refresh; %(command)s shows what is sent")
            return text % {"command": command("upstream_probe", credential.upstream)}
        if not credential.failures:
            return ""
        return str(_("Nothing, if it is soon over: refreshing is tried again by itself. If not, ask the upstream"))

    @admin.display(description=_("incident"), empty_value="")
    def incidents(self, credential: Credential) -> str:
        """Return the open incidents of the credential and of its upstream, as links where they have pages."""
        accounts = ["", credential.account]
        rows = Incident.objects.filter(upstream=credential.upstream, account__in=accounts, is_open=True)
        urls = ((cells.page_url(self.admin_site, "incident_change", row.pk), row) for row in rows)
        texts = ((cells.link(url, f"{row.subject}: {row.get_kind_display()}"),) for url, row in urls)
        return format_html_join(", ", "{}", texts)

    @admin.display(description=_("access token"), empty_value="")
    def access(self, credential: Credential) -> str:
        """Return the access token's fingerprint and expiry."""
        is_static = never_expires(credential)
        return cells.token(credential.access_token, credential.access_expires_at, is_static=is_static)

    @admin.display(description=_("refresh token"), empty_value="")
    def refresh(self, credential: Credential) -> str:
        """Return the refresh token's fingerprint and expiry."""
        return cells.token(credential.refresh_token, credential.refresh_expires_at)

    @admin.display(description=_("of its own"), empty_value="")
    def own_values(self, credential: Credential) -> str:
        """Return the parameters of the account, and which secrets it has."""
        stored = credential.parameters if isinstance(credential.parameters, dict) else {}
        said = [f"{name} {harmless(str(value))}" for name, value in sorted(stored.items())]
        return ", ".join([*said, *(f"{name} […]" for name in known_secrets(credential))])

    @admin.display(description=_("obtained for"), empty_value="")
    def bound_to(self, credential: Credential) -> str:
        """Return what the tokens are used for, and for nothing else."""
        return binding.shown(credential.obtained_for)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add what the user may do, and the history."""
        credential = self.get_object(request, object_id)
        context = extra_context or {}
        if credential is not None:
            context |= {**self._actions(request, credential), **self._history(request, credential)}
        return super().change_view(request, object_id, form_url, context)

    def _actions(self, request: HttpRequest, credential: Credential) -> dict[str, Any]:
        names = ("log_in", "adopt", "mark_rejected", "test", "register")
        urls = {f"{name}_url": self.act_url(name, credential.upstream, credential.account) for name in names}
        has_tokens = bool(credential.access_token or credential.refresh_token)
        allowed = {
            "can_log_in": may(request, "log_in") and _is_configured(credential.upstream),
            "has_own_values": _has_own_values(credential.upstream),
            "can_refresh": may(request, "refresh") and has_tokens,
            "can_rebind": may(request, "rebind") and mismatched(credential) is not None,
            "can_log_out": may(request, "log_out") and has_tokens,
            "can_mark": may(request, "mark_rejected") and not credential.needs_human,
            "can_test": may(request, "test") and bool(credential.access_token) and _has_test(credential.upstream),
        }
        return {**urls, **allowed, "upstreams_url": self.url("upstreams")}

    def _history(self, request: HttpRequest, credential: Credential) -> dict[str, Any]:
        if not request.user.has_perm("jwt_upstream.view_event"):
            return {}
        about = {"upstream": credential.upstream, "account": credential.account}
        shown = {"timeline": timeline(credential), "chart": of_account(credential), "has_history": True}
        return {**shown, "history_url": cells.page_url(self.admin_site, "event_changelist", **about)}


def _without_transaction(pattern: URLPattern) -> URLPattern:
    for alias in connections:
        pattern.callback = transaction.non_atomic_requests(alias)(pattern.callback)
    return pattern


def _is_configured(upstream: str) -> bool:
    try:
        return bool(get_backend(upstream))
    except UpstreamNotConfigured:
        return False


def _has_own_values(upstream: str) -> bool:
    return _is_configured(upstream) and get_backend(upstream).accounts is not None


def _has_test(upstream: str) -> bool:
    return _is_configured(upstream) and bool(get_backend(upstream).test_path)
