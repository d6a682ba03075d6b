"""Tables and columns of the database, the values that some columns have, verdicts and permissions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

from django.apps import apps
from django.db import models
from django.utils.module_loading import import_string

from .rst import docstring, table, texts


def columns(name: str, content: Iterable[str] = ()) -> Iterator[str]:
    """Yield a model's table; the content tells of the columns that have no ``help_text``."""
    model = apps.get_model("jwt_upstream", name)
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    said = texts(content, [field.name for field in fields if not field.help_text])
    yield from (f"Table ``{model._meta.db_table}``. {docstring(model.__doc__)[0]}", "")
    rows = ((f"``{f.column}``", _kind(f), str(f.help_text) or said[f.name]) for f in fields)
    yield from table(("Column", "Type", "What it holds"), rows, (24, 22, 54))


def choices(path: str, content: Iterable[str] = ()) -> Iterator[str]:
    """Yield the values of an enumeration, which the content tells of."""
    cls: Any = _found(path)
    said = texts(content, [member.name for member in cls])
    rows = ((f"``{_value(member)}``", said[member.name]) for member in cls)
    yield from table(("Value", "Meaning"), rows, (24, 76))


def permissions() -> Iterator[str]:
    """Yield the permissions of all models."""
    for model in apps.get_app_config("jwt_upstream").get_models():
        meta = model._meta
        by_default = [
            (f"{each}_{meta.model_name}", f"Can {each} {meta.verbose_name}") for each in meta.default_permissions
        ]
        rows = [(f"``jwt_upstream.{code}``", str(text)) for code, text in (*by_default, *meta.permissions)]
        yield from table(("Permission", "What it allows"), rows, (50, 50)) if rows else ()


def _found(path: str) -> Any:
    module, name, *inner = path.split(":")[0], *path.split(":")[1].split(".")
    found = import_string(f"{module}.{name}")
    for each in inner:
        found = getattr(found, each)
    return found


def _value(member: Enum) -> str:
    # Verdicts are written by name, what a column has by value.
    return str(member.value) if isinstance(member, models.TextChoices) else member.name


def _kind(field: models.Field[Any, Any]) -> str:
    name = field.get_internal_type().removesuffix("Field")
    size = f"({field.max_length})" if field.max_length else ""
    return f"{name}{size}{', may be NULL' if field.null else ''}"
