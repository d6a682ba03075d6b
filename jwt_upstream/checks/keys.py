"""The keys that encrypt tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cryptography.fernet import Fernet
from django.core.checks import CheckMessage, Error, Warning

from jwt_upstream.fields import configured_keys
from jwt_upstream.tracebacks import without_variables

_NEW_KEY = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


@without_variables
def check_keys(**_: Any) -> list[CheckMessage]:
    """Warn, at deployment, that tokens can't be decrypted any more once SECRET_KEY is lost."""
    if configured_keys():
        return []
    hint = f"Set it to a list of keys, the first of which encrypts, and log in again. Create a key with: {_NEW_KEY}"
    text = "JWT_UPSTREAM_ENCRYPTION_KEYS is not set: tokens are encrypted with a key derived from SECRET_KEY."
    return [Warning(text, hint=hint, id="jwt_upstream.W003")]


def keys() -> Iterator[CheckMessage]:
    """Yield the problems of JWT_UPSTREAM_ENCRYPTION_KEYS; shows none of them."""
    configured = configured_keys()
    if not isinstance(configured, list | tuple) or not all(isinstance(key, str | bytes) for key in configured):
        hint = 'Write ["…"], or read the environment variable with env.list().'
        yield Error("JWT_UPSTREAM_ENCRYPTION_KEYS must be a list of keys.", hint=hint, id="jwt_upstream.E006")
        return
    for number, key in enumerate(configured, start=1):
        try:
            Fernet(key)
        except ValueError:
            text = (
                f"JWT_UPSTREAM_ENCRYPTION_KEYS: key {number} is not a valid Fernet key (32 bytes in URL-safe base64)."
            )
            yield Error(text, hint=f"Create a key with: {_NEW_KEY}", id="jwt_upstream.E006")
