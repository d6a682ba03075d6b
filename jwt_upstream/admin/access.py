"""Who may do what: rows are read-only, and each action has a permission of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.http import HttpRequest

#: Those of the filters by fields and dates.
_LOOKUPS = {"", "exact", "gte", "lt"}


def may(request: HttpRequest, action: str) -> bool:
    """Tell whether the user has a permission on credentials: view, log_in, refresh, log_out, test, rebind, …"""
    return request.user.has_perm(f"jwt_upstream.{action}_credential")


def by(request: HttpRequest) -> str:
    """Return who does something, for the history."""
    return f"admin by {request.user}"


class ReadOnly:
    """Forbids adding and changing rows, which the answers of upstreams do."""

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

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Lead to the whole list if the URL asks for a text with a NUL, which no row has and PostgreSQL fails of."""
        if any("\0" in text for _, texts in request.GET.lists() for text in texts):
            raise IncorrectLookupParameters
        return super().get_changelist_instance(request)  # type: ignore[misc]  # of the ModelAdmin, too

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out what is empty."""
        shown = []
        for title, options in self.fieldsets:  # type: ignore[attr-defined]  # likewise
            fields = [name for name in options["fields"] if self._value(name, obj) not in {"", None}]
            shown.append((title, {**options, "fields": fields}))
        return [each for each in shown if each[1]["fields"]]

    def _value(self, name: str, row: Any) -> Any:
        own = getattr(self, name, None)
        return own(row) if own else getattr(row, name)

    class Media:
        css = {"all": ["jwt_upstream/admin.css"]}
