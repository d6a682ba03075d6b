"""Verdicts: what an upstream's answer means, and the rules that decide it. Knows no particular server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, Literal, NamedTuple, get_args

from django.utils.functional import cached_property
from requests import Response

from jwt_upstream.formatting import one_line
from jwt_upstream.names import alternatives
from jwt_upstream.tokens import TokenPair

from .bodies import PEEK_BYTES, body, values

Where = Literal["api", "login", "refresh"]

#: Rules mostly concern one of these two: calls of the API, or requests for tokens.
CALLS: tuple[Where, ...] = ("api",)
TOKEN_REQUESTS: tuple[Where, ...] = ("login", "refresh")

#: The statuses that servers refuse with. A rule for calls should name its own, or every successful answer is read too.
REFUSALS = (400, 401, 403, 404, 409, 422, 423)
#: How much of a header or value, of a list, and of all values together a pattern searches; error messages are shorter.
_MAX_CHARACTERS = 1000
_MAX_ITEMS = 20
_MAX_CHARACTERS_IN_ALL = 4000
#: Those of every pattern, also when it is checked: Python keeps what it has compiled by both.
_FLAGS = re.IGNORECASE | re.DOTALL

#: A server, or a gateway in front of it, that can't answer at the moment; its message says nothing about an account.
_UNAVAILABLE_STATUSES = {408, 425, 429, 502, 503, 504}


class Verdict(Enum):
    """What an answer of an upstream means for the credential."""

    OK = "ok"
    EXPIRED = "expired"
    REJECTED = "rejected"
    LOCKED = "locked"
    TRANSIENT = "transient"
    CONFIG = "config"
    PASS = "pass"


@dataclass(frozen=True)
class Outcome:
    """The result of a login or refresh; ``reason`` holds no secret and may be stored and shown.

    ``pair`` is set if the verdict is OK. ``retry_after`` and ``seconds`` (how long the upstream took) are in seconds.
    ``is_ambiguous`` means that the upstream may have spent the refresh token although no pair came back. ``asked`` is
    the method and URL, if the answer suggests that they are wrong, and ``notice`` what is missing in a success.
    ``is_client_refused`` means that the same may be sent once more with another client secret: nothing is spent.
    """

    verdict: Verdict
    reason: str = ""
    pair: TokenPair | None = None
    status_code: int | None = None
    retry_after: float | None = None
    is_ambiguous: bool = False
    seconds: float = 0.0
    asked: str = ""
    notice: str = ""
    is_client_refused: bool = False

    @property
    def full_reason(self) -> str:
        """The reason in one line, whatever a project's own backend quotes, with the URL if that may be wrong."""
        return one_line(f"{self.reason} ({self.asked})" if self.asked else self.reason)

    def at_step(self, number: int, steps: int) -> Outcome:
        """Return a failure with the step that failed, if there are several."""
        if steps == 1 or self.verdict is Verdict.OK:
            return self
        return replace(self, reason=f"step {number} of {steps}: {self.reason}")


@dataclass(frozen=True)
class Rule:
    """Gives an answer the verdict ``verdict`` if it meets every condition that is set.

    - ``where``: what the answer is to: "api", "login", "refresh" or several of them (default: all).
    - ``status``: one or several status codes. By default all of them, except that a rule for REJECTED or LOCKED must
      name 408, 425, 429 and 502 to 504 if it is to match those.
    - ``header``: the name of a header.
    - ``json``: a dotted path into the body ("errors.0.code") or several, any of which may match.
    - ``pattern``: a regular expression, searched regardless of case in the header, else in the value at the path (in
      each of the first 20 items of a list), else in the first 64 KiB of the body. Without a pattern it is enough that
      the header or value is present. Of a header or value the first 1000 characters are searched, of all of a rule's
      values together the first 4000.
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
            named = wrong[0] if where else where
            wanted = alternatives(named, get_args(Where))
            raise ValueError(f"a rule's where can't be {named!r}, but one or more of {wanted}")
        object.__setattr__(self, "where", where)
        object.__setattr__(self, "status", _several("status", self.status, int))
        object.__setattr__(self, "json", tuple(filter(None, _several("json", self.json, str))))
        object.__setattr__(self, "verdict", _verdict(self.verdict))
        for name in ("header", "pattern"):
            if not isinstance(text := getattr(self, name), str):
                raise ValueError(f"a rule's {name} must be a string, not {text!r}")
        try:
            re.compile(self.pattern, _FLAGS)
        except re.error as error:
            raise ValueError(f"a rule's pattern is not a valid regular expression: {error}") from None

    @classmethod
    def parse(cls, written: Rule | Mapping[str, Any]) -> Rule:
        """Return the rule that a mapping in settings describes; raises ValueError with what is wrong."""
        if isinstance(written, cls):
            return written
        if not isinstance(written, Mapping):
            raise ValueError(f"a rule must be a dict, not {type(written).__name__}")
        known = {field.name for field in fields(cls)}
        if unknown := written.keys() - known:
            wrong = min(map(str, unknown))
            raise ValueError(f"a rule has no key {wrong!r}; its keys are {alternatives(wrong, sorted(known))}")
        return cls(**{"verdict": None, **written})

    def as_written(self) -> dict[str, Any]:
        """Return the rule as a dict for settings, without the fields that have their default value."""
        given = [field for field in fields(self)[1:] if getattr(self, field.name) != field.default]
        return {"verdict": self.verdict.name, **{field.name: _unwrapped(getattr(self, field.name)) for field in given}}

    @property
    def reads_body(self) -> bool:
        """Whether it looks into the body of an answer."""
        return not self.header and bool(self.json or self.pattern)

    def matches(self, where: str, response: Response) -> bool:
        """Tell whether an answer meets every condition; the body is read only if the cheaper ones hold."""
        if where not in self.where or not self._has_status(response.status_code):
            return False
        if not (self.header or self.json or self.pattern):
            return True
        return any(self._regex.search(text) for text in self._texts(response))

    def _has_status(self, status: int) -> bool:
        if self.status:
            return status in self.status
        return status not in _UNAVAILABLE_STATUSES or self.verdict not in {Verdict.REJECTED, Verdict.LOCKED}

    def _texts(self, response: Response) -> Iterable[str]:
        if self.header:
            return [response.headers[self.header][:_MAX_CHARACTERS]] if self.header in response.headers else []
        if self.json:
            found = values(response, tuple(self.json))
            return _within_bound(text for value in found for text in _scalars(value, is_any=not self.pattern))
        return [body(response)[:PEEK_BYTES].decode(errors="replace")]

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(self.pattern, _FLAGS)


class Explanation(NamedTuple):
    """Why an answer got its verdict: a rule and where it is defined, or None and a description of the default."""

    verdict: Verdict
    rule: Rule | None
    source: str


def _scalars(value: Any, *, is_any: bool) -> list[str]:
    if isinstance(value, dict | list) and is_any:
        return [""]
    items = value[:_MAX_ITEMS] if isinstance(value, list) else [value]
    return [str(item)[:_MAX_CHARACTERS] for item in items if item is not None and not isinstance(item, dict | list)]


def _within_bound(texts: Iterable[str]) -> Iterator[str]:
    left = _MAX_CHARACTERS_IN_ALL
    for text in texts:
        if left <= 0:
            return
        yield text[:left]
        left -= len(text)


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
        names = alternatives(str(written).upper(), [verdict.name for verdict in Verdict])
        raise ValueError(f"a rule's verdict can't be {written!r}, but one of {names}") from None


def _several(name: str, written: Any, kind: type) -> tuple[Any, ...]:
    values = (written,) if isinstance(written, kind) else written
    if not isinstance(values, list | tuple | set) or not all(isinstance(item, kind) for item in values):
        raise ValueError(f"a rule's {name} must be {kind.__name__} or a list of them, not {written!r}")
    return tuple(values)
