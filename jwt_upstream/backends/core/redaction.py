"""Redaction: texts about failures that may be stored and shown, without secrets, URLs and stacks."""

from __future__ import annotations

import html
import json
import re
import string
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

# 25 characters of the token alphabet in a row are not a word in any language that servers use, unless they are an
# error code such as INVALID_LOGIN_CREDENTIALS.
_RUN = r"[\w.~+/=-]"
_CODE = rf"([A-Z]+(_[A-Z]+)+|[a-z]+(_[a-z]+)+)(?!{_RUN})"
_TOKENLIKE = re.compile(rf"(?<!{_RUN})(?!{_CODE}){_RUN}{{25,}}", re.ASCII)
_MAX_CHARACTERS = 200
#: How much of a long text is searched for tokens, and what a token that goes beyond consists of.
_MAX_SEARCHED = 4 * 1024
_RUN_CHARACTERS = f"{string.ascii_letters}{string.digits}_.~+/=-"
_MASK = "[…]"
#: A piece of a secret is recognized if it has so many characters: two thirds of a short secret, 12 of a long one.
_SHORTEST_PIECE, _LONGEST_PIECE = 8, 12


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text with "[…]" in place of the given secrets, in any form, and of what else looks like a token.

    A very long text is cut, never within a token.
    """
    if len(text) > _MAX_SEARCHED:
        text = text[:_MAX_SEARCHED].rstrip(_RUN_CHARACTERS)
    return _TOKENLIKE.sub(_MASK, _without(text, map(str, secrets)))


def shown(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text of an upstream as one masked line of at most 200 characters, which any database can store."""
    # Masked before it is cut, since the beginning of a token may not look like one.
    text = masked(text, secrets)[:_MAX_CHARACTERS]
    # No database stores a lone surrogate, and PostgreSQL stores no NUL.
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _without(text: str, secrets: Iterable[str]) -> str:
    """Return a text with "[…]" in place of each secret, whatever its form, and of each longer piece of one."""
    is_secret = bytearray(len(text))
    for form in {form for secret in secrets if secret for form in _forms(secret)}:
        length = _piece_length(form)
        starts = _starts(text, length)
        for piece in {form[at : at + length] for at in range(len(form) - length + 1)} & starts.keys():
            for at in starts[piece]:
                is_secret[at : at + length] = b"\1" * length
    return "".join(_MASK if run[0] else text[slice(*run[1])] for run in _runs(is_secret))


def _piece_length(form: str) -> int:
    two_thirds = -(-len(form) * 2 // 3)
    return min(len(form), max(_SHORTEST_PIECE, min(two_thirds, _LONGEST_PIECE)))


def _starts(text: str, length: int) -> dict[str, list[int]]:
    starts: dict[str, list[int]] = {}
    for at in range(len(text) - length + 1):
        starts.setdefault(text[at : at + length], []).append(at)
    return starts


def _runs(flags: bytearray) -> Iterator[tuple[bool, tuple[int, int]]]:
    for run in re.finditer(b"\0+|\1+", flags):
        yield bool(run[0][0]), run.span()


def _forms(secret: str) -> Iterator[str]:
    """Yield the ways in which a secret may be quoted."""
    yield secret
    for encode in (quote, quote_plus):
        encoded = encode(secret, safe="", errors="replace")
        yield encoded
        yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), encoded)
    for is_ascii in (True, False):
        escaped = json.dumps(secret, ensure_ascii=is_ascii)[1:-1]
        yield escaped
        yield escaped.replace("/", "\\/")  # as PHP does
    yield html.escape(secret)
    yield from _in_base64(secret.encode(errors="replace"))


def _in_base64(raw: bytes) -> Iterator[str]:
    """Yield what any base64 contains that contains these bytes, such as that of "user:password" (Basic)."""
    for before in range(3):
        text = b64encode(b"\0" * before + raw + b"\0\0").decode()
        own = text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        if len(own) >= _SHORTEST_PIECE:
            yield own
            yield own.replace("+", "-").replace("/", "_")


def cause(error: BaseException) -> str:
    """Return why a request got no answer, such as "NewConnectionError: Connection refused".

    Only the operating system's message is used: those of the libraries contain URLs and header values.
    """
    chain = list(error_chain(error))
    message = next((e.strerror for e in reversed(chain) if isinstance(e, OSError) and e.strerror), "")
    names = [type(e).__name__ for e in chain if type(e).__name__ not in {"MaxRetryError", "ConnectionError"}]
    name = names[0] if names else type(error).__name__
    return f"{name}: {shown(message)}" if message else name


def error_chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that caused it, by any of the ways in which the libraries record them."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = _cause_of(error)


def _cause_of(error: BaseException) -> BaseException | None:
    candidates = (*error.args, getattr(error, "reason", None), error.__cause__)
    recorded = next((each for each in candidates if isinstance(each, BaseException)), None)
    return recorded or (None if error.__suppress_context__ else error.__context__)
