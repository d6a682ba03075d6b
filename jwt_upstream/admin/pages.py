"""The admin's pages: how credentials are doing and what happened to them; nothing can be edited, no token is shown."""

from __future__ import annotations

from collections.abc import Callable
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
from jwt_upstream.models import Credential, Event, Outage
from jwt_upstream.refresh import try_again

from . import cells, filters

if TYPE_CHECKING:
    CredentialBase = admin.ModelAdmin[Credential]
    EventBase = admin.ModelAdmin[Event]
    OutageBase = admin.ModelAdmin[Outage]
else:
    CredentialBase = EventBase = OutageBase = admin.ModelAdmin

_HISTORY_EVENTS = 20
_EMPTY = "-"


class ReadOnly:
    """Keeps people from adding and changing; whoever may change a row may operate it by actions."""

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Refuse: rows are made by logging in and by what upstreams answer."""
        return False

    def has_change_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Refuse: a row that says other than the upstream breaks a credential."""
        return False

    class Media:
        css = {"all": ["jwt_upstream/admin.css"]}


@admin.register(Credential)
class CredentialAdmin(ReadOnly, CredentialBase):
    """Shows state, lifetimes and fingerprints; the tokens are opened on a credential's own page only."""

    list_display = ["name", "badge", "from_when", "token_left", "why"]
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
            _("Refreshing"),
            {"fields": ["refreshing", "failure", "next_attempt_at", "interrupted_at", "refresh_suppressed_until"]},
        ),
    ]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Ask the change permission of whoever wants to use an action."""
        return super(ReadOnly, self).has_change_permission(request)

    @admin.display(description=_("credential"), ordering="upstream")
    def name(self, credential: Credential) -> str:
        """Name upstream and account."""
        return str(credential)

    @admin.display(description=_("state"), ordering="state")
    def badge(self, credential: Credential) -> str:
        """Show the state at a glance, and whether an active credential lives on its last token."""
        return cells.of_credential(credential)

    @admin.display(description=_("token left"), ordering="access_expires_at")
    def token_left(self, credential: Credential) -> str | None:
        """Say how long the access token still lives, without opening it."""
        return time_left(credential.access_expires_at, credential.now()) if credential.access_token else None

    @admin.display(description=_("since"), ordering="since")
    def from_when(self, credential: Credential) -> str:
        """Say since when, in few characters."""
        return cells.short(credential.since)

    @admin.display(description=_("why"))
    def why(self, credential: Credential) -> str:
        """Say why it is not well."""
        return credential.reason if credential.needs_human else credential.failure

    @admin.display(description=_("refreshing"))
    def refreshing(self, credential: Credential) -> str:
        """Say whether refreshing works, is under way, or since when it fails."""
        if credential.needs_human:
            return _EMPTY
        if credential.is_leased(credential.now()):
            return str(_("under way"))
        if credential.failing_since is None:
            return str(_("ok"))
        told = {"since": cells.short(credential.failing_since), "number": credential.failures}
        return _("failing since %(since)s, %(number)d times") % told

    @admin.display(description=_("what now"))
    def remedy(self, credential: Credential) -> str:
        """Say what a person should do."""
        return credential.remedy if credential.needs_human else _EMPTY

    @admin.display(description=_("access token"))
    def access(self, credential: Credential) -> str:
        """Show the access token's fingerprint and lifetime."""
        return cells.token(credential.access_token, credential.access_expires_at)

    @admin.display(description=_("refresh token"))
    def refresh(self, credential: Credential) -> str:
        """Show the refresh token's fingerprint and lifetime."""
        return cells.token(credential.refresh_token, credential.refresh_expires_at)

    @admin.action(description=_("Refresh now, or try again"), permissions=["operate"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Credential]) -> HttpResponse | None:
        """Refresh with the stored tokens, whatever state and pause there is."""
        return self._each(request, queryset, try_again, _("Credential %s works: it has a new token."))

    @admin.action(description=_("Log out"), permissions=["operate"])
    def log_out(self, request: HttpRequest, queryset: QuerySet[Credential]) -> HttpResponse | None:
        """Forget the tokens."""

        def forget(credential: Credential, *, by: str) -> None:
            log_out(credential.upstream, credential.account, by=by)

        return self._each(request, queryset, forget, _("Credential %s is logged out; its tokens are forgotten."))

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Credential], do: Callable[..., Any], done: Any
    ) -> HttpResponse | None:
        for credential in queryset:
            try:
                do(credential, by=f"admin by {request.user}")
            except (UpstreamError, ImproperlyConfigured) as error:
                # The admin begins messages with a capital letter, which must not be an account's.
                self.message_user(request, _("Not done: %s") % error, messages.ERROR)
            else:
                self.message_user(request, done % credential, messages.SUCCESS)
        # The buttons on a credential's own page bring its reader back there.
        page = request.POST.get("back_to")
        return HttpResponseRedirect(self._url("credential_change", quote(page))) if page else None

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add the last events and, for those who may use them, the actions."""
        own = {"show_actions": self.has_operate_permission(request), "history": self._history(request, object_id)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **own})

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
    """Shows what happened; an append-only history has nothing to delete by hand."""

    list_display = ["when", "name", "badge", "reason", "by"]
    list_filter = ["kind", filters.ByUpstream, "at"]
    search_fields = ["upstream", "account", "reason", "by", "access_fingerprint", "refresh_fingerprint"]
    paginator = filters.BoundedPaginator
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Refuse: the history is append-only."""
        return False

    @admin.display(description=_("credential"), ordering="upstream")
    def name(self, event: Event) -> str:
        """Name upstream and account, which outlive the credential."""
        return f"{event.upstream}/{event.account}"

    @admin.display(description=_("what"), ordering="kind")
    def badge(self, event: Event) -> str:
        """Show what happened at a glance."""
        return cells.of_event(event)

    @admin.display(description=_("at"), ordering="at")
    def when(self, event: Event) -> str:
        """Say when, to the second, since much can happen in a minute."""
        return cells.short(event.at)


@admin.register(Outage)
class OutageAdmin(ReadOnly, OutageBase):
    """Shows upstreams in trouble; one that is no longer configured may be deleted."""

    list_display = ["upstream", "badge", "from_when", "reason"]
    list_filter = ["kind"]
    search_fields = ["upstream", "reason"]

    @admin.display(description=_("trouble"), ordering="kind")
    def badge(self, outage: Outage) -> str:
        """Show the trouble at a glance."""
        return cells.of_outage(outage)

    @admin.display(description=_("since"), ordering="since")
    def from_when(self, outage: Outage) -> str:
        """Say since when, in few characters."""
        return cells.short(outage.since)
