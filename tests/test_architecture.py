"""The house: imports go down only, backends know no database, models know no HTTP."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import jwt_upstream

PACKAGE = Path(jwt_upstream.__file__).parent

WORDS = ["jwt_upstream", "changes", "conf", "exceptions", "signals", "tokens"]
HTTP = ["backends", "environment", "pool"]
DATABASE = ["fields", "models", "claims", "overview", "outages", "flights", "news", "states"]
BOTH = ["attempts", "settlement", "refresh", "logins", "background"]
USED = ["async_verbs", "sending", "retries", "memory", "origin_session", "trials", "client"]
USED += ["texts", "statuses", "notifications", "checks"]
DOORS = ["badges", "lists", "admin", "apps", "testing", "management"]
FLOORS = [WORDS, HTTP, DATABASE, BOTH, USED, DOORS]
#: Where each module may look: at modules named before it, but neither side of floor 1 at the other.
ORDER = [name for floor in FLOORS for name in floor]


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "migrations" not in path.parts]


def noun(path: Path) -> str:
    """Return the module, or the folder right below the package, that a file belongs to."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "jwt_upstream" if parts == ("__init__",) else parts[0]


def imported(tree: ast.AST) -> set[str]:
    """Return the modules of ours that are imported, by the same names."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "jwt_upstream":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jwt_upstream."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("jwt_upstream.")}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    """A module imports nothing of its own floor that stands after it, and nothing of the floors above."""
    own = noun(path)
    assert own in ORDER, "say on which floor this module is"
    for name in imported(ast.parse(path.read_text())) - {own}:
        assert ORDER.index(name) < ORDER.index(own), f"{own} imports {name}"
        assert own not in WORDS, f"{own} is a word and imports {name}"
        assert not (own in HTTP and name in DATABASE), f"{own} knows HTTP and imports {name}"
        assert not (own in DATABASE and name in HTTP), f"{own} knows the database and imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_import_of_ours_inside_a_function(path: Path) -> None:
    """An import inside a function hides a tangle of floors."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert not imported(node), f"{node.name} imports {imported(node)}"


@pytest.mark.parametrize("path", [path for path in modules() if noun(path) in HTTP], ids=str)
def test_backends_know_no_database(path: Path) -> None:
    """Nothing on the HTTP side mentions Django's database layer."""
    assert "django.db" not in path.read_text()


@pytest.mark.parametrize("name", DATABASE)
def test_models_know_no_http(name: str) -> None:
    """Nothing on the database side sends anything; only the type of an answer is named, to hand one on."""
    used = {
        alias.name
        for node in ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in {"requests", "urllib3"}
        for alias in node.names
    }
    assert used <= {"Response"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_are_short(path: Path) -> None:
    """A module of more than 250 lines has two subjects."""
    assert len(path.read_text().splitlines()) <= 250
