"""The tokens of one upstream: families that rotate, and are revoked when a spent one comes back."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.cast import Site
from tests.chaos.logs import fingerprint

_LOCKED = {"message": "User account is locked."}
_INVALID = {"detail": "Token is invalid or expired", "code": "token_not_valid"}


@dataclass
class Answer:
    """What is answered, and what is logged of it."""

    status: int
    body: dict[str, Any]
    told: dict[str, Any] = field(default_factory=dict)


@dataclass
class Family:
    """All tokens since one login."""

    user: str
    current: str = ""
    spent: set[str] = field(default_factory=set)
    ends: dict[str, float] = field(default_factory=dict)
    is_revoked: bool = False


class Tokens:
    """Issues pairs, takes refresh tokens and knows which access tokens are good; safe to use by several threads."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.locked: set[str] = set()
        self._families: dict[str, Family] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def log_in(self, user: str) -> Answer:
        """Begin a new family; a login ends no other."""
        with self._lock:
            if not user or user in self.locked:
                is_locked = user in self.locked
                outcome = "locked" if is_locked else "wrong password"
                return Answer(401, _LOCKED if is_locked else _INVALID, {"user": user, "outcome": outcome})
            return self._issue(Family(user))

    def refresh(self, token: str) -> Answer:
        """Rotate; one that was spent before revokes its family where there is rotation."""
        with self._lock:
            family = self._families.get(token)
            if family is None:
                return Answer(401, _INVALID, {"user": "", "outcome": "unknown"})
            told: dict[str, Any] = {"user": family.user}
            if family.user in self.locked:
                return Answer(401, _LOCKED, {**told, "outcome": "locked"})
            is_reuse = self.site.rotates and token in family.spent
            if is_reuse or family.is_revoked:
                family.is_revoked = True
                return Answer(401, _INVALID, {**told, "outcome": "reuse" if is_reuse else "revoked"})
            family.spent.add(token)
            return self._issue(family)

    def call(self, token: str) -> Answer:
        """Answer a call; the caller adds what it wants to say in a good answer."""
        with self._lock:
            family = self._families.get(token)
            user = family.user if family else ""
            if family is None or family.is_revoked or time.monotonic() > family.ends.get(token, 0.0):
                return Answer(401, _INVALID, {"user": user})
            if user in self.locked:
                return Answer(401, _LOCKED, {"user": user})
            return Answer(200, {}, {"user": user})

    def expire(self) -> None:
        """End every access token at once."""
        with self._lock:
            for family in self._families.values():
                family.ends.clear()

    def set_locked(self, user: str, is_locked: bool) -> None:
        """Lock a user, or unlock it."""
        with self._lock:
            if is_locked:
                self.locked.add(user)
            else:
                self.locked.discard(user)

    def _issue(self, family: Family) -> Answer:
        number = next(self._numbers)
        access, refresh = (f"{self.site.alias}-{family.user}-{kind}-{number}" for kind in ("access", "refresh"))
        family.current = refresh
        family.ends = {token: end for token, end in family.ends.items() if end > time.monotonic()}
        family.ends[access] = time.monotonic() + self.site.lasts
        self._families[access] = self._families[refresh] = family
        body: dict[str, Any] = {"access_token" if self.site.is_machine else "access": access}
        if not self.site.is_machine:
            body["refresh"] = refresh
        if self.site.says_expiry:
            body["expires_in"] = self.site.lasts
        told = {"user": family.user, "access": fingerprint(access), "refresh": fingerprint(body.get("refresh", ""))}
        return Answer(200, body, {**told, "outcome": "ok"})
