"""Every system check by its id: what it means, what it says, and what it says to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from jwt_upstream.checks import settings

from . import source
from .rst import marked, table

_KINDS = {"Error", "Warning"}


def lines() -> Iterator[str]:
    """Yield a section for each id, with the messages that have it."""
    meanings, said = meanings_by_id(), messages()
    if wrong := meanings.keys() ^ said.keys():
        raise LookupError(f"ids without a meaning, or without a check: {', '.join(sorted(wrong))}")
    for name in sorted(meanings):
        yield from (
            "",
            f".. _check-{name}:",
            "",
            f"jwt_upstream.{name}",
            "-" * (len(name) + 13),
            "",
            marked(meanings[name]),
            "",
        )
        yield from table(("Message", "What to do"), said[name], (55, 45))


def meanings_by_id() -> dict[str, str]:
    """Return what each id means, as the code's own list has it."""
    return dict(re.findall(r"^([EW]\d{3}): (.*)$", str(settings.__doc__), re.MULTILINE))


def messages() -> dict[str, list[tuple[str, str]]]:
    """Return the messages and hints of each id, with … for what is filled in."""
    found: dict[str, list[tuple[str, str]]] = {}
    for _, call, scope in source.calls(_KINDS, "checks/"):
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if isinstance(given.get("id"), ast.Constant):
            name = str(source.text(given["id"], scope)).removeprefix("jwt_upstream.")
            pair = _shown(source.text(call.args[0], scope)), _shown(source.text(given["hint"], scope))
            if pair not in found.setdefault(name, []):
                found[name].append(pair)
    return found


def _shown(text: str) -> str:
    return marked(text) if re.search(r"\w", text) else "what is wrong, in words"
