"""Texts as the code writes them, with … for what is filled in; read of its syntax, since few are there before."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jwt_upstream

PACKAGE = Path(jwt_upstream.__file__).parent
_FILLED = re.compile(r"%\(\w+\)[-\d.]*[a-z]|%[-\d.]*[sdr]|\{[^{}]*\}")
#: Functions that return their first argument, more or less.
_PASSING = {"sentence", "_told", "str", "_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}


@cache
def trees() -> dict[str, ast.Module]:
    """Return the syntax of each file of the package, by its path there."""
    return {str(file.relative_to(PACKAGE)): ast.parse(file.read_text()) for file in sorted(PACKAGE.rglob("*.py"))}


def calls(names: set[str], prefix: str = "") -> Iterator[tuple[str, ast.Call, ast.AST]]:
    """Yield the calls of functions or classes of these names, each with its path and the function that it is in."""
    for path, tree in trees().items():
        if not path.startswith(prefix):
            continue
        for scope in ast.walk(tree):
            if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
                yield from ((path, call, scope) for call in _own_calls(scope) if _name(call) in names)


def text(node: ast.AST | None, scope: ast.AST) -> str:
    """Return the text that an expression makes, with … for what is not known."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part, scope) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text(node.left, scope) + text(node.right, scope)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return _FILLED.sub("…", text(node.left, scope))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _FILLED.sub("…", text(node.func.value, scope))
    if isinstance(node, ast.Call) and _name(node) in _PASSING and node.args:
        return text(node.args[0], scope)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _functions():
        return _returned(node.func.id)
    if isinstance(node, ast.IfExp):
        return f"{text(node.body, scope)} / {text(node.orelse, scope)}"
    if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name) and node.value.id.isupper():
        return _constants().get(node.value.id, "…")
    if isinstance(node, ast.Name):
        return _assigned(node, scope)
    return "…"


@cache
def _functions() -> dict[str, ast.FunctionDef]:
    """Return the functions on a module's level that return a text, by those names that only one has."""
    found: dict[str, list[ast.FunctionDef]] = {}
    for tree in trees().values():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.returns and ast.unparse(node.returns) == "str":
                found.setdefault(node.name, []).append(node)
    return {name: nodes[0] for name, nodes in found.items() if len(nodes) == 1}


@cache
def _returned(name: str) -> str:
    """Return what a function returns last, which is what it says where nothing is special."""
    function = _functions()[name]
    returned = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
    return text(max(returned, key=lambda each: each.lineno).value, function)


@cache
def _constants() -> dict[str, str]:
    """Return the texts that are constants of a module, by name; a name that several have stands for each."""
    modules = trees().values()
    assigned = [
        (node.targets[0], node.value) for module in modules for node in module.body if isinstance(node, ast.Assign)
    ]
    return {
        target.id: value.value
        for target, value in assigned
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str)
    }


def _assigned(name: ast.Name, scope: ast.AST) -> str:
    """Return the text that a variable had last, in the function or on the module's level, before it is used."""
    for node in sorted(_assignments(scope), key=lambda each: each.lineno, reverse=True):
        if node.lineno < name.lineno:
            for target, value in _pairs(node.targets[0], node.value):
                if isinstance(target, ast.Name) and target.id == name.id:
                    return text(value, scope)
    return "…"


def _assignments(scope: ast.AST) -> Iterator[ast.Assign]:
    yield from (node for node in ast.walk(scope) if isinstance(node, ast.Assign))


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        yield from zip(target.elts, value.elts, strict=True)
    else:
        yield target, value


def _own_calls(scope: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls in a function that are not in a function inside it."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from _own_calls(node)


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
