"""Templates of requests: ``{name}`` stands for a value, ``{sha256:…}`` for what a function makes of others.

Anything else in braces stands for itself, a name with a space before it, as in ``{ name }``, too. A placeholder that
is all of a field's text is replaced by its value as it is, whatever its type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from jwt_upstream.names import did_you_mean

from .made_values import FUNCTIONS, MADE, is_time, made

#: What a placeholder begins with: a name, maybe with a distance in time.
_START = re.compile(r"\{([A-Za-z_]\w*(?:[+-]\d+[a-z])?)(?=[}:])", re.ASCII)
#: Where in the answer that had the token a value is, such as ``answer.organization.id`` or ``answer.cookie:ROUTE``.
_ANSWER = re.compile(r"\{(answer\.[^{}]+)\}")


class Values(Protocol):
    """Values by name, such as Secrets: nothing that an error reporter expands."""

    def __getitem__(self, name: str, /) -> Any: ...

    def __contains__(self, name: object, /) -> bool: ...

    def get(self, name: str, default: str, /) -> Any: ...


@dataclass(frozen=True)
class _Value:
    name: str
    #: How a time is to be spelt.
    layout: str = ""

    @property
    def is_made(self) -> bool:
        return self.name in MADE or is_time(self.name)

    def fill(self, values: Values) -> Any:
        # What a server said, such as the nonce that a step has kept, comes before what is made here.
        if self.name in values or not self.is_made:
            return values[self.name]
        return made(self.name, self.layout)


@dataclass(frozen=True)
class _Function:
    name: str
    arguments: tuple[Template, ...]

    def fill(self, values: Values) -> str:
        return FUNCTIONS[self.name][1](*(argument.fill(values) for argument in self.arguments))


@dataclass(frozen=True)
class Template:
    """A text and its placeholders, in order."""

    parts: tuple[str | _Value | _Function, ...]
    #: Names before a colon that are no function, which are kept as they are.
    unknown: tuple[str, ...] = ()

    @property
    def names(self) -> Iterator[str]:
        """The names of the values that it needs, in order; those of times and random values are not among them."""
        for part in self.parts:
            if isinstance(part, _Function):
                for argument in part.arguments:
                    yield from argument.names
            elif isinstance(part, _Value) and not part.is_made:
                yield part.name

    def is_plain(self, known: Collection[str]) -> bool:
        """Tell whether it has text and known names only, nothing that is made anew each time."""
        return all(isinstance(part, str) or (isinstance(part, _Value) and part.name in known) for part in self.parts)

    def fill(self, values: Values, quote: Callable[[str], str] = str) -> str:
        """Return the text with quoted values; raises KeyError for a name without one."""
        return "".join(part if isinstance(part, str) else quote(str(part.fill(values))) for part in self.parts)

    def value(self, values: Values) -> Any:
        """Return the value itself if the text is one placeholder, else the text; raises KeyError as ``fill`` does."""
        if len(self.parts) == 1 and isinstance(part := self.parts[0], _Value):
            return part.fill(values)
        return self.fill(values)


@lru_cache(maxsize=1000)
def template(text: str) -> Template:
    """Return the template that a text is."""
    reader = _Reader(text)
    return Template(tuple(reader.parts("")), tuple(reader.unknown))


class _Reader:
    """Reads one text, from the left to the right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.unknown: list[str] = []

    def parts(self, ends: str) -> Iterator[str | _Value | _Function]:
        """Yield what there is up to a character of ``ends``, where it stops, or the end of the text."""
        plain = ""
        while self._at < len(self._text) and self._text[self._at] not in (ends or ()):
            found = self._placeholder()
            if found is None:
                plain += self._text[self._at]
                self._at += 1
                continue
            if plain:
                yield plain
            yield found
            plain = ""
        if plain:
            yield plain

    def _placeholder(self) -> _Value | _Function | None:
        if match := _ANSWER.match(self._text, self._at):
            self._at = match.end()
            return _Value(match[1])
        match = _START.match(self._text, self._at)
        if match is None:
            return None
        name, follows = match[1], self._text[match.end()]
        if follows == "}" and (name.isidentifier() or is_time(name)):
            self._at = match.end() + 1
            return _Value(name)
        if follows != ":":
            return None
        return self._time(name, match.end() + 1) if is_time(name) else self._function(name, match.end() + 1)

    def _time(self, name: str, start: int) -> _Value | None:
        end = self._text.find("}", start)
        if end < 0:
            return None
        self._at = end + 1
        return _Value(name, self._text[start:end])

    def _function(self, name: str, start: int) -> _Function | None:
        begin = self._at
        if name in FUNCTIONS:
            self._at = start
            arguments = tuple(self._arguments(FUNCTIONS[name][0]))
            if len(arguments) == FUNCTIONS[name][0] and self._text[self._at : self._at + 1] == "}":
                self._at += 1
                return _Function(name, arguments)
        self._at = begin
        self.unknown.append(name)
        return None

    def _arguments(self, number: int) -> Iterator[Template]:
        """Yield so many arguments, if there are; only the last one may contain a colon outside a placeholder."""
        for left in reversed(range(number)):
            yield Template(tuple(self.parts(":}" if left else "}")))
            if left and self._text[self._at : self._at + 1] != ":":
                return
            self._at += bool(left)


# -- fields and other texts in settings


def _texts(fields: Any) -> Iterator[str]:
    if isinstance(fields, Mapping):
        fields = list(fields.values())
    if isinstance(fields, list | tuple):
        for value in fields:
            yield from _texts(value)
    elif isinstance(fields, str):
        yield fields


def placeholders(fields: Any) -> Iterator[str]:
    """Yield the names of the values that fields need, at any depth."""
    for text in _texts(fields):
        yield from template(text).names


def unknown_functions(fields: Any) -> Iterable[str]:
    """Return what looks like a function in fields, at any depth, and is none, or has too few arguments."""
    return dict.fromkeys(name for text in _texts(fields) for name in template(text).unknown)


def unfillable(what: str, known: Sequence[str], unknown: Iterable[str], texts: Iterable[str]) -> Iterable[str]:
    """Yield a sentence for each unknown placeholder of something; it may have the known ones and those of texts."""
    may = ", ".join(f"{{{name}}}" for name in known)
    for name in sorted(unknown):
        yield f"{what} may contain {may} and text options, not {{{name}}}{did_you_mean(name, [*known, *texts])}"


def filled(fields: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """Return fields with their placeholders replaced; raises KeyError for a name without a value."""
    return {name: _filled(value, values) for name, value in fields.items()}


def _filled(value: Any, values: Values) -> Any:
    if isinstance(value, Mapping):
        return filled(value, values)
    if isinstance(value, list | tuple):
        return [_filled(item, values) for item in value]
    return template(value).value(values) if isinstance(value, str) else value


def filled_within(text: str, values: Values, quote: Callable[[str], str] = str) -> str:
    """Return a text with its placeholders replaced by quoted values; unknown names and other braces are kept."""
    parts = template(text)
    return parts.fill({name: values.get(name, f"{{{name}}}") for name in parts.names}, quote)


def all_filled(texts: Mapping[str, str], values: Values) -> dict[str, str]:
    """Return texts, such as headers, each as ``filled_within`` returns it."""
    return {name: filled_within(text, values) for name, text in texts.items()}
