"""What ``upstream_probe`` prints: requests as they would be sent, and explanations of answers."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from jwt_upstream.backends import Backend
from jwt_upstream.backends.core import Which
from jwt_upstream.backends.explain import FoundToken, Preview, Reading, consequence
from jwt_upstream.clock import host_now
from jwt_upstream.formatting import time_left, timestamp

_LABEL_WIDTH = 18


def preview_lines(preview: Preview, width: int) -> Iterator[str]:
    """Yield the lines of a request, indented, with a body that doesn't fit the width split."""
    if preview.problem:
        yield f"    {preview.problem}"
        return
    yield f"    {preview.method} {preview.url}"
    for name, text in preview.headers:
        yield f"    {name}: {text}"
    if preview.body:
        yield ""
        yield textwrap.indent(_folded(preview.body, width - 4), " " * 4)


def _folded(body: str, width: int) -> str:
    if len(body) <= width:
        return body
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body.replace("&", "\n&")


def reading_lines(reading: Reading, backend: Backend, width: int) -> Iterator[str]:
    """Yield the explanation of an answer as labelled paragraphs."""
    kind = reading.media_type or "no Content-Type"
    yield f"The answer to {_request(reading)}: HTTP {reading.status}, {kind}, {reading.size} bytes"
    yield ""
    for label, text in _paragraphs(reading, backend):
        head, indent = f"  {label:<{_LABEL_WIDTH - 1}} ", " " * (_LABEL_WIDTH + 2)
        # A rule stays on one line, so that it can be copied.
        yield (
            f"{indent}{text}"
            if text.startswith("{")
            else textwrap.fill(
                text,
                width,
                initial_indent=head,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )


def _request(reading: Reading) -> str:
    return "a call" if reading.where == "api" else f"a {reading.where}"


def _paragraphs(reading: Reading, backend: Backend) -> Iterator[tuple[str, str]]:
    yield "verdict", reading.verdict.name
    if reading.rule:
        yield "rule", reading.source
        yield "", json.dumps(reading.rule.as_written(), ensure_ascii=False)
    else:
        yield "default", reading.source
    yield "reason", reading.reason
    yield from reading.headers.items()
    if reading.where != "api" and reading.status < 300:
        yield from _token("access", reading.access, backend)
        yield from _token("refresh", reading.refresh, backend)
    if reading.fields:
        yield "body fields", ", ".join(reading.fields)
    yield "consequence", consequence(reading, backend)


def _token(which: Which, token: FoundToken | None, backend: Backend) -> Iterator[tuple[str, str]]:
    if token is None:
        paths = ", ".join(getattr(backend, f"{which}_paths"))
        yield f"{which} token", f"none at {paths}" if paths else f"none; {which}_paths is empty"
        return
    kind = "a JWT" if token.is_jwt else "opaque"
    description = f"{token.length} characters, {kind}, fingerprint {token.fingerprint}"
    yield f"{which} token", f"at {token.path}: {description}"
    if token.expires_at:
        lifetime = time_left(token.expires_at, host_now())
        yield "", f"expires {timestamp(token.expires_at)} ({lifetime}), from {token.expiry_source}"
    else:
        yield "", "unknown expiry" + ("; it is used until a call gets a 401" if which == "access" else "")


def as_data(reading: Reading, backend: Backend) -> dict[str, Any]:
    """Return a reading as a dict for JSON."""
    rule = reading.rule.as_written() if reading.rule else None
    readable = {"verdict": reading.verdict.name, "rule": rule, "consequence": consequence(reading, backend)}
    return {**asdict(reading), **readable}
