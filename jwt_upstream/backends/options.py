"""Checks what a project writes into OPTIONS against the annotations of a backend class; knows no option by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from .verdicts import Rule


def problems(name: str, options: Mapping[str, Any], types: Mapping[str, Any]) -> Iterator[str]:
    """Yield one sentence for each option that the class ``name`` doesn't have or that is of a wrong type."""
    for option, value in options.items():
        if option not in types:
            yield f"unknown option {option!r}; {name} has {', '.join(sorted(types))}"
        elif not _fits(value, types[option]):
            yield f"option {option!r} must be {_spelled(types[option])}, not {type(value).__name__}"
        elif isinstance(value, int | float) and value < 0:
            yield f"option {option!r} must not be negative"
        elif option == "rules":
            yield from _rule_problems(value)


def _rule_problems(rules: Any) -> Iterator[str]:
    for rule in rules:
        try:
            Rule.parse(rule)
        except ValueError as error:
            yield str(error)


def _kinds(hint: Any) -> Iterator[Any]:
    if get_origin(hint) in {Union, UnionType}:
        for part in get_args(hint):
            yield from _kinds(part)
    else:
        yield get_origin(hint) or hint


def _fits(value: Any, hint: Any) -> bool:
    wider: dict[Any, list[Any]] = {float: [int, float], tuple: [list, tuple], Sequence: [list, tuple]}
    accepted: list[Any] = []
    for kind in _kinds(hint):
        accepted += wider.get(kind, [kind])
    return type(value) in accepted or any(isinstance(value, kind) for kind in accepted if kind is Mapping)


def _spelled(hint: Any) -> str:
    names = {str: "a string", float: "a number", bool: "True or False", NoneType: "None"}
    names |= {tuple: "a list", Sequence: "a list", Mapping: "a dict"}
    return " or ".join(dict.fromkeys(names[kind] for kind in _kinds(hint)))
