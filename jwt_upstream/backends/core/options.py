"""Checks what a project writes into OPTIONS against the annotations of a backend class; knows no option by name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

_TYPE_NAMES = {str: "a string", float: "a number", int: "an integer", bool: "True or False", NoneType: "None"}


def problems(name: str, options: Mapping[str, Any], types: Mapping[str, Any]) -> Iterator[str]:
    """Yield one sentence for each option that the class ``name`` doesn't have or that is of a wrong type."""
    for option, value in options.items():
        if option not in types:
            yield f"unknown option {option!r}; {name} has {', '.join(sorted(types))}"
        elif not _fits(value, types[option]):
            yield f"option {option!r} must be {_spelled(types[option])}"
        elif any(not 0 <= number < math.inf for number in _numbers(value)):
            yield f"option {option!r} must not be negative or infinite"


def _kind(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return what a hint is of, and its parts; of ``tuple[str, ...]`` the item's hint only."""
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
    # Whatever else a project's own backend annotates, it checks itself.
    return isinstance(value, kind) if kind in _TYPE_NAMES else True


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value


def _spelled(hint: Any) -> str:
    kind, parts = _kind(hint)
    if kind is Union:
        return " or ".join(map(_spelled, parts))
    if kind is tuple:
        return f"a list of {len(parts)}, {', '.join(map(_spelled, parts))}"
    if kind in {Sequence, Mapping}:
        each = f", each {_spelled(parts[-1])}" if parts and parts[-1] is not Any else ""
        return ("a list" if kind is Sequence else "a dict") + each
    return str(_TYPE_NAMES.get(kind) or getattr(kind, "__name__", kind))


def login_problems(login: Mapping[str, Any], asks: tuple[str, ...]) -> Iterator[str]:
    """Yield one sentence for each thing that an automatic login lacks or that no login asks for."""
    for name in asks if login else ():
        if not isinstance(value := login.get(name), str) or not value:
            yield f"LOGIN lacks {name!r}"
    for name in login.keys() - set(asks):
        yield f"LOGIN has {name!r}, which no login asks for"
