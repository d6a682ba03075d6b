"""Checks that the paths and options which the documentation names are those that exist; see ``make docs``."""

from __future__ import annotations

import ast
import html
import os
import re
import sys
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.apps import apps  # noqa: E402 -- has the models by now
from django.test import override_settings  # noqa: E402 -- reads settings

# After the set-up as well: all of these import models, or what does.
from docs.reference_tables import options, settings  # noqa: E402
from docs.reference_tables.messages import messages  # noqa: E402
from jwt_upstream import exceptions, measurements, signals  # noqa: E402
from jwt_upstream.backends import Backend  # noqa: E402
from jwt_upstream.backends.core.options import problems  # noqa: E402
from jwt_upstream.checks import check_settings  # noqa: E402
from jwt_upstream.conf import DEFAULTS  # noqa: E402
from jwt_upstream.models import Incident  # noqa: E402

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.rst"), *(page for page in ROOT.glob("docs/**/*.rst") if "_build" not in page.parts)]
FOLDERS = "jwt_upstream|tests|docs|benchmarks|project|release|requirements"
#: Settings whose example is short for a value: a key, a secret that goes with a URL.
_NEED_MORE = {"JWT_UPSTREAM_ENCRYPTION_KEYS", "JWT_UPSTREAM_NOTIFIERS", "JWT_UPSTREAM_WEBHOOK_URL"}
_NEED_MORE |= {"JWT_UPSTREAM_WEBHOOK_SECRET"}
#: What is said of an answer, in many forms.
_OF_ANSWERS = {"no refresh token at …", "no access token at …"}
_LITERAL = re.compile(r"``([^`]+)``")
#: A path from the top, such as ``tests/test_docs.py``; code blocks have those of a reader's own project.
_FROM_TOP = re.compile(rf"(?<![\w/.])(?:{FOLDERS})/[\w/.-]*\w")
#: On the page of the architecture, one inside the package, such as ``client/pool.py``.
_IN_PACKAGE = re.compile(r"``([a-z_]+(?:/[a-z_]+)*(?:\.py|/))``")


def missing_paths() -> Iterator[str]:
    """Yield what is named and isn't there."""
    for page in PAGES:
        text = page.read_text()
        named = {(path, ROOT) for literal in _LITERAL.findall(text) for path in _FROM_TOP.findall(literal)}
        if page.stem == "architecture":
            named |= {(path, ROOT / "jwt_upstream") for path in _IN_PACKAGE.findall(text)}
            named -= {(path, base) for path, base in named if base != ROOT and re.match(f"({FOLDERS})/", path)}
        yield from (f"{page.name}: {path}" for path, base in sorted(named) if not (base / path).exists())


def missing_names() -> Iterator[str]:
    """Yield what the page of the architecture looks for in a file that doesn't define it."""
    text = (ROOT / "docs" / "explanation" / "architecture.rst").read_text()
    for name, path in re.findall(r"``([\w.]+)``\s+(?:in\s+|\()``([\w/]+\.py)``", text):
        file = ROOT / "jwt_upstream" / path
        if file.exists() and not re.search(rf"(?:def|class) {name.rpartition('.')[2]}\b", file.read_text()):
            yield f"architecture.rst: {name} in {path}"


def wrong_options() -> Iterator[str]:
    """Yield the options that the reference lacks, and the examples that no backend takes."""
    told = [name for group in options.groups() for name in options.names(group)]
    known: dict[str, Any] = {}
    classes: list[type[Backend]] = [Backend, *options.classes()]
    for cls in classes:
        known |= cls.option_types()
    yield from (f"options.rst: {name}" for name in sorted(set(told) ^ known.keys()))
    for name in told:
        written = ast.literal_eval(options.described(name)[1])
        yield from (f"options.rst: {problem}" for problem in problems("Backend", {name: written}, known))


def wrong_settings() -> Iterator[str]:
    """Yield the settings whose example is not valid."""
    for name in DEFAULTS:
        written = ast.literal_eval(settings.described(name)[1])
        with override_settings(**{name: written}):
            found = [each for each in check_settings() if name in each.msg and name not in _NEED_MORE]
        yield from (f"settings.rst: {each.msg}" for each in found)


def wrong_messages() -> Iterator[str]:
    """Yield the messages that the page of the troubles lacks, and those that it has and nothing says."""
    page = (ROOT / "docs" / "howto" / "troubleshooting.rst").read_text()
    ours = page[: page.index("\nMails\n=")]
    terms = {
        each: _pattern(each)
        for line in re.findall(r"^``.*(?=\n    )", ours, re.MULTILINE)
        for each in _LITERAL.findall(line)
    }
    said = messages()
    yield from (
        f"troubleshooting.rst lacks: {each}"
        for each in said
        if not any(map(re.Pattern.search, terms.values(), repeat(each)))
    )
    for term, pattern in terms.items():
        if term not in _OF_ANSWERS and not any(map(pattern.search, said)):
            yield f"troubleshooting.rst: nothing says: {term}"
    for kind in Incident.Kind.values:
        if f"… is {kind}``" not in page:
            yield f"troubleshooting.rst: no mail: {kind}"


def _pattern(term: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part.strip()) for part in term.split("…")))


def stale_pictures() -> Iterator[str]:
    """Yield the sequence diagrams whose picture lacks a word of what they were drawn from."""
    for file in sorted(ROOT.glob("docs/diagrams/*.seq")):
        said = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        drawn = html.unescape(file.with_suffix(".svg").read_text())
        missing = [word for word in re.findall(r"\w+", " ".join(said)) if not re.search(rf"\b{word}\b", drawn)]
        if missing:
            yield f"{file.name}: {missing[0]} is not in the picture: make diagrams"


def missing_rows() -> Iterator[str]:
    """Yield the tables and signals that the reference lacks."""
    page = (ROOT / "docs" / "reference" / "database.rst").read_text()
    told = set(re.findall(r"upstream-columns:: (\w+)", page))
    models = {model.__name__ for model in apps.get_app_config("jwt_upstream").get_models()}
    yield from (f"database.rst: {name}" for name in sorted(told ^ models))
    page = (ROOT / "docs" / "reference" / "signals.rst").read_text()
    told = set(re.findall(r"autodata:: jwt_upstream\.\w+\.(\w+)", page))
    yield from (f"signals.rst: {name}" for name in sorted(told ^ {*signals.__all__, *measurements.__all__}))


def wrong_errors() -> Iterator[str]:
    """Yield the errors that their page lacks."""
    page = (ROOT / "docs" / "reference" / "errors.rst").read_text()
    told = set(re.findall(r"autoexception:: jwt_upstream\.exceptions\.(\w+)", page))
    classes = {name: each for name, each in vars(exceptions).items() if isinstance(each, type)}
    defined = {name for name, cls in classes.items() if cls.__module__ == exceptions.__name__}
    yield from (f"errors.rst: {name}" for name in sorted(told ^ defined))


if __name__ == "__main__":
    found = [
        *missing_paths(),
        *missing_names(),
        *wrong_options(),
        *wrong_settings(),
        *wrong_messages(),
        *stale_pictures(),
        *missing_rows(),
        *wrong_errors(),
    ]
    sys.exit("\n".join(["The documentation names what is not there, or lacks what is:", *found]) if found else 0)
