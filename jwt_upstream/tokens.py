"""The token pair, and lifetimes in the many forms in which servers state them; knows no server and no database."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import jwt

# Any longer lifetime is a bug or "for ever", and near year 9999 datetime arithmetic overflows.
_LONGEST_SECONDS = 36500 * 86400.0
_VISIBLE = re.compile(r"[\x21-\x7e]*", re.ASCII)


def fingerprint(token: str) -> str:
    """Return 12 hex digits which stand for a token in logs, events and the admin; "" for no token."""
    return hashlib.sha256(token.encode()).hexdigest()[:12] if token else ""


class Secrets(dict[str, str]):
    """A dict whose repr shows no value: what tracebacks, and error reports with local variables, show of it."""

    def __repr__(self) -> str:
        return f"<Secrets: {', '.join(self)}>"


@dataclass(frozen=True)
class TokenPair:
    """An access token, the refresh token that goes with it, and when each ends (aware datetimes, None: unknown).

    Surrounding white space is dropped. Raises ValueError, without showing the token, for characters that no HTTP
    header may carry. Neither its repr nor a pickle shows a token: it refuses to be pickled.
    """

    access: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    access_expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("access", "refresh"):
            object.__setattr__(self, name, _clean(name, getattr(self, name)))
        for name in ("access_expires_at", "refresh_expires_at"):
            moment = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"{name} must be an aware datetime (django.utils.timezone.now() makes one)")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TokenPair holds secrets and is not pickled; store it with UpstreamClient.adopt()")

    @property
    def fingerprint(self) -> str:
        """What stands for both tokens together: another one means that either was replaced."""
        return fingerprint(f"{self.access} {self.refresh}")

    def with_claims(self) -> TokenPair:
        """Fill in unknown ends from the tokens' own exp claims, where they are JWTs."""
        return replace(
            self,
            access_expires_at=self.access_expires_at or claimed_end(self.access),
            refresh_expires_at=self.refresh_expires_at or claimed_end(self.refresh),
        )


def _clean(name: str, token: str) -> str:
    if not isinstance(token, str):
        raise ValueError(f"{name} token must be a string, not {type(token).__name__}")
    token = token.strip()
    match = _VISIBLE.match(token)
    if match is None or match.end() != len(token):
        raise ValueError(f"{name} token has a character that an HTTP header can't carry")
    return token


def claimed_end(token: str, now: datetime | None = None) -> datetime | None:
    """Return when a JWT ends by its own claims, unverified; None for anything which is not a JWT with an end.

    With ``now``, the moment it was issued on *our* clock, its lifetime (exp - iat) is counted from then, so that a
    server whose clock differs does no harm.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return None
    end, start = _number(claims.get("exp")), _number(claims.get("iat"))
    if end is None:
        return None
    if now is not None and start is not None and end > start:
        return end_after(end - start, now)
    return end_at(end)


def end_after(seconds: Any, now: datetime) -> datetime | None:
    """Return the end of a lifetime given in seconds (int, float or digits); None for nonsense and for 0 or less."""
    number = _number(seconds)
    if number is None or number <= 0:
        return None
    return now + timedelta(seconds=min(number, _LONGEST_SECONDS))


def end_at(moment: Any) -> datetime | None:
    """Return an absolute end, given as epoch seconds or milliseconds or as an ISO 8601 text; None for nonsense."""
    number = _number(moment)
    if number is None:
        return _iso(moment)
    if number > 1e11:  # later than the year 5000 in seconds, so these are milliseconds
        number /= 1000
    return datetime.fromtimestamp(number, UTC) if 0 < number < 1e11 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _iso(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
