"""What a package's modules import of each other, with relative imports resolved, wherever the statement stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: Dotted module name -> source; a package's name stands for its ``__init__``.
Sources = Mapping[str, str]


@dataclass(frozen=True)
class Import:
    """One name that a module imports; ``module`` is where from, ``name`` is "" for ``import module``."""

    importer: str
    module: str
    name: str
    line: int
    in_function: bool

    @property
    def full_name(self) -> str:
        """The dotted name of what is imported."""
        return f"{self.module}.{self.name}" if self.name else self.module

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.full_name}"


def sources(package: Path) -> dict[str, str]:
    """Read all modules below a package's folder, migrations excepted."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if "migrations" not in parts:
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return found


def is_package(module: str, tree: Sources) -> bool:
    """Tell whether a module is a folder with an ``__init__``."""
    return any(other.startswith(f"{module}.") for other in tree)


def imports(tree: Sources) -> Iterator[Import]:
    """Yield everything that is imported in a tree, under TYPE_CHECKING and inside functions too."""
    for module, source in tree.items():
        package = module if is_package(module, tree) else module.rpartition(".")[0]
        yield from _imports_of(source, module, package)


@cache
def parsed(source: str) -> ast.Module:
    """Return the syntax tree of a source; each rule asks for those of all modules."""
    return ast.parse(source)


@cache
def _imports_of(source: str, module: str, package: str) -> list[Import]:
    return list(_imports_in(parsed(source), module, package, in_function=False))


def _imports_in(node: ast.AST, module: str, package: str, *, in_function: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(module, alias.name, "", node.lineno, in_function)
    elif isinstance(node, ast.ImportFrom):
        origin = _resolved(node, package)
        for alias in node.names:
            yield Import(module, origin, alias.name, node.lineno, in_function)
    inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _imports_in(child, module, package, in_function=inside)


def _resolved(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    above = package.split(".")
    base = above[: len(above) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def exported(source: str) -> set[str]:
    """Return the names in a module's ``__all__``."""
    for node in parsed(source).body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            return set(ast.literal_eval(node.value))
    return set()
