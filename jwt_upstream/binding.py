"""What tokens are bound to: the origin, token endpoint, client and scope that they were obtained for. None is secret.

A binding is a dict of texts by name, as ``Backend.binding`` is one and ``Credential.obtained_for`` keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

_ENDPOINT = "token_endpoint"
#: Further origins that the tokens may be sent to, with a space between two.
ORIGINS = "origins"
#: The path of ``BASE_URL``: not compared, since calls may move inside the origin, and with them a relative endpoint.
BASE_PATH = "base_path"
#: By what has changed; whatever a backend adds to its binding is called by its name.
_CHANGED = {
    "origin": gettext_lazy("the origin was %(before)s and is %(now)s now"),
    ORIGINS: gettext_lazy("the origins were %(before)s and are %(now)s now"),
    _ENDPOINT: gettext_lazy("the token endpoint was %(before)s and is %(now)s now"),
    "client": gettext_lazy("the client was %(before)s and is %(now)s now"),
    "audience": gettext_lazy("the audience was %(before)s and is %(now)s now"),
    "scope": gettext_lazy("the scope was %(before)s and is %(now)s now"),
}
#: Begins the names of an account's own parameters: tokens of one tenant must not reach another one's path.
PARAMETER = "parameter "


_LABELS = {
    "origin": gettext_lazy("origin"),
    ORIGINS: gettext_lazy("origins"),
    _ENDPOINT: gettext_lazy("token endpoint"),
    "client": gettext_lazy("client"),
    "audience": gettext_lazy("audience"),
    "scope": gettext_lazy("scope"),
}


class Change(NamedTuple):
    """Something that tokens were obtained for and that settings name differently now."""

    name: str
    before: str
    now: str

    @property
    def is_of_origin(self) -> bool:
        """Whether tokens would be sent to another scheme, host or port, or for another tenant."""
        if self.name == ORIGINS or self.name.startswith(PARAMETER):
            return True
        before, now = urlsplit(self.before), urlsplit(self.now)
        return (before.scheme, before.netloc) != (now.scheme, now.netloc)

    def __str__(self) -> str:
        text = _CHANGED.get(self.name) or gettext_lazy("the %(name)s was %(before)s and is %(now)s now")
        name = self.name.replace("_", " ")
        return text % {"name": name, "before": self.before or _("not set"), "now": self.now or _("not set")}


def changes(
    obtained_for: Mapping[str, str], now: Mapping[str, str], *, is_misconfigured: bool = False
) -> list[Change]:
    """Return how a binding differs from what settings name now; one that is empty, or lacks a name, fits anything.

    Of further origins only those count that are new, also where a binding is from before there were any.
    While the last refresh failed for the settings' sake (``is_misconfigured``), all but another origin is a correction
    and no change: tokens that were stored while the path or the client was a wrong one can't be refreshed with that.
    """
    if not obtained_for or obtained_for == now:
        return []
    found = [
        Change(name, before, now.get(name, ""))
        for name, before in {ORIGINS: "", **obtained_for}.items()
        if name != BASE_PATH and _counts(name, before, now.get(name, ""))
    ]
    if _relative_endpoint(obtained_for) == _relative_endpoint(now):
        found = [each for each in found if each.name != _ENDPOINT]
    return [each for each in found if each.is_of_origin] if is_misconfigured else found


def _counts(name: str, before: str, now: str) -> bool:
    return not _origins(now) <= _origins(before) if name == ORIGINS else before != now


def _origins(text: str) -> set[str]:
    return set(text.split())


def refreshed(obtained_for: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Return the binding of what a refresh has brought: further origins stay, as somebody has confirmed them once.

    While a deployment adds one, a worker with the old settings would undo by its refresh what was confirmed.
    """
    both = _origins(obtained_for.get(ORIGINS, "")) | _origins(now.get(ORIGINS, ""))
    return {**now, ORIGINS: " ".join(sorted(both))}


def _relative_endpoint(binding: Mapping[str, str]) -> str:
    base = f"{binding.get('origin', '')}{binding.get(BASE_PATH, '')}/"
    return binding.get(_ENDPOINT, "").removeprefix(base)


def in_order(scopes: str) -> str:
    """Return scopes as they are compared, whose order says nothing."""
    return " ".join(sorted(scopes.split()))


def shown(binding: Mapping[str, str]) -> str:
    """Return what tokens are bound to, as people read it."""
    bound = {name: value for name, value in binding.items() if value and name != BASE_PATH}
    return ", ".join(f"{_LABELS.get(name) or name.replace('_', ' ')} {value}" for name, value in bound.items())


def described(found: Iterable[Change]) -> str:
    """Return what has changed, from what to what, as a part of a sentence."""
    return ", ".join(map(str, found))
