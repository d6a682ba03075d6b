"""Redaction: texts about failures that may be stored and shown, without secrets, URLs and stacks."""

from __future__ import annotations

import html
import re
import string
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from jwt_upstream.formatting import one_line

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
#: A message in JSON that quotes a form that quotes a URL; nobody quotes deeper.
_DEEPEST = 3
#: Of URLs and forms, JSON and JavaScript (two for what is beyond 16 bits), Python's repr, C, HTML.
_ESCAPE = re.compile(
    rb"%(?P<byte>[0-9a-f]{2})"
    rb"|(?P<pair>[\\%]ud[89ab][0-9a-f]{2}[\\%]ud[c-f][0-9a-f]{2})"
    rb"|\\(?-i:U)(?P<long>00(?:0[0-9a-f]|10)[0-9a-f]{4})"
    rb"|[\\%]u(?P<code>[0-9a-f]{4})"
    rb"|\\(?:u\{0{0,8}(?P<braced>10[0-9a-f]{4}|[0-9a-f]{1,5})\}|x(?P<short>[0-9a-f]{2}))"
    rb"|\\(?P<octal>[0-3][0-7]{2})"
    rb"|\\(?P<itself>[\"'/\\])"
    rb"|(?P<entity>&#?\w{1,10};)",
    re.IGNORECASE,
)
#: What Windows makes of each byte, as browsers do, who read the five that it has no character for as in Latin-1.
_WINDOWS = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(256))
#: What may be the value of a header for Basic authentication, however short.
_BASIC = re.compile(rb"\bbasic[\s+:=\"']{1,4}([\w+/-]{2,}={0,2})", re.IGNORECASE)
_CONTROL = re.compile(rb"[\0-\x1f\x7f]")
_URLSAFE = bytes.maketrans(b"-_", b"+/")


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
    return one_line(masked(text, secrets)[:_MAX_CHARACTERS])


def _without(text: str, secrets: Iterable[str]) -> str:
    """Return a text with "[…]" in place of each secret, whatever its form, and of each longer piece of one."""
    is_secret = bytearray(len(text))
    # A secret that looks escaped itself is changed as the text is.
    plain = {level.content for secret in secrets if secret for level in _levels(secret)}
    searched = _pieces({_folded(form) for secret in plain for form in _forms(secret)})
    for level in _levels(text):
        for start, end in _credentials(level.content):
            _mark(is_secret, level, start, end)
        exact = _with_spaces(level.content)
        folded = exact.lower()
        for length, pieces in searched.items():
            content = folded if length >= _SHORTEST_PIECE else exact
            for at in range(len(content) - length + 1):
                if content[at : at + length] in pieces:
                    _mark(is_secret, level, at, at + length)
    return "".join(_MASK if run[0] else text[slice(*run[1])] for run in _runs(is_secret))


def _mark(is_secret: bytearray, level: _Level, start: int, end: int) -> None:
    first, last = level.spans[start][0], level.spans[end - 1][1]
    is_secret[first:last] = b"\1" * (last - first)


def _credentials(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield where users and passwords for Basic authentication are, whose base64 may be too short to be recognized."""
    for header in _BASIC.finditer(content):
        if _is_user_and_password(header[1]):
            yield header.span(1)


def _is_user_and_password(value: bytes) -> bool:
    """Tell credentials from a word, as in "Basic authentication", also where the server has cut them."""
    bits = value.rstrip(b"=").translate(_URLSAFE)
    decoded = b64decode(bits[: len(bits) - (len(bits) % 4 == 1)] + b"==")
    return b":" in decoded and not _CONTROL.search(decoded)


def _forms(secret: bytes) -> Iterator[bytes]:
    """Yield a secret as servers may encode or misread it."""
    text = secret.decode(errors="replace")
    for encoded in {secret, *_encoded(text)}:
        yield encoded
        yield from _in_digits(encoded)
    yield from _misread(text)


def _encoded(text: str) -> set[bytes]:
    """Return a secret in each encoding, its accents in characters of their own or not."""
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    narrow = {composed.encode(name, "replace") for name in ("latin-1", "cp1252", "ascii")}
    return {composed.encode(), decomposed.encode(), *narrow}


def _misread(secret: str) -> Iterator[bytes]:
    """Yield what becomes of a secret where its encoding is taken for another one, or its case is changed."""
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, secret)
        content = text.encode()
        narrow = text.encode("latin-1", "replace").decode(errors="replace")
        windows = "".join(map(_WINDOWS.__getitem__, content))
        yield from map(str.encode, (narrow, windows, content.decode("latin-1"), content.decode("ascii", "replace")))
        other = (text.upper().encode(), text.lower().encode(), text.encode("ascii", "ignore"))
        yield from (each for each in other if len(each) >= _SHORTEST_PIECE)  # shorter ones may be words, or nothing


def _in_digits(secret: bytes) -> Iterator[bytes]:
    """Yield what any base64 contains that contains a secret, such as that of "user:password" (Basic), and its hex."""
    if len(digits := secret.hex().encode()) >= _SHORTEST_PIECE:
        yield digits
    for before in range(3):
        text = b64encode(b"\0" * before + secret + b"\0\0")
        own = text[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        if len(own) >= _SHORTEST_PIECE:
            yield own
            yield own.replace(b"+", b"-").replace(b"/", b"_")


def _with_spaces(content: bytes) -> bytes:
    # In a form a plus sign is a space, and nobody knows what is a form.
    return content.replace(b"+", b" ")


def _folded(form: bytes) -> bytes:
    """Return what is searched for, whatever its case; a short one in another case is more likely a word."""
    form = _with_spaces(form)
    return form.lower() if len(form) >= _SHORTEST_PIECE else form


def _pieces(forms: Iterable[bytes]) -> dict[int, set[bytes]]:
    """Return what is searched for, by its length: every longer piece, and shorter ones that begin or end a secret."""
    pieces: dict[int, set[bytes]] = {}
    for form in forms:
        length = _piece_length(form)
        found = {form[at : at + length] for at in range(len(form) - length + 1)}
        for shorter in range(_SHORTEST_PIECE, length):
            found |= {form[:shorter], form[-shorter:]}
        for piece in found:
            pieces.setdefault(len(piece), set()).add(piece)
    return pieces


def _piece_length(form: bytes) -> int:
    two_thirds = -(-len(form) * 2 // 3)
    return min(len(form), max(_SHORTEST_PIECE, min(two_thirds, _LONGEST_PIECE)))


def _runs(flags: bytearray) -> Iterator[tuple[bool, tuple[int, int]]]:
    for run in re.finditer(b"\0+|\1+", flags):
        yield bool(run[0][0]), run.span()


class _Level(NamedTuple):
    """A text in UTF-8, and for each of its bytes the beginning and end of what it stands for in the original."""

    content: bytes
    spans: list[tuple[int, int]]


def _levels(text: str) -> Iterator[_Level]:
    """Yield a text as it is, then with its escapes undone, then with those that come to light, and so on."""
    level = _as_it_is(text)
    for _ in range(_DEEPEST):
        yield level
        if not _ESCAPE.search(level.content):
            return
        level = _undone(level)
    yield level


def _as_it_is(text: str) -> _Level:
    encoded = [char.encode(errors="replace") for char in text]
    spans = [(at, at + 1) for at, char in enumerate(encoded) for _ in char]
    return _Level(b"".join(encoded), spans)


def _undone(level: _Level) -> _Level:
    content, spans, at = bytearray(), list[tuple[int, int]](), 0
    for escape in _ESCAPE.finditer(level.content):
        start, end = escape.span()
        meant = _meant(escape)
        content += level.content[at:start] + meant
        spans += level.spans[at:start]
        spans += [(level.spans[start][0], level.spans[end - 1][1])] * len(meant)
        at = end
    return _Level(bytes(content + level.content[at:]), spans + level.spans[at:])


def _meant(escape: re.Match[bytes]) -> bytes:
    if escape["byte"]:
        return bytes.fromhex(escape["byte"].decode())
    if escape["itself"]:
        return escape["itself"]
    if escape["entity"]:
        return html.unescape(escape["entity"].decode()).encode(errors="replace")
    if escape["pair"]:
        return bytes.fromhex(re.sub(r"[\\%]u", "", escape["pair"].decode(), flags=re.I)).decode("utf-16-be").encode()
    if escape["octal"]:
        return chr(int(escape["octal"], 8)).encode()
    return chr(int(escape[str(escape.lastgroup)], 16)).encode(errors="replace")


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
