"""What a placeholder may stand for that nobody is asked for: the time, random values, digests and encodings."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import partial

from jwt_upstream import clock

#: The names of times, which may be followed by a distance such as ``+7d``.
TIMES = ("now", "timestamp", "timestamp_ms")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_TIME = re.compile(r"(?P<name>[a-z_]+)((?P<distance>[+-]\d{1,6})(?P<unit>[smhd]))?", re.ASCII)
_RANDOM: Mapping[str, Callable[[], str]] = {
    "uuid": lambda: str(uuid.uuid4()),
    "nonce": lambda: secrets.token_hex(16),
}
#: The placeholders that stand for a value of their own.
MADE = (*TIMES, *_RANDOM)
_current: ContextVar[tuple[datetime, dict[str, str]] | None] = ContextVar("jwt_upstream_made_values", default=None)


def _new_values() -> tuple[datetime, dict[str, str]]:
    return clock.now().astimezone(UTC), {name: make() for name, make in _RANDOM.items()}


@contextmanager
def same_values() -> Iterator[None]:
    """Have all placeholders that are filled in meanwhile, those of one request, stand for the same time and values."""
    token = _current.set(_new_values())
    try:
        yield
    finally:
        _current.reset(token)


def is_reserved(name: str) -> bool:
    """Tell whether a name is that of a time, of a random value or of a function."""
    return name in MADE or name in FUNCTIONS


def is_time(text: str) -> bool:
    """Tell whether a text is the name of a time, with or without a distance."""
    match = _TIME.fullmatch(text)
    return match is not None and match["name"] in TIMES


def made(text: str, layout: str) -> str:
    """Return the value of a placeholder of this module; ``layout`` is a time's, as ``strftime`` takes it."""
    moment, random = _current.get() or _new_values()
    if (match := _TIME.fullmatch(text)) is None or text in random:
        return random[text]
    if match["distance"]:
        moment += timedelta(**{_UNITS[match["unit"]]: int(match["distance"])})
    if match["name"] == "now":
        return moment.strftime(layout or "%Y-%m-%dT%H:%M:%SZ")
    return str(int(moment.timestamp() * (1000 if match["name"] == "timestamp_ms" else 1)))


# -- functions


def _hex(digest: bytes) -> str:
    return digest.hex()


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()


def _digest(name: str, spelt: Callable[[bytes], str], text: str) -> str:
    return spelt(hashlib.new(name, text.encode(), usedforsecurity=False).digest())


def _mac(name: str, spelt: Callable[[bytes], str], key: str, text: str) -> str:
    return spelt(hmac.new(key.encode(), text.encode(), name).digest())


#: By name how many arguments a function takes, and what it makes of them. Some servers still want MD5 and SHA-1.
FUNCTIONS: Mapping[str, tuple[int, Callable[..., str]]] = {
    "base64": (1, lambda text: _base64(text.encode())),
    "base64url": (1, lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("=")),
    **{
        f"{prefix}{name}{suffix}": (arguments, partial(function, name, spelt))
        for name in ("md5", "sha1", "sha256", "sha512")
        for suffix, spelt in {"": _hex, "_base64": _base64}.items()
        for prefix, arguments, function in (("", 1, _digest), ("hmac_", 2, _mac))
    },
}
