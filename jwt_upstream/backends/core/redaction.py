"""Redaction: texts about failures that may be stored and shown, without secrets, URLs and stacks."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator

# 25 characters of the token alphabet in a row are not a word in any language that servers use, unless they are an
# error code such as INVALID_LOGIN_CREDENTIALS.
_RUN = r"[\w.~+/=-]"
_CODE = rf"([A-Z]+(_[A-Z]+)+|[a-z]+(_[a-z]+)+)(?!{_RUN})"
_TOKENLIKE = re.compile(rf"(?<!{_RUN})(?!{_CODE}){_RUN}{{25,}}", re.ASCII)
_MAX_CHARACTERS = 200
#: How much of a long text is searched for tokens, and what a token that goes beyond consists of.
_MAX_SEARCHED = 16 * 1024
_RUN_CHARACTERS = f"{string.ascii_letters}{string.digits}_.~+/=-"


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text with "[…]" in place of the given secrets and of anything else that looks like a token.

    A very long text is cut, never within a token.
    """
    for secret in sorted(filter(None, map(str, secrets)), key=len, reverse=True):
        text = text.replace(secret, "[…]")
    if len(text) > _MAX_SEARCHED:
        text = text[:_MAX_SEARCHED].rstrip(_RUN_CHARACTERS)
    return _TOKENLIKE.sub("[…]", text)


def shown(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text of an upstream as one masked line of at most 200 characters, which any database can store."""
    # Masked before it is cut, since the beginning of a token may not look like one.
    text = masked(text, secrets)[:_MAX_CHARACTERS]
    # No database stores a lone surrogate, and PostgreSQL stores no NUL.
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


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
