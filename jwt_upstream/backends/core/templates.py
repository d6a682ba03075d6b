"""What is sent, as settings write it: with ``{name}`` where something is to be filled in.

In fields a value must be exactly ``{name}``, since bodies may hold braces of their own; values may be dicts and lists,
with such values in them. In paths, queries and headers it may stand within text, such as ``Bearer {access}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def placeholders(fields: Any) -> Iterator[str]:
    """Yield the names that fields ask for."""
    if isinstance(fields, Mapping):
        fields = list(fields.values())
    if isinstance(fields, list | tuple):
        for value in fields:
            yield from placeholders(value)
    elif isinstance(fields, str) and (match := _PLACEHOLDER.fullmatch(fields)):
        yield match[1]


def placeholders_within(texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the names that queries or headers ask for."""
    for text in texts.values():
        yield from _PLACEHOLDER.findall(text)


def filled(fields: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields with everything filled in; raises KeyError for a name that there is no value for."""
    return {name: _filled(value, values) for name, value in fields.items()}


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return filled(value, values)
    if isinstance(value, list | tuple):
        return [_filled(item, values) for item in value]
    match = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    return values[match[1]] if match else value


def filled_within(text: str, values: Mapping[str, str], quote: Callable[[str], str] = str) -> str:
    """Return a text with everything filled in, each value by way of ``quote``; other braces stay as they are."""
    return _PLACEHOLDER.sub(lambda match: quote(values[match[1]]) if match[1] in values else match[0], text)
