"""Request fields as settings write them: a value of exactly ``{name}`` is filled in, any other is sent as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def placeholders(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names that must be given."""
    for value in fields.values():
        if isinstance(value, str) and (match := _PLACEHOLDER.fullmatch(value)):
            yield match[1]


def filled(fields: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields with everything filled in."""
    return {name: _filled(value, values) for name, value in fields.items()}


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    match = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    return values[match[1]] if match else value
