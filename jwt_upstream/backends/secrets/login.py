"""The LOGIN of settings, with which a session that is lost is replaced without a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jwt_upstream.names import did_you_mean
from jwt_upstream.tokens import Secrets

from .reference import Reference


class Login:
    """The values of an automatic login by name; false if none is configured."""

    def __init__(self, written: Mapping[str, Any] | None = None) -> None:
        self._references = {name: Reference(f"LOGIN[{name!r}]", value) for name, value in (written or {}).items()}
        #: Whether it is made of what each account has of its own, and so is every account's.
        self.is_of_account = False

    def __repr__(self) -> str:
        return f"<Login: {', '.join(self._references)}>"

    def __bool__(self) -> bool:
        return bool(self._references)

    @property
    def names(self) -> list[str]:
        """The names of the values."""
        return list(self._references)

    def read(self) -> Secrets:
        """Return the values; raises UpstreamMisconfigured."""
        return Secrets({name: reference.read() for name, reference in self._references.items()})

    def has_changed(self) -> bool:
        """Read anew what is kept elsewhere; tell whether any of it is another one now."""
        changed = [reference.has_changed() for reference in self._references.values()]  # all of them are read
        return any(changed)

    def is_for(self, username: str) -> bool:
        """Tell whether it logs in with a username; raises UpstreamMisconfigured."""
        reference = self._references.get("username")
        return username == (reference.read() if reference else "")

    @property
    def known(self) -> list[str]:
        """The values that have been read."""
        return [reference.known for reference in self._references.values()]

    def check(self, asks: tuple[str, ...]) -> Iterator[str]:
        """Yield a sentence for each value that is missing, and for each that the login doesn't use."""
        for name in asks if self else ():
            if name not in self._references or not self._references[name].is_given:
                yield f"LOGIN has no {name!r}"
        for name in self._references.keys() - set(asks):
            yield f"LOGIN has {name!r}, which the login doesn't use{did_you_mean(name, asks)}"

    def unreadable(self) -> Iterator[str]:
        """Yield what is wrong with files and dotted paths."""
        yield from filter(None, (reference.problem() for reference in self._references.values()))
