"""Request fields as settings write them: a value of exactly ``{name}`` is filled in, any other is sent as it is.

Values may be dicts and lists, with such values in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def placeholders(fields: Any) -> Iterator[str]:
    """Yield the names that must be given."""
    if isinstance(fields, Mapping):
        fields = list(fields.values())
    if isinstance(fields, list | tuple):
        for value in fields:
            yield from placeholders(value)
    elif isinstance(fields, str) and (match := _PLACEHOLDER.fullmatch(fields)):
        yield match[1]


def filled(fields: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields with everything filled in."""
    return {name: _filled(value, values) for name, value in fields.items()}


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return filled(value, values)
    if isinstance(value, list | tuple):
        return [_filled(item, values) for item in value]
    match = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    return values[match[1]] if match else value
