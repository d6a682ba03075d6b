"""The token pair, and lifetimes in the many forms in which servers state them; knows no server and no database."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import jwt
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

__all__ = [
    "TokenPair",
    "fingerprint",
]

# Any longer lifetime is a bug or "for ever", and near year 9999 datetime arithmetic overflows.
_MAX_LIFETIME_SECONDS = 36500 * 86400.0
_MAX_EPOCH_SECONDS = 1e11  # in the year 5138
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

    # Written out, since error reports show the variables of the one that dataclasses generate.
    @sensitive_variables()
    def __init__(
        self,
        access: str,
        refresh: str = "",
        access_expires_at: datetime | None = None,
        refresh_expires_at: datetime | None = None,
    ) -> None:
        object.__setattr__(self, "access", _clean("access", access))
        object.__setattr__(self, "refresh", _clean("refresh", refresh))
        object.__setattr__(self, "access_expires_at", _aware("access_expires_at", access_expires_at))
        object.__setattr__(self, "refresh_expires_at", _aware("refresh_expires_at", refresh_expires_at))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TokenPair holds secrets and is not pickled; store it with UpstreamClient.adopt()")

    def __copy__(self) -> TokenPair:
        return self

    def __deepcopy__(self, memo: object) -> TokenPair:
        return self

    @property
    def fingerprint(self) -> str:
        """What stands for both tokens together: another one means that either was replaced."""
        return fingerprint(f"{self.access} {self.refresh}")

    def with_claims(self) -> TokenPair:
        """Fill in unknown ends from the tokens' own exp claims, where they are JWTs."""
        return replace(
            self,
            access_expires_at=self.access_expires_at or claimed_expiry(self.access),
            refresh_expires_at=self.refresh_expires_at or claimed_expiry(self.refresh),
        )


@sensitive_variables()
def _clean(name: str, token: object) -> str:
    if not isinstance(token, str):
        raise ValueError(f"{name} token must be a string, not {type(token).__name__}")
    token = token.strip()
    if not _VISIBLE.fullmatch(token):
        raise ValueError(f"{name} token has a character that an HTTP header can't carry")
    return token


def _aware(name: str, moment: Any) -> datetime | None:
    if moment is not None and not (isinstance(moment, datetime) and timezone.is_aware(moment)):
        raise ValueError(f"{name} must be an aware datetime (django.utils.timezone.now() makes one)")
    return moment


@sensitive_variables()
def claims(token: str) -> dict[str, Any]:
    """Return what a JWT says, unverified; nothing for anything which is not a JWT."""
    try:
        said: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return {}
    return said


def claimed_expiry(token: str, now: datetime | None = None) -> datetime | None:
    """Return when a JWT ends by its own claims, unverified; None for anything which is not a JWT with an end.

    With ``now``, the moment it was issued on *our* clock, its lifetime (exp - iat) is counted from then, so that a
    server whose clock differs does no harm.
    """
    said = claims(token)
    end, start = _number(said.get("exp")), _number(said.get("iat"))
    if end is None:
        return None
    if now is not None and start is not None and end > start:
        return expiry_after(end - start, now)
    return expiry_at(end)


def expiry_after(lifetime: Any, now: datetime, unit: float = 1.0) -> datetime | None:
    """Return the end of a lifetime (int, float or digits) in units of that many seconds; None for nonsense and 0."""
    number = _number(lifetime)
    if number is None or number <= 0:
        return None
    return now + timedelta(seconds=min(number * unit, _MAX_LIFETIME_SECONDS))


def expiry_at(moment: Any) -> datetime | None:
    """Return an absolute end, given as epoch seconds or milliseconds or as an ISO 8601 text; None for nonsense."""
    number = _number(moment)
    if number is None:
        number = _iso(moment)
    elif number > _MAX_EPOCH_SECONDS:  # too late for seconds, so these are milliseconds
        number /= 1000
    return datetime.fromtimestamp(number, UTC) if number and 0 < number < _MAX_EPOCH_SECONDS else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _iso(value: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
