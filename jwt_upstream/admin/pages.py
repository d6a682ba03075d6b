"""The admin pages of the models; they are read-only, and show no tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.core.exceptions import ImproperlyConfigured
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.formatting import time_left
from jwt_upstream.login import log_out
from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.refresh import NOT_RENEWABLE, needs_login_soon, try_again

from . import cells, filters

if TYPE_CHECKING:
    CredentialBase = admin.ModelAdmin[Credential]
    EventBase = admin.ModelAdmin[Event]
    IncidentBase = admin.ModelAdmin[Incident]
else:
    CredentialBase = EventBase = IncidentBase = admin.ModelAdmin

_HISTORY_EVENTS = 20
#: Those of the filters by fields and dates.
_LOOKUPS = {"", "exact", "gte", "lt"}
_EMPTY = "-"


class ReadOnly:
    """Forbids adding and changing rows; the change permission allows the actions instead."""

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Return False: logins and the answers of upstreams create rows."""
        return False

    def has_change_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Return False: editing a row could break its credential."""
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow filtering by what the list shows only: the URL could ask for any column, fingerprints for one."""
        shown: Sequence[Any] = self.list_filter  # type: ignore[attr-defined]  # of the ModelAdmin beside this class
        by_field = {each for each in shown if isinstance(each, str)}
        own = {each.parameter_name for each in shown if not isinstance(each, str)}
        name, _, how = lookup.partition("__")
        return lookup in own | {"upstream", "account"} or (name in by_field and how in _LOOKUPS)

    class Media:
        css = {"all": ["jwt_upstream/admin.css"]}


@admin.register(Credential)
class CredentialAdmin(ReadOnly, CredentialBase):
    """Shows states, expiries and fingerprints; only a credential's own page decrypts its tokens."""

    list_display = ["name", "badge", "from_when", "token_left", "problem"]
    list_filter = ["state", filters.Refreshing, filters.ByUpstream]
    search_fields = ["upstream", "account", "username", "reason", "failure"]
    paginator = filters.BoundedPaginator
    show_full_result_count = False
    actions = ["try_again", "log_out"]
    fieldsets = [
        (None, {"fields": ["upstream", "account", "username"]}),
        (_("State"), {"fields": ["badge", "since", "reason", "remedy"]}),
        (_("Tokens"), {"fields": ["access", "refresh", "obtained_at", "generation"]}),
        (
            _("Refresh"),
            {
                "fields": [
                    "worked_at",
                    "refreshing",
                    "failure",
                    "next_attempt_at",
                    "interrupted_at",
                    "refresh_suppressed_until",
                ]
            },
        ),
    ]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may use the actions, which takes the change permission."""
        return super(ReadOnly, self).has_change_permission(request)

    @admin.display(description=_("credential"), ordering="upstream")
    def name(self, credential: Credential) -> str:
        """Return the upstream and account."""
        return str(credential)

    @admin.display(description=_("state"), ordering="state")
    def badge(self, credential: Credential) -> str:
        """Return a badge with the state, or "degraded" for an active credential whose refresh fails."""
        return cells.of_credential(credential)

    @admin.display(description=_("expires in"), ordering="access_expires_at")
    def token_left(self, credential: Credential) -> str | None:
        """Return how long the access token is still valid, without decrypting it."""
        return time_left(credential.access_expires_at, credential.now()) if credential.access_token else None

    @admin.display(description=_("since"), ordering="since")
    def from_when(self, credential: Credential) -> str:
        """Return when the state began, in few characters."""
        return cells.short(credential.since)

    @admin.display(description=_("reason"))
    def problem(self, credential: Credential) -> str:
        """Return why it needs a human, why its refresh fails, or that it can't be refreshed."""
        if credential.needs_human:
            return credential.reason
        return credential.failure or (NOT_RENEWABLE if needs_login_soon(credential) else "")

    @admin.display(description=_("refresh"))
    def refreshing(self, credential: Credential) -> str:
        """Return whether refreshes work or since when they fail, and whether one is in progress."""
        if credential.needs_human:
            return _EMPTY
        if credential.is_leased(credential.now()):
            return str(_("in progress"))
        if needs_login_soon(credential):
            return NOT_RENEWABLE
        if credential.failing_since is None:
            return str(_("ok"))
        values = {"since": cells.short(credential.failing_since), "number": credential.failures}
        return _("failing since %(since)s, %(number)d times") % values

    @admin.display(description=_("what to do"))
    def remedy(self, credential: Credential) -> str:
        """Return what a person should do."""
        return credential.remedy if credential.needs_human else _EMPTY

    @admin.display(description=_("access token"))
    def access(self, credential: Credential) -> str:
        """Return the access token's fingerprint and expiry."""
        return cells.token(credential.access_token, credential.access_expires_at)

    @admin.display(description=_("refresh token"))
    def refresh(self, credential: Credential) -> str:
        """Return the refresh token's fingerprint and expiry."""
        return cells.token(credential.refresh_token, credential.refresh_expires_at)

    @admin.action(description=_("Refresh now, or try again"), permissions=["operate"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Credential]) -> HttpResponse | None:
        """Refresh with the stored tokens, whatever the state and backoff."""
        return self._each(request, queryset, try_again, _("Credential %s works: it has a new token."))

    @admin.action(description=_("Log out"), permissions=["operate"])
    def log_out(self, request: HttpRequest, queryset: QuerySet[Credential]) -> HttpResponse | None:
        """Delete the stored tokens."""

        def delete_tokens(credential: Credential, *, by: str) -> None:
            log_out(credential.upstream, credential.account, by=by)

        return self._each(request, queryset, delete_tokens, _("Credential %s is logged out; its tokens are deleted."))

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Credential], do: Callable[..., Any], done: Any
    ) -> HttpResponse | None:
        for credential in queryset:
            try:
                do(credential, by=f"admin by {request.user}")
            except (UpstreamError, ImproperlyConfigured) as error:
                # The admin capitalizes messages, so they must not begin with the name of an account.
                self.message_user(request, _("Failed: %s") % error, messages.ERROR)
            else:
                self.message_user(request, done % credential, messages.SUCCESS)
        # The buttons on a credential's own page lead back to it.
        page = request.POST.get("back_to")
        return HttpResponseRedirect(self._url("credential_change", quote(page))) if page else None

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add the last events and, if the user may use them, the actions."""
        context = {"show_actions": self.has_operate_permission(request), "history": self._history(request, object_id)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **context})

    def _history(self, request: HttpRequest, object_id: str) -> dict[str, Any] | None:
        credential = self.get_object(request, object_id)
        if credential is None or not request.user.has_perm("jwt_upstream.view_event"):
            return None
        about = {"upstream": credential.upstream, "account": credential.account}
        events = Event.objects.filter(**about)
        return {
            "events": [(event, cells.of_event(event)) for event in events[:_HISTORY_EVENTS]],
            "url": f"{self._url('event_changelist')}?{urlencode(about)}",
        }

    def _url(self, page: str, *args: str) -> str:
        return reverse(f"admin:jwt_upstream_{page}", args=args, current_app=self.admin_site.name)


@admin.register(Event)
class EventAdmin(ReadOnly, EventBase):
    """Shows the history of all credentials, from which nothing can be deleted."""

    list_display = ["when", "name", "badge", "reason", "by"]
    list_filter = ["kind", filters.ByUpstream, "at"]
    search_fields = ["upstream", "account", "reason", "by", "access_fingerprint", "refresh_fingerprint"]
    paginator = filters.BoundedPaginator
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Return False: the history is append-only."""
        return False

    @admin.display(description=_("credential"), ordering="upstream")
    def name(self, event: Event) -> str:
        """Return the upstream and account, also of a deleted credential."""
        return f"{event.upstream}/{event.account}"

    @admin.display(description=_("event"), ordering="kind")
    def badge(self, event: Event) -> str:
        """Return a badge with what happened."""
        return cells.of_event(event)

    @admin.display(description=_("time"), ordering="at")
    def when(self, event: Event) -> str:
        """Return when it happened, to the second, since there may be several events in a minute."""
        return cells.short(event.at)


@admin.register(Incident)
class IncidentAdmin(ReadOnly, IncidentBase):
    """Shows what is wrong, and below that what was; incidents of what is no longer configured may be deleted."""

    list_display = ["subject", "badge", "from_when", "until_when", "told_when", "reason"]
    list_filter = [filters.Open, "kind", filters.ByUpstream]
    search_fields = ["upstream", "account", "reason"]
    paginator = filters.BoundedPaginator
    show_full_result_count = False
    exclude = ["is_open"]

    @admin.display(description=_("problem"), ordering="kind")
    def badge(self, incident: Incident) -> str:
        """Return a badge with what is wrong, or was."""
        return cells.of_incident(incident)

    @admin.display(description=_("since"), ordering="since")
    def from_when(self, incident: Incident) -> str:
        """Return when the trouble began, in few characters."""
        return cells.short(incident.since)

    @admin.display(description=_("until"), ordering="closed_at")
    def until_when(self, incident: Incident) -> str | None:
        """Return when it worked again."""
        return cells.short(incident.closed_at) if incident.closed_at else None

    @admin.display(description=_("admins told"), ordering="notified_at")
    def told_when(self, incident: Incident) -> str | None:
        """Return when admins were told of it; they aren't of what is over soon."""
        return cells.short(incident.notified_at) if incident.notified_at else None
