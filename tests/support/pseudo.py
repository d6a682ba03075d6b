"""A language whose every text is the English one between brackets: what has none was not marked for translation."""

from __future__ import annotations

import gettext
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import django
from django.utils import translation

import jwt_upstream

#: Whose texts are bracketed: ours, and Django's, which are between ours on a page.
_PACKAGES = (
    Path(jwt_upstream.__file__).parent,
    *(
        Path(django.__file__).parent / name
        for name in ("conf", "contrib/admin", "contrib/auth", "contrib/contenttypes")
    ),
)
_UNSEEN = {"script", "style", "template"}
#: Between the context of a text and the text.
_CONTEXT = "\x04"
_BRACKETED = re.compile(r"⟦[^⟦⟧]*⟧")


def texts(language: str, package: Path = _PACKAGES[0]) -> dict[Any, str]:
    """Return the compiled texts of a package in a language; a key is a text, or one with the number of its plural."""
    with (package / "locale" / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        found: dict[Any, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {key: text for key, text in found.items() if key}


def _messages(package: Path) -> list[str]:
    """Return the texts of a package of Django's, of which a new one may have no translation yet."""
    return re.findall(r'^msgid "(.+)"$', (package / "locale/en/LC_MESSAGES/django.po").read_text(), re.MULTILINE)


@contextmanager
def bracketed(folder: Path, settings: Any) -> Iterator[None]:
    """Speak that language, which a catalog in an empty folder has, to everybody and in mails."""
    keys = [key for package in _PACKAGES for key in texts("de", package)]
    keys += [text for package in _PACKAGES[1:] for text in _messages(package)]
    entries = {"": "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"}
    for key in keys:
        text = key[0] if isinstance(key, tuple) else key
        said = f"⟦{text.rpartition(_CONTEXT)[2]}⟧"
        # With a plural, for which the singular will do.
        entries |= {f"{text}\0{text}": f"{said}\0{said}"} if isinstance(key, tuple) else {text: said}
    target = folder / "xx" / "LC_MESSAGES" / "django.mo"
    target.parent.mkdir(parents=True)
    target.write_bytes(_compiled(entries))
    settings.LOCALE_PATHS, settings.LANGUAGE_CODE = [str(folder)], "xx"
    with translation.override("xx"):
        yield


def _compiled(entries: dict[str, str]) -> bytes:
    """Return a catalog in the format of GNU gettext."""
    texts = sorted((key.encode(), text.encode()) for key, text in entries.items())
    head, at, tables, data = 7 * 4, 7 * 4 + 16 * len(texts), [b"", b""], b""
    for pair in texts:
        for number, text in enumerate(pair):
            tables[number] += struct.pack("<2I", len(text), at + len(data))
            data += text + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(texts), head, head + 8 * len(texts), 0, 0)
    return header + tables[0] + tables[1] + data


def unmarked(text: str) -> str:
    """Return what is left of a text without what is in brackets, also inside each other."""
    while (shorter := _BRACKETED.sub(" ", text)) != text:
        text = shorter
    return text


class Visible(HTMLParser):
    """The texts of a page that people see or hear."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the attributes that are shown."""
        self._open.append(tag)
        self.texts += [text for name, text in attrs if text and name in {"title", "aria-label", "placeholder", "alt"}]
        if tag == "input" and dict(attrs).get("type") in {"submit", "button"}:
            self.texts.append(dict(attrs).get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        """Take a text."""
        if not _UNSEEN & set(self._open) and data.strip():
            self.texts.append(data.strip())
