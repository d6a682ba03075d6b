"""How clients of this process learn that a credential changed, without asking the database; knows no credential."""

from __future__ import annotations

from typing import Any


class Changes:
    """Counts what happened to credentials in this process, so that clients know when to look at the row again."""

    count = 0

    @classmethod
    def note(cls, **_: Any) -> None:
        """Have every client of this process look again; losing a count to a race makes no difference."""
        cls.count += 1
