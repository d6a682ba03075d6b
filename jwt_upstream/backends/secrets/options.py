"""Options that are secrets: kept elsewhere, or several while one is being rotated; the one that works is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

from jwt_upstream.backends.core import Outcome, Verdict
from jwt_upstream.clock import elapsed
from jwt_upstream.exceptions import UpstreamMisconfigured
from jwt_upstream.tokens import Secrets

from .reference import Reference

_NONE_WORKED = Outcome(Verdict.CONFIG)

#: Sends with one of the secrets, within some seconds.
Ask = Callable[[Reference, float], Outcome]
#: Sends with one secret for each option that is kept elsewhere, by name.
AskWith = Callable[[Secrets, float], Outcome]
#: Says what is wrong with the content of an option, "" for nothing.
Examine = Callable[[str, str], str]


class SecretOption:
    """The secrets of one option; the one that worked last in this process is the first."""

    def __init__(self, name: str, written: Any = "", kept_seconds: float | None = None) -> None:
        self.name = name
        several = written if isinstance(written, list | tuple) else [written]
        self._references = [Reference(name, each, kept_seconds) for each in several]
        self.is_plain = several == [written] and not self._references[0].is_elsewhere

    def __repr__(self) -> str:
        return f"<SecretOption {self.name}: {len(self._references)}>"

    @property
    def known(self) -> list[str]:
        """The values that have been read."""
        return [reference.known for reference in self._references]

    @property
    def at_hand(self) -> list[str]:
        """The values that settings and files have at this moment."""
        return [value for reference in self._references if (value := reference.at_hand)]

    def check(self) -> Iterator[str]:
        """Yield a sentence if it is neither a text, nor kept elsewhere, nor a list of these."""
        if not self._references or not all(reference.is_given for reference in self._references):
            yield f"option {self.name!r} must be a string, a callable or a list of these, none of them empty"

    def unreadable(self, examine: Examine) -> Iterator[str]:
        """Yield what is wrong with files and dotted paths, and what ``examine`` says of a file's content."""
        yield from filter(None, (reference.problem(partial(examine, self.name)) for reference in self._references))

    def first_accepted(self, ask: Ask, seconds: float) -> Outcome:
        """Ask with one after the other until one is not refused, then with those that are others when read anew.

        No request is on its way after ``seconds``.
        """
        ends_at, refused = elapsed() + seconds, _NONE_WORKED
        for reference in chain(self._references, filter(Reference.has_changed, self._references)):
            outcome = _asked(ask, reference, ends_at)
            if outcome.verdict is Verdict.OK:
                self._references = [reference, *(each for each in self._references if each is not reference)]
            if not _is_refused(outcome):
                return outcome
            # What a server said says more than that a file is missing.
            refused = refused if refused.status_code else outcome
        return refused


class SecretOptions:
    """The options of one upstream that are secrets; those that are no plain text are read when they are needed."""

    def __init__(self, *options: SecretOption) -> None:
        self._all = options
        self._elsewhere = [option for option in options if not option.is_plain]

    def __repr__(self) -> str:
        return f"<SecretOptions: {', '.join(self.names)}>"

    @property
    def names(self) -> list[str]:
        """The names of the options that are kept elsewhere, or of which there are several."""
        return [option.name for option in self._elsewhere]

    @property
    def all_names(self) -> list[str]:
        """The names of all of them."""
        return [option.name for option in self._all]

    @property
    def known(self) -> list[str]:
        """The values that have been read, and the plain ones."""
        return [value for option in self._all for value in option.known]

    def at_hand(self, name: str) -> list[str]:
        """The values of an option that settings and files have at this moment; nothing is called."""
        return [value for option in self._all if option.name == name for value in option.at_hand]

    def check(self) -> Iterator[str]:
        """Yield a sentence for each that is neither a text, nor kept elsewhere, nor a list of these."""
        for option in self._elsewhere:
            yield from option.check()

    def unreadable(self, examine: Examine) -> Iterator[str]:
        """Yield what is wrong with files, their content and dotted paths."""
        for option in self._elsewhere:
            yield from option.unreadable(examine)

    def first_accepted(self, ask: AskWith, seconds: float) -> Outcome:
        """Ask with one combination after the other until one is not refused, within ``seconds``."""
        return _first_accepted(self._elsewhere, Secrets(), ask, seconds)


def _first_accepted(options: Sequence[SecretOption], chosen: Secrets, ask: AskWith, seconds: float) -> Outcome:
    if not options:
        return ask(chosen, seconds)
    first, *others = options

    def ask_with(reference: Reference, remaining: float) -> Outcome:
        return _first_accepted(others, Secrets({**chosen, first.name: reference.known}), ask, remaining)

    return first.first_accepted(ask_with, seconds)


def _asked(ask: Ask, reference: Reference, ends_at: float) -> Outcome:
    try:
        reference.read()
    except UpstreamMisconfigured as error:
        return Outcome(Verdict.CONFIG, f"nothing was sent: {error}")
    if (seconds := ends_at - elapsed()) <= 0:
        return Outcome(Verdict.TRANSIENT, f"nothing was sent: it took too long to read {reference.name}")
    return ask(reference, seconds)


def _is_refused(outcome: Outcome) -> bool:
    # A server that refuses the client has not looked at the token, so that nothing is spent.
    return outcome.is_client_refused or (outcome.verdict is Verdict.CONFIG and outcome.status_code is None)
