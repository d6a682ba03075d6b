"""What ``upstream_probe`` prints: requests as they would be sent, and explanations of answers."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from jwt_upstream.backends import Backend
from jwt_upstream.backends.core import Which
from jwt_upstream.backends.explain import FoundToken, Preview, Reading, consequence
from jwt_upstream.clock import host_now
from jwt_upstream.formatting import time_left, timestamp

_LABEL_WIDTH = 18
_ANSWERS = {
    "login": gettext_lazy("The answer to a login: HTTP %(status)d, %(media_type)s, %(size)d bytes"),
    "refresh": gettext_lazy("The answer to a refresh: HTTP %(status)d, %(media_type)s, %(size)d bytes"),
    "api": gettext_lazy("The answer to a call: HTTP %(status)d, %(media_type)s, %(size)d bytes"),
}


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
    yield _ANSWERS[reading.where] % {
        "status": reading.status,
        "media_type": reading.media_type or _("no Content-Type"),
        "size": reading.size,
    }
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


def _paragraphs(reading: Reading, backend: Backend) -> Iterator[tuple[str, str]]:
    yield _("verdict"), reading.verdict.name
    if reading.rule:
        yield _("rule"), reading.source
        yield "", json.dumps(reading.rule.as_written(), ensure_ascii=False)
    else:
        yield pgettext("a rule", "default"), reading.decided_by
    yield _("reason"), reading.reason
    yield from reading.headers.items()
    if reading.where != "api" and reading.status < 300:
        yield from _token("access", reading.access, backend)
        yield from _token("refresh", reading.refresh, backend)
    if reading.fields:
        yield _("body fields"), ", ".join(reading.fields)
    yield _("consequence"), consequence(reading, backend)


def _token(which: Which, token: FoundToken | None, backend: Backend) -> Iterator[tuple[str, str]]:
    label = _("access token") if which == "access" else _("refresh token")
    if token is None:
        paths = ", ".join(getattr(backend, f"{which}_paths"))
        text = _("none at %(paths)s") if paths else _("none; %(option)s is empty")
        yield label, text % {"paths": paths, "option": f"{which}_paths"}
        return
    text = _("at %(path)s: %(length)d characters, opaque, fingerprint %(fingerprint)s")
    if token.is_jwt:
        text = _("at %(path)s: %(length)d characters, a JWT, fingerprint %(fingerprint)s")
    yield label, text % {"path": token.path, "length": token.length, "fingerprint": token.fingerprint}
    yield "", _expiry(which, token)


def _expiry(which: Which, token: FoundToken) -> str:
    if token.expires_at:
        lifetime = time_left(token.expires_at, host_now())
        about = {"when": timestamp(token.expires_at), "span": lifetime, "source": token.expiry_source}
        return _("expires %(when)s (%(span)s), from %(source)s") % about
    return _("unknown expiry; it is used until a call gets a 401") if which == "access" else _("unknown expiry")


def as_data(reading: Reading, backend: Backend) -> dict[str, Any]:
    """Return a reading as a dict for JSON."""
    rule = reading.rule.as_written() if reading.rule else None
    readable = {"verdict": reading.verdict.name, "rule": rule, "consequence": consequence(reading, backend)}
    return {**asdict(reading), **readable}
