"""The admin's pages of events and incidents, of which nothing can be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from jwt_upstream.clock import host_now
from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.names import full_name
from jwt_upstream.recorded import translated

from . import cells, filters
from .access import ReadOnly

if TYPE_CHECKING:
    EventBase = admin.ModelAdmin[Event]
    IncidentBase = admin.ModelAdmin[Incident]
else:
    EventBase = IncidentBase = admin.ModelAdmin


def _linked(admin_site: admin.AdminSite, key: int | None, text: str) -> str:
    """Return a name as a link to the page of the credential, if it is still there."""
    return cells.link(cells.page_url(admin_site, "credential_change", key), text) if key else text


@admin.register(Event)
class EventAdmin(ReadOnly, EventBase):
    """Shows the history of all credentials, from which nothing can be deleted."""

    list_display = ["when", "name", "badge", "took", "why", "by"]
    # The first column leads to the event, the second to the credential.
    list_display_links = ["when"]
    list_filter = [filters.ByKind, filters.ByUpstream, "at"]
    sortable_by = ["when"]
    search_fields = ["reason", "by", "access_fingerprint", "refresh_fingerprint"]
    search_help_text = _("By upstream/account, or by words of the name, reason, person or fingerprint of the newest.")
    paginator = filters.BoundedPaginator
    show_full_result_count = False
    fieldsets = [
        (None, {"fields": ["name", "badge", "when", "why", "by"]}),
        (_("Answer"), {"fields": ["verdict", "status_code", "took"]}),
        (_("State"), {"fields": ["state_before", "state", "access_fingerprint", "refresh_fingerprint"]}),
    ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by an index and within bounds; see ``queries.search``."""
        return filters.found(queryset, search_term, self.search_fields), False

    def has_delete_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Return False: the history is append-only."""
        return False

    @admin.display(description=_("credential"))
    def name(self, event: Event) -> str:
        """Return the upstream and account, as a link unless the credential was deleted."""
        return _linked(self.admin_site, event.credential_id, full_name(event.upstream, event.account))

    @admin.display(description=_("event"))
    def badge(self, event: Event) -> str:
        """Return a badge with what happened."""
        return cells.of_event(event)

    @admin.display(description=_("time"), ordering="at")
    def when(self, event: Event) -> str:
        """Return when it happened."""
        return cells.moment(event.at, host_now())

    @admin.display(description=_("reason"), empty_value="")
    def why(self, event: Event) -> str:
        """Return why it happened."""
        return translated(event.reason)

    @admin.display(description=_("duration"), empty_value="")
    def took(self, event: Event) -> str:
        """Return how long the upstream took."""
        return cells.milliseconds(event.seconds)


@admin.register(Incident)
class IncidentAdmin(ReadOnly, IncidentBase):
    """Shows what is wrong, and below that what was; incidents of what is no longer configured may be deleted."""

    list_display = ["subject", "badge", "from_when", "until_when", "told_when", "why"]
    list_filter = [filters.Open, "kind", filters.ByUpstream]
    search_fields = ["reason"]
    search_help_text = _("By upstream/account, or by words of the name or reason of the newest.")
    paginator = filters.BoundedPaginator
    show_full_result_count = False
    fieldsets = [
        (None, {"fields": ["whose", "badge", "why", "url", "whom", "what_now"]}),
        (_("Time"), {"fields": ["from_when", "told_when", "until_when"]}),
    ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by an index and within bounds; see ``queries.search``."""
        return filters.found(queryset, search_term, self.search_fields), False

    @admin.display(description=_("incident"))
    def subject(self, incident: Incident) -> str:
        """Return the upstream and account, or the upstream alone."""
        return incident.subject

    @admin.display(description=_("problem"), ordering="kind")
    def badge(self, incident: Incident) -> str:
        """Return a badge with what is wrong, or was."""
        return cells.of_incident(incident)

    @admin.display(description=pgettext_lazy("incident", "about"))
    def whose(self, incident: Incident) -> str:
        """Return the credential as a link, or the upstream as one to its credentials."""
        if not incident.account:
            url = cells.page_url(self.admin_site, "credential_changelist", upstream=incident.upstream)
            return cells.link(url, incident.subject)
        found = Credential.objects.filter(upstream=incident.upstream, account=incident.account)
        return _linked(self.admin_site, found.values_list("pk", flat=True).first(), incident.subject)

    @admin.display(description=_("reason"), empty_value="")
    def why(self, incident: Incident) -> str:
        """Return what is known of its cause."""
        return translated(incident.reason)

    @admin.display(description=_("concerns"), empty_value="")
    def whom(self, incident: Incident) -> str:
        """Return whom it concerned when it was told."""
        return translated(incident.concerns)

    @admin.display(description=_("what to do"))
    def what_now(self, incident: Incident) -> str:
        """Return what a person should do while it lasts."""
        if not incident.is_open:
            return ""
        if incident.kind == Incident.Kind.MISCONFIGURED:
            return str(_("Correct the settings of this upstream; it ends with the first refresh that works"))
        if incident.kind in Incident.NEEDS_HUMAN:
            return str(_("The page of the credential says what to do, and has the buttons for it"))
        return str(_("Nothing, if it is soon over: refreshing is tried again by itself. If not, ask the upstream"))

    @admin.display(description=_("since"), ordering="since", empty_value="")
    def from_when(self, incident: Incident) -> str:
        """Return when the trouble began."""
        return cells.moment(incident.since, host_now())

    @admin.display(description=_("until"), ordering="closed_at", empty_value="")
    def until_when(self, incident: Incident) -> str:
        """Return when it worked again."""
        return cells.moment(incident.closed_at, host_now())

    @admin.display(description=_("admins told"), ordering="notified_at", empty_value="")
    def told_when(self, incident: Incident) -> str:
        """Return when admins were told of it; they aren't of what is over soon."""
        return cells.moment(incident.notified_at, host_now())
