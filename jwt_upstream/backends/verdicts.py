"""What an upstream's answer means, and the rules by which a backend tells; knows no server."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from functools import cached_property
from typing import Any, Literal, get_args

from requests import Response

from .bodies import body, lookup

Where = Literal["api", "login", "refresh"]


class Verdict(Enum):
    """What an answer means for the credential; every backend gives one for every answer."""

    OK = "ok"
    EXPIRED = "expired"
    REJECTED = "rejected"
    LOCKED = "locked"
    TRANSIENT = "transient"
    CONFIG = "config"
    PASS = "pass"


@dataclass(frozen=True)
class Rule:
    """If every condition that is given holds, the answer means ``verdict``.

    ``where``: "api", "login", "refresh" or several of them (default: all). ``status``: one or several codes.
    ``header``: its name; ``json``: a dotted path ("errors.0.code"). ``pattern``: a regular expression, searched
    without regard to case in the header, else in the value at the path, else in the body; without one, presence is
    enough.
    """

    verdict: Verdict
    where: Sequence[Where] = get_args(Where)
    status: Sequence[int] = ()
    header: str = ""
    json: str = ""
    pattern: str = ""

    @classmethod
    def parse(cls, written: Rule | Mapping[str, Any]) -> Rule:
        """Make a rule of a mapping as it stands in settings; raises ValueError which names what to mend."""
        if isinstance(written, cls):
            return written
        if not isinstance(written, Mapping):
            raise ValueError(f"a rule must be a dict, not {type(written).__name__}")
        known = {field.name for field in fields(cls)}
        if unknown := written.keys() - known:
            raise ValueError(f"a rule has no {sorted(map(str, unknown))[0]!r}; it has {', '.join(sorted(known))}")
        return cls(
            verdict=_verdict(written.get("verdict")),
            where=_several(written, "where", str, get_args(Where), choices=get_args(Where)),
            status=_several(written, "status", int, ()),
            header=_text(written, "header"),
            json=_text(written, "json"),
            pattern=_pattern(written),
        )

    def matches(self, where: str, response: Response) -> bool:
        """Tell whether this rule decides; the body is read only if the cheaper conditions hold."""
        if where not in self.where or (self.status and response.status_code not in self.status):
            return False
        if not (self.header or self.json or self.pattern):
            return True
        text = self._text(response)
        return text is not None and self._regex.search(text) is not None

    def _text(self, response: Response) -> str | None:
        if self.header:
            return response.headers.get(self.header)
        if self.json:
            value = lookup(response, self.json)
            return None if value is None or isinstance(value, dict | list) else str(value)
        return body(response).decode(errors="replace")

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.IGNORECASE | re.DOTALL)


def _verdict(written: Any) -> Verdict:
    if isinstance(written, Verdict):
        return written
    try:
        return Verdict[str(written).upper()]
    except KeyError:
        names = ", ".join(verdict.name for verdict in Verdict)
        raise ValueError(f"a rule's verdict must be one of {names}, not {written!r}") from None


def _several(written: Mapping[str, Any], name: str, kind: type, default: Any, choices: Any = None) -> tuple[Any, ...]:
    value = written.get(name, default)
    values = (value,) if isinstance(value, kind) else value
    if not isinstance(values, list | tuple | set) or not all(isinstance(item, kind) for item in values):
        raise ValueError(f"a rule's {name} must be {kind.__name__} or a list of them, not {value!r}")
    if choices and (wrong := [item for item in values if item not in choices]):
        raise ValueError(f"a rule's {name} must be of {', '.join(choices)}, not {wrong[0]!r}")
    return tuple(values)


def _text(written: Mapping[str, Any], name: str) -> str:
    value = written.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"a rule's {name} must be a string, not {json.dumps(value, default=repr)}")
    return value


def _pattern(written: Mapping[str, Any]) -> str:
    pattern = _text(written, "pattern")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"a rule's pattern is no regular expression: {error}") from None
    return pattern
