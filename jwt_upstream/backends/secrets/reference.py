"""One secret of settings, read when it is needed, kept for a while, and read anew when it is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NoReturn

from jwt_upstream.exceptions import UpstreamMisconfigured
from jwt_upstream.tokens import OwnCopy, fingerprint
from jwt_upstream.tracebacks import without_variables

from .places import PREFIXES, check, fetch

#: How long a process goes on with what it has read, and how long it doesn't try again after a failure.
KEPT_SECONDS = 60.0
FAILED_SECONDS = 5.0


class Reference(OwnCopy):
    """A secret as it is written in settings: itself, "file:PATH", "call:DOTTED.PATH" or a callable without arguments.

    Shows none, can't be pickled, and is its own copy. Threads that read at the same time read the same.
    """

    __slots__ = ("_good_until", "_kept_seconds", "_problem", "_value", "_written", "name")

    def __init__(self, name: str, written: Any, kept_seconds: float | None = None) -> None:
        self.name, self._written, self._kept_seconds = name, written, kept_seconds
        self._value = "" if self.is_elsewhere else written
        self._problem, self._good_until = "", float("-inf")

    def __repr__(self) -> str:
        return f"<Reference {self.name}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret can't be pickled")

    @property
    def is_elsewhere(self) -> bool:
        """Whether settings only say where it is kept."""
        return callable(self._written) or (isinstance(self._written, str) and self._written.startswith(PREFIXES))

    @property
    def is_given(self) -> bool:
        """Whether it is a text that is not empty, or kept elsewhere."""
        return self.is_elsewhere or (isinstance(self._written, str) and bool(self._written))

    @property
    def known(self) -> str:
        """The value, "" if it has not been read yet."""
        return self._value

    @property
    def at_hand(self) -> str:
        """The value as settings or a file have it at this moment; "" if it takes a call, or the file can't be read."""
        try:
            return check(self._written) if self.is_elsewhere else self._value
        except UpstreamMisconfigured:
            return ""

    @without_variables
    def read(self) -> str:
        """Return the value as it was within the last minute (or ``kept_seconds``), or earlier if it can't be read now.

        Raises UpstreamMisconfigured if it never could be read.
        """
        if self.is_elsewhere and time.monotonic() >= self._good_until:
            self._fetch()
        if not self._value and self._problem:
            raise UpstreamMisconfigured(f"{self.name} {self._problem}")
        return self._value

    @without_variables
    def has_changed(self) -> bool:
        """Read anew; tell whether it is another value than before, or the first one. Raises nothing."""
        before = fingerprint(self._value)
        if self.is_elsewhere:
            self._fetch()
        return fingerprint(self._value) != before

    def problem(self, examine: Callable[[str], str] = lambda _: "") -> str:
        """Return what is wrong with the file or dotted path, "" if nothing is seen to be; calls nothing.

        ``examine`` says what is wrong with a text, a file's content or one that stands in settings.
        """
        try:
            content = check(self._written) if self.is_elsewhere else self._value
            return examine(content) if content else ""
        except UpstreamMisconfigured as error:
            return f"{self.name} {error}"

    def _fetch(self) -> None:
        try:
            self._value, self._problem = fetch(self._written), ""
        except UpstreamMisconfigured as error:
            self._problem = str(error)
        kept = KEPT_SECONDS if self._kept_seconds is None else self._kept_seconds
        self._good_until = time.monotonic() + (FAILED_SECONDS if self._problem else kept)
