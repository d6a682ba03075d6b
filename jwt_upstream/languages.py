"""In which language something is said: the reader's, but English to logs and programs, and the project's in mails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.conf import settings
from django.utils.translation import override

F = TypeVar("F", bound=Callable[..., Any])


@contextmanager
def in_english() -> Iterator[None]:
    """Say it in English whoever asks: what is logged, raised, stored or read by programs; also a decorator."""
    with override(None):
        yield


@contextmanager
def in_project_language() -> Iterator[None]:
    """Say it in LANGUAGE_CODE: what goes to admins, whose own language nobody knows; also a decorator."""
    with override(settings.LANGUAGE_CODE):
        yield


def for_programs(function: F) -> F:
    """Mark what is called with texts that programs read, so that they are made in English."""
    function.is_for_programs = True  # type: ignore[attr-defined]
    return function


def is_for_programs(function: object) -> bool:
    """Tell whether ``for_programs`` marks it."""
    return getattr(function, "is_for_programs", False)
