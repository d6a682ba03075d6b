"""Authorization codes (RFC 6749, section 4.1) with proof keys (RFC 7636): each good once, for a minute."""

from __future__ import annotations

import secrets
import threading
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

_SECONDS = 60.0


@dataclass(frozen=True)
class Grant:
    """What a person agreed to, and who may have the tokens for it."""

    username: str
    client_id: str
    redirect_uri: str
    code_challenge: str
    expires_at: float


class Codes:
    """The codes of this one process, for any number of threads."""

    def __init__(self) -> None:
        self._grants: dict[str, Grant] = {}
        self._lock = threading.Lock()

    def issue(self, username: str, client_id: str, redirect_uri: str, code_challenge: str) -> str:
        """Return a code for what a person agreed to."""
        code = secrets.token_urlsafe(32)
        grant = Grant(username, client_id, redirect_uri, code_challenge, time.monotonic() + _SECONDS)
        with self._lock:
            self._grants[code] = grant
        return code

    def redeem(self, code: str, client_id: str, redirect_uri: str, code_verifier: str) -> str | None:
        """Return whose tokens the code is good for, and forget it; None if it isn't this client's, or has expired."""
        with self._lock:
            grant = self._grants.pop(code, None)
        if grant is None or time.monotonic() > grant.expires_at:
            return None
        is_same = (client_id, redirect_uri) == (grant.client_id, grant.redirect_uri)
        is_proven = secrets.compare_digest(challenge(code_verifier).encode(), grant.code_challenge.encode())
        return grant.username if is_same and is_proven else None


def challenge(code_verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636, section 4.2)."""
    return urlsafe_b64encode(sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()


codes = Codes()
