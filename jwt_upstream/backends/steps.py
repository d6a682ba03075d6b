"""The steps of a login before its last request, each of which keeps values of its answer for those that follow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any

from django.utils.functional import cached_property
from requests import Request, Response

from jwt_upstream.headers import header_problems
from jwt_upstream.names import alternatives
from jwt_upstream.tokens import TokenPair

from .calls import Calls
from .core import (
    AUTHENTICATIONS,
    FORMATS,
    METHODS,
    Requests,
    all_filled,
    is_success,
    lookup_token,
    placeholders,
    same_values,
    unknown_functions,
)

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(frozen=True, repr=False)
class Step:
    """A request before the last one of a login.

    - ``path``, ``method`` (by default POST), ``fields``, ``query`` and ``headers``: what is sent. They are templates
      as those of the login, and may contain what earlier steps have kept.
    - ``body_format``: "json", "form" or "query"; by default that of the login.
    - ``client_authentication``: how the client is sent; by default not at all.
    - ``keep``: by name, where in the answer a value is that later requests need as ``{name}``. A step whose answer
      lacks one has failed.
    """

    path: str
    method: str = "POST"
    fields: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body_format: str = ""
    client_authentication: str = "none"
    keep: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, allowed in _ALLOWED.items():
            if (value := getattr(self, name)) not in allowed:
                wanted = alternatives(value, filter(None, allowed))
                raise ValueError(f"a step's {name} can't be {value!r}, but one of {wanted}")
        if not isinstance(self.path, str) or not self.path:
            raise ValueError("a step's path must be a path or a URL")
        for name in ("fields", "query", "headers", "keep"):
            value = getattr(self, name)
            if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value):
                raise ValueError(f"a step's {name} must be a dict")
            if name != "fields" and not all(isinstance(each, str) for each in value.values()):
                raise ValueError(f"a step's {name} must be a dict of strings")
        if wrong := [name for name in self.keep if not _NAME.fullmatch(name)]:
            raise ValueError(f"a step keeps values by names of letters, digits and underscores, not {wrong[0]!r}")
        if unknown := list(unknown_functions(self._templates)):
            raise ValueError(f"a step has {{{unknown[0]}:…}}, which is no function, or has too few arguments")

    @classmethod
    def parse(cls, written: Step | Mapping[str, Any]) -> Step:
        """Return the step that a mapping in settings describes; raises ValueError with what is wrong."""
        if isinstance(written, cls):
            return written
        if not isinstance(written, Mapping):
            raise ValueError(f"a step must be a dict, not {type(written).__name__}")
        known = {each.name for each in fields(cls)}
        if unknown := written.keys() - known:
            wrong = min(map(str, unknown))
            raise ValueError(f"a step has no key {wrong!r}; its keys are {alternatives(wrong, sorted(known))}")
        return cls(**{"path": "", **written})

    @property
    def _templates(self) -> list[Any]:
        return [self.path, self.fields, self.query, self.headers]

    @property
    def asks(self) -> Iterator[str]:
        """The names of the values that it needs."""
        return placeholders(self._templates)

    @same_values()
    def request(self, backend: Requests, values: Mapping[str, Any]) -> Request:
        """Return its unprepared request; raises ForbiddenAddress for one to a host that settings do not name."""
        return backend.templated_request(
            self.path,
            values,
            query=self.query,
            headers=self.headers,
            fields=self.fields,
            method=self.method,
            body_format=self.body_format,
            authentication=self.client_authentication,
        )

    def kept(self, response: Response) -> dict[str, Any]:
        """Return what an answer holds of what is to be kept: texts, numbers and booleans."""
        found = {name: lookup_token(response, path) for name, path in self.keep.items()}
        return {name: value for name, value in found.items() if isinstance(value, str | int | float) and value != ""}

    def missing(self, response: Response) -> str:
        """Return what an answer does not hold of what is to be kept, "" for nothing."""
        lacking = self.keep.keys() - self.kept(response).keys() if is_success(response) else ()
        return ", ".join(f"{name} at {self.keep[name]}" for name in self.keep if name in lacking)


def as_dict(step: Any) -> Any:
    """Return a Step as settings may write it instead, a dict whose texts can be looked through; all else as it is."""
    return dict(vars(step)) if isinstance(step, Step) else step


_ALLOWED = {
    "method": METHODS,
    "body_format": (*FORMATS, ""),
    "client_authentication": AUTHENTICATIONS,
}


class Steps(Calls):
    """The part of a backend that logs in by steps; every annotated attribute is an option."""

    login_steps: Sequence[Step | Mapping[str, Any]] = ()
    refresh_repeats_login: bool = False

    def _check_steps(self) -> Iterator[str]:
        known = {*self._texts}
        for number, written in enumerate(self.login_steps):
            try:
                Step.parse(written)
            except (TypeError, ValueError) as error:
                yield f"{error} (login_steps[{number}])"
        if known & {*self.kept_names}:
            yield f"login_steps can't keep {min(known & {*self.kept_names})}, which is the name of an option"
        later: set[str] = set()
        for number, step in reversed(list(enumerate(self.steps))):
            yield from self._check_path(f"login_steps[{number}]", step.path)
            yield from header_problems(f"login_steps[{number}]['headers']", all_filled(step.headers, self._texts))
            later |= step.keep.keys()
            if early := sorted(later & {*step.asks}):
                yield f"login_steps[{number}] needs {{{early[0]}}}, which no earlier step has kept"
        if self.refresh_repeats_login and self.login_asks:
            asked = ", ".join(f"{{{name}}}" for name in self.login_asks)
            yield f"refresh_repeats_login is for logins that ask for nothing, but this one asks for {asked}"

    @cached_property
    def steps(self) -> list[Step]:
        steps = []
        for written in self.login_steps:
            with suppress(TypeError, ValueError):  # which _check_steps tells
                steps.append(Step.parse(written))
        return steps

    @cached_property
    def kept_names(self) -> list[str]:
        return list(dict.fromkeys(name for step in self.steps for name in step.keep))

    @property
    def _repeats_login(self) -> bool:
        return self.refresh_repeats_login

    @property
    def login_asks(self) -> tuple[str, ...]:
        """The names of the values that a login must be given, such as ("username", "password")."""
        asked = dict.fromkeys([*(name for step in self.steps for name in step.asks), *super().login_asks])
        known = {*self.kept_names, *(name for name in self._texts if self._texts[name] or name in self._requires)}
        known |= self._made_names
        return tuple(name for name in asked if name not in known)

    @property
    def needs_refresh_token(self) -> bool:
        """Tell whether a refresh sends the stored refresh token."""
        return super().needs_refresh_token and not self.refresh_repeats_login

    def can_refresh(self, pair: TokenPair) -> bool:
        """Tell whether a pair holds the tokens that a refresh sends."""
        return self._repeats_login or super().can_refresh(pair)
