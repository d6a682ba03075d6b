"""What an upstream's answer means, and the rules by which a backend tells; knows no server."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

from requests import Response

from jwt_upstream.tokens import TokenPair

from .bodies import PEEK_BYTES, body, lookup

Where = Literal["api", "login", "refresh"]

#: The two kinds of requests whose answers rules tell apart.
CALLS: tuple[Where, ...] = ("api",)
TOKEN_REQUESTS: tuple[Where, ...] = ("login", "refresh")

#: What servers refuse by. A rule for calls names them where it can: else it reads of every successful answer too.
REFUSALS = (400, 401, 403, 404, 409, 422, 423)
#: How much of a value is searched; what a server says of an error is shorter.
_MAX_SEARCHED_CHARACTERS = 2000

#: What a server, or a gateway before it, says that can't answer just now; its words are no judgement on an account.
_UNAVAILABLE_STATUSES = {408, 425, 429, 502, 503, 504}


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
class Outcome:
    """What a login or refresh came to; ``reason`` is fit to be stored and shown.

    ``retry_after`` is in seconds; ``is_ambiguous`` says that the upstream may have spent the refresh token although no
    pair came back.
    """

    verdict: Verdict
    reason: str = ""
    pair: TokenPair | None = None
    status_code: int | None = None
    retry_after: float | None = None
    is_ambiguous: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Rule:
    """If every condition that is given holds, the answer means ``verdict``.

    ``where``: "api", "login", "refresh" or several of them (default: all). ``status``: one or several codes (default:
    all, but a rule that gives a credential up must name 408, 425, 429 and 502 to 504 if it means those).
    ``header``: its name; ``json``: a dotted path ("errors.0.code") or several, any of which will do. ``pattern``: a
    regular expression, searched without regard to case in the header, else in the value at the path (of a list: in
    any of its items), else in the body's first 64 KiB; without one, presence is enough.
    """

    verdict: Verdict
    where: Sequence[Where] = get_args(Where)
    status: Sequence[int] = ()
    header: str = ""
    json: Sequence[str] = ()
    pattern: str = ""

    def __post_init__(self) -> None:
        where = _several("where", self.where, str)
        if not where or (wrong := [item for item in where if item not in get_args(Where)]):
            wanted = ", ".join(get_args(Where))
            raise ValueError(f"a rule's where must be of {wanted}, not {wrong[0] if where else where!r}")
        object.__setattr__(self, "where", where)
        object.__setattr__(self, "status", _several("status", self.status, int))
        object.__setattr__(self, "json", tuple(filter(None, _several("json", self.json, str))))
        object.__setattr__(self, "verdict", _verdict(self.verdict))
        for name in ("header", "pattern"):
            if not isinstance(text := getattr(self, name), str):
                raise ValueError(f"a rule's {name} must be a string, not {text!r}")
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"a rule's pattern is no regular expression: {error}") from None

    @classmethod
    def parse(cls, written: Rule | Mapping[str, Any]) -> Rule:
        """Make a rule of a mapping as it stands in settings; raises ValueError which names what to mend."""
        if isinstance(written, cls):
            return written
        if not isinstance(written, Mapping):
            raise ValueError(f"a rule must be a dict, not {type(written).__name__}")
        known = {field.name for field in fields(cls)}
        if unknown := written.keys() - known:
            raise ValueError(f"a rule has no {min(map(str, unknown))!r}; it has {', '.join(sorted(known))}")
        return cls(**{"verdict": None, **written})

    def as_written(self) -> dict[str, Any]:
        """Return the rule as settings would spell it, without what is left at its default."""
        told = [field for field in fields(self)[1:] if getattr(self, field.name) != field.default]
        return {"verdict": self.verdict.name, **{field.name: _unwrapped(getattr(self, field.name)) for field in told}}

    def matches(self, where: str, response: Response) -> bool:
        """Tell whether this rule decides; the body is read only if the cheaper conditions hold."""
        if where not in self.where or not self._has_status(response.status_code):
            return False
        if not (self.header or self.json or self.pattern):
            return True
        return any(self._regex.search(text) for text in self._texts(response))

    def _has_status(self, status: int) -> bool:
        if self.status:
            return status in self.status
        return status not in _UNAVAILABLE_STATUSES or self.verdict not in {Verdict.REJECTED, Verdict.LOCKED}

    def _texts(self, response: Response) -> list[str]:
        if self.header:
            return [response.headers[self.header]] if self.header in response.headers else []
        if self.json:
            found = (lookup(response, path) for path in self.json)
            return [text for value in found for text in _scalars(value, is_any=not self.pattern)]
        return [body(response)[:PEEK_BYTES].decode(errors="replace")]

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.IGNORECASE | re.DOTALL)


class Explanation(NamedTuple):
    """Why an answer got its verdict: the rule and where it is written, or no rule and the default in words."""

    verdict: Verdict
    rule: Rule | None
    source: str


def _scalars(value: Any, *, is_any: bool) -> list[str]:
    if isinstance(value, dict | list) and is_any:
        return [""]
    items = value if isinstance(value, list) else [value]
    return [
        str(item)[:_MAX_SEARCHED_CHARACTERS]
        for item in items
        if item is not None and not isinstance(item, dict | list)
    ]


def _unwrapped(value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    return value[0] if len(value) == 1 else list(value)


def _verdict(written: Any) -> Verdict:
    if isinstance(written, Verdict):
        return written
    try:
        return Verdict[str(written).upper()]
    except KeyError:
        names = ", ".join(verdict.name for verdict in Verdict)
        raise ValueError(f"a rule's verdict must be one of {names}, not {written!r}") from None


def _several(name: str, written: Any, kind: type) -> tuple[Any, ...]:
    values = (written,) if isinstance(written, kind) else written
    if not isinstance(values, list | tuple | set) or not all(isinstance(item, kind) for item in values):
        raise ValueError(f"a rule's {name} must be {kind.__name__} or a list of them, not {written!r}")
    return tuple(values)
