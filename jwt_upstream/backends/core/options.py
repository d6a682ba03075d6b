"""The options of a backend: its annotated class attributes, which OPTIONS in settings override. Knows none by name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from jwt_upstream.names import alternatives
from jwt_upstream.tokens import NOTHING

_TYPE_NAMES = {str: "a string", float: "a number", int: "an integer", bool: "True or False", NoneType: "None"}

#: What stands for a text of which settings only say where it is kept; copies that send have the text.
ELSEWHERE = "kept elsewhere"


class Configurable:
    """One upstream's alias, base URL and options; lists (from JSON or the environment) become tuples."""

    def __init__(self, alias: str, base_url: str, /, **options: Any) -> None:
        self.alias = alias
        self.base_url = base_url if base_url.endswith("/") else f"{base_url}/"
        self._options = options
        #: What an account has of its own; empty where all accounts are alike.
        self.own_parameters = self.own_account_secrets = NOTHING
        for name in options.keys() & self.option_types().keys():
            value = options[name]
            setattr(self, name, tuple(value) if isinstance(value, list) else value)

    @classmethod
    @cache  # resolving the hints takes a millisecond
    def option_types(cls) -> Mapping[str, Any]:
        """Return the annotated type of every option by its name."""
        return {name: hint for name, hint in get_type_hints(cls).items() if not name.startswith("_")}


def problems(name: str, options: Mapping[str, Any], types: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each option that the class ``name`` doesn't have, or whose value has the wrong type."""
    for option, value in options.items():
        if option not in types:
            yield f"unknown option {option!r}; the options of {name} are {alternatives(option, sorted(types))}"
        elif not _fits(value, types[option]):
            yield f"option {option!r} must be {spelled(types[option])}"
        elif any(not 0 <= number < math.inf for number in _numbers(value)):
            yield f"option {option!r} must not be negative or infinite"


def _kind(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a hint's origin and its arguments; for ``tuple[str, ...]`` the sequence and the item's hint."""
    kind, parts = get_origin(hint) or hint, get_args(hint)
    kind = {UnionType: Union, list: Sequence, dict: Mapping}.get(kind, kind)
    return (Sequence, parts[:1]) if kind is tuple and parts[-1:] == (...,) else (kind, parts)


def _fits(value: Any, hint: Any) -> bool:
    kind, parts = _kind(hint)
    if kind is Union:
        return any(_fits(value, part) for part in parts)
    if kind is Sequence:
        return isinstance(value, list | tuple) and all(_fits(item, part) for item in value for part in parts)
    if kind is tuple:
        return isinstance(value, list | tuple) and len(value) == len(parts) and all(map(_fits, value, parts))
    if kind is Mapping:
        return isinstance(value, Mapping) and all(_fits(item, part) for item in value.values() for part in parts[1:])
    if kind in {int, float}:
        return isinstance(value, int | kind) and not isinstance(value, bool)
    # A project's own backend has to check any other type itself.
    return isinstance(value, kind) if kind in _TYPE_NAMES else True


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value


def spelled(hint: Any) -> str:
    """Return a type in words."""
    kind, parts = _kind(hint)
    if kind is Union:
        return " or ".join(map(spelled, parts))
    if kind is tuple:
        return f"a list of {len(parts)}, {', '.join(map(spelled, parts))}"
    if kind in {Sequence, Mapping}:
        each = f", each {spelled(parts[-1])}" if parts and parts[-1] is not Any else ""
        return ("a list" if kind is Sequence else "a dict") + each
    return str(_TYPE_NAMES.get(kind) or getattr(kind, "__name__", kind))
