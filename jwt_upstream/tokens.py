"""Token pairs, and the forms in which servers state expiries and lifetimes; knows no server and no database."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, KeysView, Mapping
from dataclasses import InitVar, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from traceback import clear_frames
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Self, TypeVar

import jwt
from django.conf import settings
from django.utils import timezone
from django.utils.crypto import salted_hmac

__all__ = [
    "AccessToken",
    "TokenPair",
    "fingerprint",
]

# 100 years. Anything longer is a bug or means "for ever", and datetime arithmetic overflows at the year 9999.
_MAX_LIFETIME_SECONDS = 36500 * 86400.0
_MAX_EPOCH_SECONDS = 1e11  # in the year 5138
#: No token is issued for less.
_NEAR_SECONDS = 1.0
#: Web servers take 8 to 16 KiB of headers (Apache, nginx, Node.js), so a longer token could never be sent.
_MAX_CHARACTERS = 16 * 1024
#: Of all the values together that are stored with a pair.
_MAX_ANSWER_CHARACTERS = 64 * 1024
_FINGERPRINT_DIGITS = 12
_VISIBLE = re.compile(r"[\x21-\x7e]*", re.ASCII)


if TYPE_CHECKING:
    T = TypeVar("T")
    #: A field of a dataclass that is given, read and replaced as any other, but not found by what expands dataclasses:
    #: ``asdict()``, ``vars()``, JSON loggers, pydantic. A base class has a slot for it, and its default, without which
    #: ``replace()`` would want it, is deleted from the class afterwards, as it would hide the slot.
    Unshown = Annotated[T, "in a slot"]
else:
    Unshown = InitVar


# A mapping to the type checker, since methods of backends are given one or the other. Three methods return more than
# Mapping's, whose views would show the values: hence their "type: ignore".
if TYPE_CHECKING:
    _ReadLikeADict = Mapping[str, str]
else:
    _ReadLikeADict = object


def fingerprint(token: str) -> str:
    """Return 12 hex digits that identify a token in logs, events and the admin; "" for no token.

    They are made with the first encryption key, without which not even a short token can be guessed from them. So they
    change when that key does.
    """
    return next(fingerprints(token), "")


def fingerprints(token: str) -> Iterator[str]:
    """Yield the fingerprint by each key, for comparison with one that was stored with another first key."""
    keys = [
        *getattr(settings, "JWT_UPSTREAM_ENCRYPTION_KEYS", ()),
        settings.SECRET_KEY,
        *settings.SECRET_KEY_FALLBACKS,
    ]
    for key in keys if token else ():
        yield salted_hmac("jwt_upstream.fingerprint", token, key, algorithm="sha256").hexdigest()[:_FINGERPRINT_DIGITS]


class OwnCopy:
    """Is its own copy, as what nobody changes may be, so that what contains it can be copied though not pickled."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


class Secrets(OwnCopy, _ReadLikeADict):
    """Passwords, tokens and keys by name: read like a dict, but to an error reporter, which expands every dict, none.

    Can't be pickled, is its own copy, and is equal to itself alone.
    """

    __slots__ = ("__values",)

    def __init__(self, values: Mapping[str, str] | None = None, /, **more: str) -> None:
        self.__values = {**(values or {}), **more}

    def __getitem__(self, name: str) -> str:
        return self.__values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.__values

    def __iter__(self) -> Iterator[str]:
        return iter(self.__values)

    def __len__(self) -> int:
        return len(self.__values)

    def keys(self) -> KeysView[str]:
        """Return the names."""
        return self.__values.keys()

    def values(self) -> list[str]:  # type: ignore[override]
        """Return the secrets themselves."""
        return list(self.__values.values())

    def items(self) -> list[tuple[str, str]]:  # type: ignore[override]
        """Return the names, each with its secret."""
        return list(self.__values.items())

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        """Return a secret, or the default if there is none of that name."""
        return self.__values.get(name, default)

    @classmethod
    def from_json(cls, text: str) -> Secrets:
        """Return what ``as_json`` returned."""
        return cls(json.loads(text) if text else {})

    def as_json(self) -> str:
        """Return them as JSON, to be encrypted; "" for none."""
        return json.dumps(self.__values) if self.__values else ""

    def __repr__(self) -> str:
        return f"<Secrets: {', '.join(self.__values)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("Secrets can't be pickled")


#: No secrets at all.
NOTHING = Secrets()


class _Tokens(OwnCopy):
    __slots__ = ("access", "refresh")


@dataclass(frozen=True, init=False, eq=False)
class TokenPair(_Tokens):
    """An access token, its refresh token ("" for none), and the expiry of each as an aware datetime (None: unknown).

    ``answer`` has what else came with the tokens and calls are sent with, by name: "base_url" is the address of the
    API, "answer.organization.id" the value of a placeholder of that name. Two pairs with the same tokens are equal.

    Surrounding white space is removed. Raises ValueError, without showing the token, for characters that an HTTP
    header can't carry and for more than 16 KiB. Neither the repr nor ``dataclasses.asdict()`` shows a token, and
    pickling raises TypeError; ``dataclasses.replace()`` works.
    """

    access: Unshown[str] = ""
    refresh: Unshown[str] = ""
    access_expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    answer: Secrets = field(default=NOTHING, repr=False)

    # Not generated by the dataclass, since error reports would show its arguments.
    def __init__(
        self,
        access: str,
        refresh: str = "",
        access_expires_at: datetime | None = None,
        refresh_expires_at: datetime | None = None,
        answer: Mapping[str, str] = NOTHING,
    ) -> None:
        try:
            object.__setattr__(self, "access", _clean("access", access))
            object.__setattr__(self, "refresh", _clean("refresh", refresh))
            object.__setattr__(self, "access_expires_at", _aware("access_expires_at", access_expires_at))
            object.__setattr__(self, "refresh_expires_at", _aware("refresh_expires_at", refresh_expires_at))
            object.__setattr__(self, "answer", _values(answer))
        except BaseException as error:
            access, refresh, answer = "", "", NOTHING  # as ``tracebacks`` does, which may not be imported here
            clear_frames(error.__traceback__)
            raise

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenPair) and self._compared == other._compared

    def __hash__(self) -> int:
        return hash(self._compared)

    @property
    def _compared(self) -> tuple[Any, ...]:
        return self.access, self.refresh, self.access_expires_at, self.refresh_expires_at

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TokenPair holds secrets and can't be pickled; store it with UpstreamClient.adopt()")

    @property
    def fingerprint(self) -> str:
        """The fingerprint of both tokens together, which changes when either is replaced."""
        return fingerprint(f"{self.access} {self.refresh}")

    def has_fingerprint(self, stored: str) -> bool:
        """Tell whether a stored fingerprint, made with whichever of the keys, is that of both tokens together."""
        return stored in fingerprints(f"{self.access} {self.refresh}")

    def with_credible_expiry(self, now: datetime) -> TokenPair:
        """Drop the expiry of an access token, issued just now, that is said to have expired or to expire at once.

        A server's clock that is behind, a local time without its zone, nonsense: the expiry is unknown then, and a 401
        will tell.
        """
        expires_at = self.access_expires_at
        if expires_at and expires_at <= now + timedelta(seconds=_NEAR_SECONDS):
            return replace(self, access_expires_at=None)
        return self

    def with_claims(self) -> TokenPair:
        """Return the pair with unknown expiries filled in from the exp claims of tokens that are JWTs."""
        return replace(
            self,
            access_expires_at=self.access_expires_at or claimed_expiry(self.access),
            refresh_expires_at=self.refresh_expires_at or claimed_expiry(self.refresh),
        )


del TokenPair.access, TokenPair.refresh


class AccessToken(OwnCopy):
    """An access token that was handed out by ``UpstreamClient.token()``, and its expiry (None: unknown).

    It is not a string, so that it is shown nowhere by accident: what speaks to the upstream is given ``access``. Can't
    be pickled, and is its own copy.
    """

    __slots__ = ("access", "expires_at")

    def __init__(self, access: str, expires_at: datetime | None = None) -> None:
        self.access = access
        self.expires_at = expires_at

    def __repr__(self) -> str:
        return f"AccessToken(expires_at={self.expires_at!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AccessToken is a secret and can't be pickled; ask UpstreamClient.token() where it is used")


def _clean(name: str, token: object) -> str:
    if not isinstance(token, str):
        raise ValueError(f"{name} token must be a string, not {type(token).__name__}")
    token = token.strip()
    if len(token) > _MAX_CHARACTERS:
        raise ValueError(
            f"{name} token has {len(token)} characters, more than the {_MAX_CHARACTERS} that are accepted"
        )
    if not _VISIBLE.fullmatch(token):
        raise ValueError(f"{name} token has a character that an HTTP header can't carry")
    return token


def _values(answer: Mapping[str, str]) -> Secrets:
    values = answer if isinstance(answer, Secrets) else Secrets(answer)
    if not all(isinstance(value, str) for value in values.values()):
        raise ValueError("the values of an answer must be strings")
    if sum(map(len, values.values())) > _MAX_ANSWER_CHARACTERS:
        raise ValueError(f"the values of an answer have more than {_MAX_ANSWER_CHARACTERS} characters")
    return values


def _aware(name: str, moment: Any) -> datetime | None:
    if moment is not None and not (isinstance(moment, datetime) and timezone.is_aware(moment)):
        raise ValueError(f"{name} must be an aware datetime (django.utils.timezone.now() makes one)")
    return moment


def claims(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, unverified; an empty dict for any other token."""
    try:
        claimed: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return {}
    return claimed


def claimed_expiry(token: str, now: datetime | None = None) -> datetime | None:
    """Return the expiry that a JWT claims, unverified; None for a token without one.

    With ``now``, when the token was issued by *our* clock, the expiry is ``now`` plus the lifetime (exp - iat), so
    that it doesn't matter if the server's clock is off.
    """
    claimed = claims(token)
    expires, issued = _number(claimed.get("exp")), _number(claimed.get("iat"))
    if expires is None:
        return None
    if now is not None and issued is not None and expires > issued:
        return expiry_after(expires - issued, now)
    return expiry_at(expires)


def expiry_after(lifetime: Any, now: datetime, unit: float = 1.0) -> datetime | None:
    """Return the expiry after a lifetime (a number or digits; ``unit`` in seconds); None for 0 and for nonsense."""
    number = _number(lifetime)
    if number is None or number <= 0:
        return None
    return now + timedelta(seconds=min(number * unit, _MAX_LIFETIME_SECONDS))


def expiry_at(moment: Any) -> datetime | None:
    """Return an expiry given as epoch seconds, epoch milliseconds or an ISO 8601 text; None for nonsense."""
    number = _number(moment)
    if number is None:
        number = _iso(moment)
    elif number > _MAX_EPOCH_SECONDS:  # as seconds this would be after the year 5138, so it is milliseconds
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
