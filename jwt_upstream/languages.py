"""In which language something is said: the reader's, but English to logs and programs, and the project's in mails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.utils.translation import override


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
