"""Templates of requests: ``{name}`` is a placeholder for a value.

In fields a placeholder must be the whole value, since bodies may contain braces of their own; dicts and lists may hold
such values at any depth. In paths, queries and headers it may be part of a text, such as ``Bearer {access}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def placeholders(fields: Any) -> Iterator[str]:
    """Yield the names of the placeholders in fields, at any depth."""
    if isinstance(fields, Mapping):
        fields = list(fields.values())
    if isinstance(fields, list | tuple):
        for value in fields:
            yield from placeholders(value)
    elif isinstance(fields, str) and (match := _PLACEHOLDER.fullmatch(fields)):
        yield match[1]


def placeholders_within(texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of the placeholders in queries or headers."""
    for text in texts.values():
        yield from _PLACEHOLDER.findall(text)


def filled(fields: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Return fields with their placeholders replaced; raises KeyError for a name without a value."""
    return {name: _filled(value, values) for name, value in fields.items()}


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return filled(value, values)
    if isinstance(value, list | tuple):
        return [_filled(item, values) for item in value]
    match = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    return values[match[1]] if match else value


def filled_within(text: str, values: Mapping[str, str], quote: Callable[[str], str] = str) -> str:
    """Return a text with its placeholders replaced by quoted values; unknown names and other braces are kept."""
    return _PLACEHOLDER.sub(lambda match: quote(values[match[1]]) if match[1] in values else match[0], text)
