"""Columns which keep secrets encrypted and names exact; knows keys, and nothing of what is kept."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import FieldError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Lookup
from django.db.models.lookups import Exact
from django.db.models.query_utils import DeferredAttribute

__all__ = [
    "DecryptionError",
    "Encrypted",
    "EncryptedTextField",
    "ExactCharField",
]

if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
    CharField = models.CharField[Any, Any]
else:
    TextField, CharField = models.TextField, models.CharField


class DecryptionError(Exception):
    """No configured key opens this value; it is never sent upstream and never taken for plain text."""


def configured_keys() -> Sequence[str]:
    """Return JWT_UPSTREAM_ENCRYPTION_KEYS as written: the first key encrypts, all of them decrypt."""
    keys: Sequence[str] = getattr(settings, "JWT_UPSTREAM_ENCRYPTION_KEYS", ())
    return keys


def keys() -> tuple[str, ...]:
    """Return the Fernet keys in use: the configured ones, else keys derived from SECRET_KEY and its fallbacks."""
    return tuple(configured_keys()) or tuple(map(_derived, (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)))


@lru_cache(maxsize=8)
def _derived(secret: str) -> str:
    key = HKDF(hashes.SHA256(), 32, None, b"jwt_upstream/fields/v1").derive(secret.encode())
    return base64.urlsafe_b64encode(key).decode()


@lru_cache(maxsize=2)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


class Encrypted:
    """A secret as the database has it; only ``open`` shows it, so rows may be printed, pickled and compared."""

    __slots__ = ("ciphertext",)

    def __init__(self, ciphertext: str) -> None:
        self.ciphertext = ciphertext

    @classmethod
    def seal(cls, plain: str) -> Encrypted:
        """Encrypt with the first key; the empty string stays empty."""
        return cls(_fernet(keys()).encrypt(plain.encode()).decode() if plain else "")

    def open(self) -> str:
        """Return the secret; raises DecryptionError if no key opens it."""
        try:
            return _fernet(keys()).decrypt(self.ciphertext).decode() if self.ciphertext else ""
        except InvalidToken:
            raise DecryptionError("no key in JWT_UPSTREAM_ENCRYPTION_KEYS opens this value") from None

    def __bool__(self) -> bool:
        return bool(self.ciphertext)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Encrypted) and other.ciphertext == self.ciphertext

    def __hash__(self) -> int:
        return hash(self.ciphertext)

    def __repr__(self) -> str:
        return "<Encrypted>" if self else "<Encrypted: empty>"


class _Sealed(DeferredAttribute):
    """Encrypts what is assigned, so that no plain secret ever lies in a model instance."""

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value if isinstance(value, Encrypted) else Encrypted.seal(value or "")


class EncryptedTextField(TextField):
    """Text that is encrypted at rest and in the instance; its Python value is an ``Encrypted``.

    Can be looked up by the very ciphertext that was read (compare and swap) and by nothing else: the same secret
    encrypts differently each time.
    """

    descriptor_class = _Sealed

    def from_db_value(self, value: str | None, *_: Any) -> Encrypted:
        """Wrap what the database has, without opening it."""
        return Encrypted(value or "")

    def to_python(self, value: Any) -> Encrypted:
        """Take a fixture's text for what ``dumpdata`` wrote, which is ciphertext."""
        return value if isinstance(value, Encrypted) else Encrypted(value or "")

    def get_prep_value(self, value: Any) -> Any:
        """Return ciphertext; a plain string (``QuerySet.update``) is sealed."""
        if isinstance(value, str):
            value = Encrypted.seal(value)
        return value.ciphertext if isinstance(value, Encrypted) else value

    def value_to_string(self, obj: models.Model) -> str:
        """Return ciphertext, so that ``dumpdata`` shows no token."""
        return str(self.value_from_object(obj).ciphertext)

    def get_lookup(self, lookup_name: str) -> type[Lookup] | None:
        """Refuse every look-up that could never match."""
        return _SameCiphertext if lookup_name == "exact" else None


class _SameCiphertext(Exact):
    def get_prep_lookup(self) -> Any:
        if not isinstance(self.rhs, Encrypted):
            raise FieldError("an encrypted field can only be compared with an Encrypted that was read from it")
        return super().get_prep_lookup()


class ExactCharField(CharField):
    """Text of which "a", "A" and "a " are three values on every database.

    MySQL and MariaDB fold case and trailing spaces by default: the account "Ann" would be given the token of "ann".
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        """Ask for a binary collation where the database's own isn't."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            is_mariadb = getattr(connection, "mysql_is_mariadb", False)
            parameters["collation"] = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return parameters
