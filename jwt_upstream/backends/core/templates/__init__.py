"""Texts with placeholders, as settings write them for fields, paths, queries and headers."""

from __future__ import annotations

from .made_values import is_reserved, same_values
from .template import (
    Template,
    all_filled,
    filled,
    filled_within,
    placeholders,
    template,
    unfillable,
    unknown_functions,
)

__all__ = [
    "Template",
    "all_filled",
    "filled",
    "filled_within",
    "is_reserved",
    "placeholders",
    "same_values",
    "template",
    "unfillable",
    "unknown_functions",
]
