"""Every message of an error or a command, as the code writes it; docs/howto/troubleshooting.rst tells of each."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from jwt_upstream import exceptions

from . import source

_OTHERS = {
    "CommandError",
    "ForbiddenAddress",
    "InvalidHeader",
    "InvalidProxyURL",
    "InvalidURL",
    "NotDiscovered",
    "UnusableAnswer",
}
_OTHERS |= {"DecryptionError", "Misplaced", "Unbound", "NoSuchState", "ServiceUnavailable", "ServiceWarning"}
_OTHERS |= {"ArgumentTypeError", "FieldError", "ImportError", "ImproperlyConfigured", "RuntimeError", "TypeError"}
_OTHERS |= {"Unsignable", "ValidationError", "ValueError"}
#: So many letters make a message that can be looked for; what has fewer passes on what somebody else says.
_FEWEST_LETTERS = 8


def messages() -> list[str]:
    """Return all of them, with … for what is filled in."""
    found = (_shortened(text) for text in (*_raised(), *_made()))
    return sorted({text for text in found if len(re.findall(r"\w", text)) >= _FEWEST_LETTERS})


def _raised() -> Iterator[str]:
    for _, call, scope in source.calls({*exceptions.__all__, *_OTHERS}):
        if call.args:
            yield source.text(call.args[0], scope)


def _made() -> Iterator[str]:
    """Yield the texts of functions that return an error."""
    for tree in source.trees().values():
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and function.returns and _is_error(function.returns):
                calls = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
                yield from (
                    source.text(call.args[0], function) for call in calls if isinstance(call, ast.Call) and call.args
                )


def _is_error(annotation: ast.expr) -> bool:
    return any(name in exceptions.__all__ for name in re.findall(r"\w+", ast.unparse(annotation)))


def _shortened(text: str) -> str:
    return re.sub(r"…[… ]*…", "…", re.sub(r"%\(\w+\)[a-z]", "…", text)).strip()
