"""Filters and a paginator that keep the admin's lists fast with a million rows: none of them reads a whole table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import InvalidPage, Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from jwt_upstream.models import Credential, Event
from jwt_upstream.store import queries

if TYPE_CHECKING:
    PaginatorBase = Paginator[Any]
else:
    PaginatorBase = Paginator


class BoundedPaginator(PaginatorBase):
    """Counts a limited number of rows, so that the time for a list doesn't grow with the table."""

    @cached_property
    def count(self) -> int:
        """The number of rows, or ``queries.COUNT_LIMIT`` if there are more."""
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]  # a queryset in the admin
        return queries.number(rows, queries.COUNT_LIMIT)


class TroubleFirst(BoundedPaginator):
    """Pages of credentials of which the first have those in trouble; each is read along an index."""

    @cached_property
    def _parts(self) -> list[tuple[QuerySet[Any], int]]:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]  # a queryset in the admin
        parts, left = [], queries.COUNT_LIMIT
        for part in queries.trouble_first(rows):
            size = queries.number(part, left) if left else 0
            parts.append((part, size))
            left -= size
        return parts

    @cached_property
    def count(self) -> int:
        """The number of rows, or ``queries.COUNT_LIMIT`` if there are more."""
        return sum(size for _, size in self._parts)

    def page(self, number: int | str) -> Any:
        """Return a page, whose rows may be of several parts."""
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        return Page(self._rows(first, first + self.per_page), number, self)

    def _rows(self, first: int, end: int) -> list[Any]:
        rows: list[Any] = []
        for part, size in self._parts:
            if first < size and end > 0:
                rows += part[max(first, 0) : min(end, size)]
            first, end = first - size, end - size
        return rows


class CredentialList(ChangeList):
    """Takes the rows from the paginator, also those of a single page, and sorts along indexes only."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Complete what the user sorts by to the columns of an index, all in one direction."""
        column = str(next(iter(super().get_ordering(request, queryset))))
        sign, name = ("-", column[1:]) if column.startswith("-") else ("", column)
        columns = ["state", "upstream", "account"] if name == "state" else ["upstream", "account"]
        return [f"{sign}{each}" for each in columns]

    def get_ordering_field_columns(self) -> dict[int, Any]:
        """Return the columns that the list is sorted by: none as long as trouble comes first."""
        return super().get_ordering_field_columns() if "o" in self.params else {}

    def get_results(self, request: HttpRequest) -> None:
        """Take the rows of the page; one that there is no more, since the list is shorter now, leads to the first."""
        super().get_results(request)
        try:
            self.result_list = self.paginator.page(self.page_num).object_list
        except InvalidPage:  # which Django only looks for where there are several pages
            raise IncorrectLookupParameters from None


def found(rows: QuerySet[Any], text: str, columns: Sequence[str]) -> QuerySet[Any]:
    """Choose what a search finds; all rows without one."""
    return queries.search(rows, text, columns) if text.strip() else rows


class ByUpstream(admin.SimpleListFilter):
    """Filters by upstream; Django's own filter reads the whole table to find the choices."""

    title = _("upstream")
    parameter_name = "upstream"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the upstreams that have rows."""
        return [(name, name) for name in queries.upstreams(model_admin.get_queryset(request))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        """Return the rows of the selected upstream."""
        # Not by equality, for which MariaDB 10.11 sorts all rows of the upstream (8 s for 100 000).
        name = self.value()
        return queryset.filter(upstream__gte=name, upstream__lte=name) if name else queryset


class Trouble(admin.SimpleListFilter):
    """Filters credentials by what they need of people."""

    title = _("trouble")
    parameter_name = "trouble"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the three choices."""
        return [("human", _("needs a human")), ("failing", _("refresh fails")), ("none", _("none"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        """Return the rows that a person must act upon, those whose last refresh failed, or the others."""
        state = Credential.State
        if self.value() == "human":
            return queryset.filter(state__in=[each for each in state if each != state.ACTIVE])
        if self.value() == "failing":
            # With the upstreams' names, so that the index which begins with them is used.
            return queries.failing(queryset, queries.upstreams(Credential.objects.using(queryset.db)))
        return queryset.filter(state=state.ACTIVE, failures=0) if self.value() else queryset


class ByKind(admin.SimpleListFilter):
    """Filters events by what happened."""

    title = _("event")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return all kinds."""
        return list(Event.Kind.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        """Return the events of the selected kind."""
        kind = self.value()
        if kind is None or kind == Event.Kind.REFRESHED:  # which most are, so that the newest are soon found
            return queryset.filter(kind=kind) if kind else queryset
        # With the upstreams' names, so that the index which begins with them is used.
        return queryset.filter(kind=kind, upstream__in=queries.upstreams(Event.objects.using(queryset.db)))


class Open(admin.SimpleListFilter):
    """Filters incidents by whether they are over."""

    title = _("state")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the two choices."""
        return [("yes", _("open")), ("no", _("over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        """Return the incidents that are open, or the others."""
        return queryset.filter(is_open=True if self.value() == "yes" else None) if self.value() else queryset
