"""Putting failures into words that are fit to be stored and shown: no secret, no URL, no stack."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# A run of this many characters of the token alphabet is no word of any language that a server speaks to us, unless it
# is an error code: INVALID_LOGIN_CREDENTIALS.
_RUN = r"[\w.~+/=-]"
_CODE = rf"([A-Z]+(_[A-Z]+)+|[a-z]+(_[a-z]+)+)(?!{_RUN})"
_TOKENLIKE = re.compile(rf"(?<!{_RUN})(?!{_CODE}){_RUN}{{25,}}", re.ASCII)
_MAX_CHARACTERS = 200


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text in which the given secrets, and whatever else looks like a token, are "[…]"."""
    for secret in sorted(filter(None, map(str, secrets)), key=len, reverse=True):
        text = text.replace(secret, "[…]")
    return _TOKENLIKE.sub("[…]", text)


def shown(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text of an upstream's on one line, masked and in at most 200 characters, fit for any database."""
    # Masked first: what is left of a token that was cut off does not look like one.
    text = masked(text, secrets)[:_MAX_CHARACTERS]
    # No database stores a lone surrogate, and PostgreSQL no NUL.
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def cause(error: BaseException) -> str:
    """Say in a few words why a request got no answer, such as "NewConnectionError: Connection refused".

    Takes only what the system says of it: other messages hold URLs and header values.
    """
    chain = list(links(error))
    said = next((e.strerror for e in reversed(chain) if isinstance(e, OSError) and e.strerror), "")
    names = [type(e).__name__ for e in chain if type(e).__name__ not in {"MaxRetryError", "ConnectionError"}]
    name = names[0] if names else type(error).__name__
    return f"{name}: {shown(said)}" if said else name


def links(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it, in whatever way the libraries tell."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = _led_to(error)


def _led_to(error: BaseException) -> BaseException | None:
    told = (*error.args, getattr(error, "reason", None), error.__cause__)
    reason = next((each for each in told if isinstance(each, BaseException)), None)
    return reason or (None if error.__suppress_context__ else error.__context__)
