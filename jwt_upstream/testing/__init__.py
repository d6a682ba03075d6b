"""Support for tests of projects that call upstreams: a fake upstream, tokens without a login, and answers."""

from __future__ import annotations

from .answers import answer, saved_answer
from .calls import Call
from .credentials import logged_in
from .fake import FakeUpstream
from .server import UnexpectedRequest
from .wording import NoSuchState

__all__ = [
    "Call",
    "FakeUpstream",
    "NoSuchState",
    "UnexpectedRequest",
    "answer",
    "logged_in",
    "saved_answer",
]
