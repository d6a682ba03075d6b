"""Answers as ``requests`` would have received them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from requests import Response

from jwt_upstream.backends.core import received
from jwt_upstream.backends.explain import saved_answers


def answer(status: int, headers: Mapping[str, str] | None = None, body: Any = None) -> Response:
    """Return an answer as ``requests`` would have received it, for a ``FakeUpstream`` or a backend of your own.

    ``body`` is bytes, a text, None for an empty body, or a value that is encoded as JSON.
    """
    headers = dict(headers or {})
    if isinstance(body, str):
        body = body.encode()
    elif body is not None and not isinstance(body, bytes):
        headers.setdefault("Content-Type", "application/json")
        body = json.dumps(body).encode()
    return received(status, headers, body or b"")


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer whose body is a value encoded as JSON, a text as well."""
    return answer(status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(value).encode())


def saved_answer(file: str | PathLike[str]) -> Response:
    """Return the answer in a file, as ``curl -i`` prints it; raises ValueError for any other content."""
    return saved_answers.parsed(Path(file).read_bytes())
