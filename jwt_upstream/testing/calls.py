"""The calls that a fake upstream gets, and the canned answers that it has for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from requests import PreparedRequest, Response

from .answers import json_answer


@dataclass(frozen=True)
class Call:
    """A call as an upstream gets it; ``path`` is relative to BASE_URL where the call goes there, and has the query."""

    method: str
    url: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def query(self) -> dict[str, str]:
        """The query's fields, the last of each name."""
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    def json(self) -> Any:
        """Return the body, decoded from JSON."""
        return json.loads(self.body)


#: A canned answer: what is answered, what is raised, or what is called with the ``Call`` to get one of these, or a
#: value to answer as JSON.
Answer = Response | Exception | Callable[[Call], Any]


class Canned:
    """The answers to the calls of one method and URL, in order; the last one is for all further calls."""

    def __init__(self, method: str, url: str, answers: Sequence[Answer]) -> None:
        if wrong := [each for each in answers if not isinstance(each, Response | Exception) and not callable(each)]:
            raise TypeError(f"{wrong[0]!r} is no answer; for JSON write json=…")
        self.method, self._url = method.upper(), urlsplit(_normal(url))
        self._answers, self.number_of_calls = list(answers), 0

    def __str__(self) -> str:
        return f"{self.method} {self._url.geturl()}"

    @property
    def has_query(self) -> bool:
        """Whether it is for one query alone."""
        return bool(self._url.query)

    def is_for(self, call: Call) -> bool:
        """Tell whether a call is answered by this; the order of the fields in a query doesn't matter."""
        asked = urlsplit(call.url)
        is_there = asked[:3] == self._url[:3] and self.method == call.method
        return is_there and (not self.has_query or _fields(asked.query) == _fields(self._url.query))

    def next(self, call: Call) -> Response:
        """Return the next answer; raises it if it is an exception."""
        self.number_of_calls += 1
        found: Any = self._answers[min(self.number_of_calls, len(self._answers)) - 1]
        if isinstance(found, Exception):
            raise found
        if isinstance(found, Response):
            return found
        made = found(call)
        return made if isinstance(made, Response) else json_answer(made)


def _normal(url: str) -> str:
    prepared = PreparedRequest()
    prepared.prepare_url(url, None)
    return str(prepared.url)


def _fields(query: str) -> list[tuple[str, str]]:
    return sorted(parse_qsl(query, keep_blank_values=True))
