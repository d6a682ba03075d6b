"""Says what is wrong with the message files (``make translations``), or writes them (``make messages``)."""

from __future__ import annotations

import gettext
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from release.files import ROOT

LANGUAGES = ("de", "fr")
PACKAGE = ROOT / "jwt_upstream"
#: What xgettext writes of each message, one line for each text, so that two branches seldom change the same lines.
_STYLE = ["--no-wrap", "--add-location=file"]
#: Selections of msgattrib, and what it means if one has a message.
_FAULTS = {
    "--untranslated": "is not translated",
    "--only-fuzzy": "was translated from another text: translate it, and remove the line that says fuzzy",
    "--only-obsolete": "is not in the code any more",
}


def extract(package: Path, *options: str) -> None:
    """Bring the message files of a package up to date with its texts; needs GNU gettext."""
    names = [argument for language in LANGUAGES for argument in ("--locale", language)]
    # Not with the package on the path, one of whose files is called typing.
    _run(sys.executable, "-P", "-m", "django", "makemessages", *names, *_STYLE, *options, cwd=package)
    for language in LANGUAGES:
        # Not the time, which would differ in each branch.
        file = _file(package, language)
        file.write_text(re.sub(r'"POT-Creation-Date:.*\n', "", file.read_text()))


def compiled(source: Path, target: Path) -> Path:
    """Compile a message file, whose placeholders are checked then."""
    _run("msgfmt", "--check-format", "--check-header", "--output-file", str(target), str(source))
    return target


def problems(folder: Path) -> Iterator[str]:
    """Yield what is wrong, a line each, by what ``extract`` does to a copy of the package in an empty folder."""
    package = folder / PACKAGE.name
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    extract(package)
    for language in LANGUAGES:
        file = _file(PACKAGE, language)
        for selection, meaning in _FAULTS.items():
            for text in _messages(_file(package, language), selection):
                yield f"{file.relative_to(ROOT)}: {text} {meaning}"
        if _texts(file.with_suffix(".mo")) != _texts(compiled(file, folder / f"{language}.mo")):
            yield f"{file.with_suffix('.mo').relative_to(ROOT)} is not what {file.name} says"


def _file(package: Path, language: str) -> Path:
    return package / "locale" / language / "LC_MESSAGES" / "django.po"


def _messages(file: Path, selection: str) -> list[str]:
    command = ["msgattrib", selection, "--no-obsolete" if selection != "--only-obsolete" else "--force-po"]
    found = _run(*command, "--no-wrap", "--no-location", str(file))
    return re.findall(r'^(?:#~ )?msgid (".+")$', found, re.MULTILINE)


def _texts(file: Path) -> dict[object, str]:
    if not file.exists():
        return {}
    with file.open("rb") as stream:
        texts: dict[object, str] = gettext.GNUTranslations(stream)._catalog  # type: ignore[attr-defined]
    return {key: text for key, text in texts.items() if key}


def _run(*command: str, cwd: Path = ROOT) -> str:
    environ = {
        name: value for name, value in os.environ.items() if name not in {"DJANGO_SETTINGS_MODULE", "PYTHONPATH"}
    }
    try:
        result = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit(f"{command[0]} is needed (Debian: apt-get install gettext).")
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def main(arguments: list[str]) -> str | None:
    """Return what is wrong, if anything."""
    if arguments == ["--update"]:
        extract(PACKAGE, "--no-obsolete")
        for language in LANGUAGES:
            compiled(_file(PACKAGE, language), _file(PACKAGE, language).with_suffix(".mo"))
        return None
    with tempfile.TemporaryDirectory() as folder:
        found = list(problems(Path(folder)))
    return (
        "\n".join([*found, "make messages adds what is missing; docs/howto/languages.rst says more."])
        if found
        else None
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
