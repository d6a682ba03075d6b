"""What an upstream is sent that proves who we are by a signature: the keys, and the requests that need them."""

from __future__ import annotations

from .keys import ALGORITHMS, SigningKey, Unsignable
from .signed_requests import SignedRequests

__all__ = ["ALGORITHMS", "SignedRequests", "SigningKey", "Unsignable"]
