"""The house: who may import whom. docs/explanation/architecture.rst explains the rules that are checked here."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import jwt_upstream
from tests.support.imports import Import, Sources, exported, imports, is_package, parsed, sources

ROOT = "jwt_upstream"
PACKAGE = Path(jwt_upstream.__file__).parent

#: The words that everybody uses; each may import those named before it.
WORDS = ["clock", "process", "idle", "tracebacks", "typing", "conf", "exceptions", "languages", "formatting", "names"]
WORDS += ["headers"]
WORDS += ["signals", "measurements", "binding", "tokens", "fields", "accounts", "remedies", "recorded", "models"]
#: Each part may import the words and the floors below its own, and nothing of its own floor.
FLOORS = [
    {"backends", "store"},
    {"refresh"},
    {"login"},
    {"client"},
    {"alerts", "background", "checks", "httpx_auth", "monitoring", "testing", "views"},
    {"admin", "apps", "management", "pytest_plugin", "tasks"},
]
#: The doors, through which people and other programs come in.
DOORS = FLOORS[-2] | FLOORS[-1]
#: Packages inside packages that may be imported from outside, each by its own ``__init__``.
OPEN_SUBPACKAGES = {"jwt_upstream.backends.core", "jwt_upstream.backends.explain", "jwt_upstream.client.over_httpx"}
#: What a door may import of the store: it reads rows and changes them only by way of refresh and login. What was told,
#: and history that is old, concern no credential.
OPEN_TO_DOORS = {f"jwt_upstream.store.{name}" for name in ("connections", "is_away", "outbox", "pruning", "queries")}

MOST_LINES = 400
MOST_FILES = 12
#: Where a family of servers is a file.
FAMILIES = "jwt_upstream.backends"

HTTP_LIBRARIES = {"requests", "urllib3", "http"}


def part(module: str) -> str:
    """Return the module or folder right below the package that a module belongs to, "" for the package itself."""
    return module.split(".")[1] if "." in module else ""


def ours(tree: Sources) -> Iterator[tuple[Import, str]]:
    """Yield what is imported of the package itself, each with the module that it comes from."""
    for each in imports(tree):
        if each.full_name in tree:
            yield each, each.full_name
        elif each.module.split(".")[0] == ROOT:
            yield each, each.module


# -- the rules, each of which yields what breaks it


def imports_go_down(tree: Sources) -> Iterator[str]:
    """A part imports lower floors only, and of its own floor nothing but itself."""
    height = dict.fromkeys(WORDS, 0) | {name: level for level, names in enumerate(FLOORS, 1) for name in names}
    for module in tree:
        if part(module) and part(module) not in height:
            yield f"{module} is on no floor"
    for each, target in ours(tree):
        importer, imported = part(each.importer), part(target)
        if importer == imported or not imported or importer not in height or imported not in height:
            continue
        is_earlier_word = importer in WORDS and imported in WORDS[: WORDS.index(importer)]
        if height[imported] >= height[importer] and not is_earlier_word:
            yield f"{each}, which is not below it"


def packages_are_entered_by_their_init(tree: Sources) -> Iterator[str]:
    """From outside a package only names in its ``__all__`` are imported, and from its ``__init__``."""
    for each, target in ours(tree):
        package = _entered(each.importer, target, tree)
        if package is None or each.full_name == package:
            continue
        if each.module != package:
            yield f"{each} past the __init__ of {package}"
        elif each.name not in exported(tree[package]):
            yield f"{each}, which {package} does not export"


def _entered(importer: str, target: str, tree: Sources) -> str | None:
    """Return the package that an import enters from outside, the innermost one that may be entered."""
    names = target.split(".")
    above = [".".join(names[:length]) for length in range(2, len(names) + 1)]
    packages = [name for name in above if is_package(name, tree)]
    entered = [name for name in packages if importer != name and not importer.startswith(f"{name}.")]
    opened = [name for name in entered if name in OPEN_SUBPACKAGES]
    return next(iter(opened or entered), None)


def no_import_hides_in_a_function(tree: Sources) -> Iterator[str]:
    """An import inside a function would hide a circle."""
    for each, _ in ours(tree):
        if each.in_function:
            yield f"{each} inside a function"


def each_side_knows_its_own_library(tree: Sources) -> Iterator[str]:
    """Backends know HTTP and no database; the store knows the database and no HTTP."""
    for each in imports(tree):
        if part(each.importer) == "backends" and each.full_name.startswith("django.db"):
            yield f"{each}: backends know no database"
        if part(each.importer) == "store" and each.module.split(".")[0] in HTTP_LIBRARIES:
            yield f"{each}: the store knows no HTTP"


def rows_are_changed_by_refresh_and_login(tree: Sources) -> Iterator[str]:
    """The client never touches the store, and the doors only read it."""
    for each, target in ours(tree):
        if part(target) != "store":
            continue
        if part(each.importer) == "client":
            yield f"{each}: the client asks refresh for a token"
        elif part(each.importer) in DOORS and each.full_name not in OPEN_TO_DOORS:
            yield f"{each}: a door changes rows by way of refresh and login"


def files_are_short_and_folders_small(tree: Sources) -> Iterator[str]:
    """A long file has two subjects, and a folder of many files has two."""
    folders: dict[str, int] = {}
    for module, source in tree.items():
        if len(source.splitlines()) > MOST_LINES:
            yield f"{module} has more than {MOST_LINES} lines"
        folders.setdefault(module.rpartition(".")[0], 0)
        folders[module.rpartition(".")[0]] += not is_package(module, tree)
    for folder, number in folders.items():
        if number > MOST_FILES and folder not in {FAMILIES, ROOT}:
            yield f"{folder} has {number} files"


def every_file_says_its_subject(tree: Sources) -> Iterator[str]:
    """The first line of each module is a sentence, and a package's charter is one sentence."""
    for module, source in tree.items():
        said = ast.get_docstring(parsed(source)) or ""
        first = said.partition("\n")[0]
        if not first.endswith((".", "``")) and ":" not in first:
            yield f"{module} does not say its subject in its first line"
        elif is_package(module, tree) and part(module) and len(re.findall(r"\.(\s|$)", said)) != 1:
            yield f"{module} needs a charter of one sentence"


def modules_form_seven_floors(tree: Sources) -> Iterator[str]:
    """Counted by imports alone, no chain of parts is longer than seven."""
    below: dict[str, set[str]] = {part(module): set() for module in tree}
    for each, target in ours(tree):
        below[part(each.importer)].add(part(target))

    @cache
    def height(name: str) -> int:
        return 1 + max((height(lower) for lower in below[name] - {name, ""}), default=0)

    highest = max(below, key=height)
    if height(highest) > 7:
        yield f"{highest} is on floor {height(highest)}"


RULES: list[Callable[[Sources], Iterator[str]]] = [
    imports_go_down,
    packages_are_entered_by_their_init,
    no_import_hides_in_a_function,
    each_side_knows_its_own_library,
    rows_are_changed_by_refresh_and_login,
    files_are_short_and_folders_small,
    every_file_says_its_subject,
    modules_form_seven_floors,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_house(rule: Callable[[Sources], Iterator[str]]) -> None:
    """The package keeps each rule of the house."""
    assert list(rule(sources(PACKAGE))) == []


# -- the rules themselves: each is seen to fail

HOUSE = {
    "jwt_upstream": '"""The app."""',
    "jwt_upstream.conf": '"""The settings."""',
    "jwt_upstream.tokens": '"""The pair."""\nfrom .conf import conf',
    "jwt_upstream.backends": '"""Speaks."""\nfrom .base import Backend\n__all__ = ["Backend"]',
    "jwt_upstream.backends.base": '"""A backend."""\nfrom .core import Verdict',
    "jwt_upstream.backends.core": '"""Parts."""\nfrom .verdicts import Verdict\n__all__ = ["Verdict"]',
    "jwt_upstream.backends.core.verdicts": '"""Verdicts."""\nimport requests',
    "jwt_upstream.store": '"""Rows."""\nfrom . import queries, transitions\n__all__ = ["queries", "transitions"]',
    "jwt_upstream.store.queries": '"""Reads."""\nfrom django.db import connections',
    "jwt_upstream.store.transitions": '"""Writes."""\nfrom .queries import find',
    "jwt_upstream.refresh": '"""Refreshes."""\nfrom .protocol import refresh\n__all__ = ["refresh"]',
    "jwt_upstream.refresh.protocol": '"""The protocol."""\nfrom jwt_upstream.store import transitions',
    "jwt_upstream.client": '"""Calls."""\nfrom jwt_upstream.refresh import refresh',
    "jwt_upstream.admin": '"""Pages."""\nfrom jwt_upstream.store import queries',
}


def test_house_of_the_examples() -> None:
    """The small house that the examples below break keeps every rule."""
    assert [problem for rule in RULES for problem in rule(HOUSE)] == []


@pytest.mark.parametrize(
    ("rule", "module", "line"),
    [
        (imports_go_down, "store.transitions", "from jwt_upstream.backends import Backend"),
        (imports_go_down, "store.transitions", "from ..backends import Backend"),
        (imports_go_down, "store.transitions", "from .. import backends"),
        (imports_go_down, "store.queries", "import jwt_upstream.refresh.protocol"),
        (imports_go_down, "store.queries", "if TYPE_CHECKING:\n    from ..client import UpstreamClient"),
        (imports_go_down, "store.queries", "def read():\n    from ..client import UpstreamClient"),
        (imports_go_down, "conf", "from .tokens import TokenPair"),
        (imports_go_down, "conf", "from jwt_upstream import store"),
        (imports_go_down, "helpers", "from jwt_upstream.conf import conf"),
        (packages_are_entered_by_their_init, "refresh.protocol", "from jwt_upstream.store.transitions import claim"),
        (packages_are_entered_by_their_init, "refresh.protocol", "from ..store.transitions import claim"),
        (packages_are_entered_by_their_init, "refresh.protocol", "import jwt_upstream.store.transitions"),
        (packages_are_entered_by_their_init, "refresh.protocol", "from jwt_upstream.store import database"),
        (packages_are_entered_by_their_init, "client", "from jwt_upstream.backends.core.verdicts import Verdict"),
        (packages_are_entered_by_their_init, "client", "from jwt_upstream.backends.core import verdicts"),
        (no_import_hides_in_a_function, "client", "def call():\n    from .refresh import refresh"),
        (no_import_hides_in_a_function, "client", "async def call():\n    import jwt_upstream.refresh"),
        (no_import_hides_in_a_function, "client", "class A:\n  def call(self):\n    from . import conf"),
        (each_side_knows_its_own_library, "backends.core.verdicts", "from django.db import models"),
        (each_side_knows_its_own_library, "backends.core.verdicts", "from django import db"),
        (each_side_knows_its_own_library, "store.queries", "from requests import Response"),
        (each_side_knows_its_own_library, "store.queries", "def send():\n    import urllib3.util"),
        (rows_are_changed_by_refresh_and_login, "client", "from jwt_upstream.store import queries"),
        (rows_are_changed_by_refresh_and_login, "admin", "from jwt_upstream.store import transitions"),
        (files_are_short_and_folders_small, "store.queries", "\n" * MOST_LINES),
        (every_file_says_its_subject, "store", "X"),
        (modules_form_seven_floors, "tokens", ""),
    ],
)
def test_rule_is_seen_to_fail(rule: Callable[[Sources], Iterator[str]], module: str, line: str) -> None:
    """Each rule finds the import, or the file, that breaks it, however it is written."""
    broken = dict(HOUSE)
    name = f"{ROOT}.{module}"
    broken[name] = f"{broken.get(name, '')}\n{line}"
    if rule is every_file_says_its_subject:
        broken[name] = line
    if rule is modules_form_seven_floors:
        broken |= {f"{ROOT}.m{number}": f"from .m{number + 1} import x" for number in range(9)}
        broken[f"{ROOT}.m9"] = ""
    assert list(rule(broken)) != []


def test_folder_of_many_files_is_found() -> None:
    """A folder of more files than a reader can take in is found, a folder of server families excepted."""
    many = {f"jwt_upstream.store.m{number}": '"""M."""' for number in range(MOST_FILES)}
    families = {f"jwt_upstream.backends.m{number}": '"""M."""' for number in range(MOST_FILES)}
    assert list(files_are_short_and_folders_small(HOUSE | families)) == []
    assert list(files_are_short_and_folders_small(HOUSE | many)) == ["jwt_upstream.store has 14 files"]
