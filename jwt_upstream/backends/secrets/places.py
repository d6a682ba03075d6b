"""Where secrets are kept: in files, or with callables. No message and no error that leaves this module shows one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.utils.module_loading import import_string

from jwt_upstream.exceptions import UpstreamMisconfigured

#: What a text that says where a secret is kept begins with.
PREFIXES = ("file:", "call:")
_MAX_BYTES = 64 * 1024
#: What can hardly be anything else, unlike a scope such as "call:read".
_PLACE = re.compile(r"file:/\S+|call:[a-z_]\w*(\.\w+)+", re.IGNORECASE)


def fetch(written: Any) -> str:
    """Return the secret that is kept where settings say; raises UpstreamMisconfigured, with what is wrong there."""
    if not callable(written):
        kind, _, place = written.partition(":")
        if kind == "file":
            return _content(place)
        written = _imported(place)
    return _result(written)


def has_place(written: Any) -> bool:
    """Tell whether an option that is sent as it is written has a text, at any depth, that is the place of a secret."""
    if isinstance(written, Mapping):
        return any(map(has_place, written.values()))
    if isinstance(written, list | tuple):
        return any(map(has_place, written))
    return isinstance(written, str) and bool(_PLACE.fullmatch(written))


def check(written: Any) -> str:
    """Return a file's content, "" for a callable, which is not called.

    Raises UpstreamMisconfigured if the file can't be read or a dotted path leads nowhere.
    """
    if isinstance(written, str):
        kind, _, place = written.partition(":")
        if kind == "file":
            return _content(place)
        _imported(place)
    return ""


def _content(place: str) -> str:
    path, problem = Path(place), "it is empty"
    try:
        if not path.is_absolute():
            problem = "the path is not absolute"
        elif path.stat().st_size > _MAX_BYTES or not path.is_file():
            problem = f"it is not a file of at most {_MAX_BYTES} bytes"
        elif content := path.read_text("utf-8-sig").rstrip("\r\n"):
            return content
    except OSError as error:
        problem = error.strerror or type(error).__name__
    except ValueError:  # or a null byte in the path
        problem = "it is not UTF-8"
    raise UpstreamMisconfigured(f"can't be read from {place!r}: {problem}")


def _imported(place: str) -> Callable[[], Any]:
    problem = "it is not callable"
    try:
        found: Callable[[], Any] = import_string(place)
        if callable(found):
            return found
    except ImportError as error:
        problem = str(error)
    raise UpstreamMisconfigured(f"can't be got from {place!r}: {problem}")


def _result(function: Callable[[], Any]) -> str:
    name = getattr(function, "__qualname__", type(function).__name__)
    try:
        if isinstance(result := function(), str) and result:
            return result
        problem = "returned an empty text" if isinstance(result, str) else f"returned {type(result).__name__}, no text"
    except Exception as error:  # whatever a vault's client raises; its message and its frames may hold secrets
        problem = f"raised {type(error).__name__}"
    raise UpstreamMisconfigured(f"can't be got: {name}() {problem}")
