"""Model fields that encrypt their values or compare them exactly; knows the keys, and nothing about the values."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
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
from django.utils import timezone

__all__ = [
    "AwareDateTimeField",
    "DecryptionError",
    "Encrypted",
    "EncryptedTextField",
    "ExactCharField",
]

if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
    CharField = models.CharField[Any, Any]
    DateTimeField = models.DateTimeField[Any, Any]
else:
    TextField, CharField, DateTimeField = models.TextField, models.CharField, models.DateTimeField


class DecryptionError(Exception):
    """No configured key decrypts this value, which is never sent upstream and never treated as plain text."""


def configured_keys() -> Sequence[str]:
    """Return JWT_UPSTREAM_ENCRYPTION_KEYS unchecked; the first key encrypts, and all of them decrypt."""
    keys: Sequence[str] = getattr(settings, "JWT_UPSTREAM_ENCRYPTION_KEYS", ())
    return keys


def keys() -> tuple[str, ...]:
    """Return the Fernet keys in use: the configured ones, or keys derived from SECRET_KEY and SECRET_KEY_FALLBACKS."""
    return tuple(configured_keys()) or tuple(map(_derived, (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)))


@lru_cache(maxsize=8)
def _derived(secret: str) -> str:
    key = HKDF(hashes.SHA256(), 32, None, b"jwt_upstream/fields/v1").derive(secret.encode())
    return base64.urlsafe_b64encode(key).decode()


@lru_cache(maxsize=2)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


class Encrypted:
    """A secret in its encrypted form, which may be printed, pickled and compared; only ``open`` decrypts it."""

    __slots__ = ("ciphertext",)

    def __init__(self, ciphertext: str) -> None:
        self.ciphertext = ciphertext

    @classmethod
    def seal(cls, plain: str) -> Encrypted:
        """Encrypt a text with the first key; an empty text stays empty."""
        return cls(_fernet(keys()).encrypt(plain.encode()).decode() if plain else "")

    def open(self) -> str:
        """Return the decrypted secret; raises DecryptionError if no configured key fits."""
        try:
            return _fernet(keys()).decrypt(self.ciphertext).decode() if self.ciphertext else ""
        except InvalidToken:
            raise DecryptionError("no configured encryption key decrypts this value") from None

    def __bool__(self) -> bool:
        return bool(self.ciphertext)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Encrypted) and other.ciphertext == self.ciphertext

    def __hash__(self) -> int:
        return hash(self.ciphertext)

    def __repr__(self) -> str:
        return "<Encrypted>" if self else "<Encrypted: empty>"


class _Sealed(DeferredAttribute):
    """Encrypts what is assigned, so that a model instance never holds a secret in plain text."""

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value if isinstance(value, Encrypted) else Encrypted.seal(value or "")


class EncryptedTextField(TextField):
    """A text that is encrypted in the database and in model instances, where its value is an ``Encrypted``.

    The only lookup is by the ciphertext that was read, for compare-and-swap: the same secret has another ciphertext
    each time it is encrypted.
    """

    descriptor_class = _Sealed

    def from_db_value(self, value: str | None, *_: Any) -> Encrypted:
        """Wrap the ciphertext from the database, without decrypting it."""
        return Encrypted(value or "")

    def to_python(self, value: Any) -> Encrypted:
        """Treat the text in a fixture as ciphertext, which is what ``dumpdata`` writes."""
        return value if isinstance(value, Encrypted) else Encrypted(value or "")

    def get_prep_value(self, value: Any) -> Any:
        """Return the ciphertext; a plain string, as in ``QuerySet.update``, is encrypted."""
        if isinstance(value, str):
            value = Encrypted.seal(value)
        return value.ciphertext if isinstance(value, Encrypted) else value

    def value_to_string(self, obj: models.Model) -> str:
        """Return the ciphertext, so that ``dumpdata`` shows no token."""
        return str(self.value_from_object(obj).ciphertext)

    def get_lookup(self, lookup_name: str) -> type[Lookup] | None:
        """Allow only the lookup by ciphertext, since no other one could match."""
        return _SameCiphertext if lookup_name == "exact" else None


class _SameCiphertext(Exact):
    def get_prep_lookup(self) -> Any:
        if not isinstance(self.rhs, Encrypted):
            raise FieldError("an encrypted field can only be looked up by an Encrypted that was read from it")
        return super().get_prep_lookup()


class ExactCharField(CharField):
    """A text for which "a", "A" and "a " are different values on every database.

    By default MySQL and MariaDB ignore case and trailing spaces: the account "Ann" would get the token of "ann".
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> dict[str, Any]:
        """Use a binary collation on databases whose default isn't."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            is_mariadb = getattr(connection, "mysql_is_mariadb", False)
            parameters["collation"] = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return parameters


class AwareDateTimeField(DateTimeField):
    """A moment that is aware and in UTC in Python, whatever USE_TZ says, and the same moment in the database.

    Hosts compare these moments with each other, so they must not depend on the time zone of a project, nor be
    ambiguous when summer time ends.
    """

    def from_db_value(self, value: datetime | None, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        """Return an aware moment; without USE_TZ Django gives a naive one."""
        if value is None or timezone.is_aware(value):
            return value
        # PostgreSQL stores an instant and shows it in the session's zone; in the others we store UTC (below).
        is_instant = connection.vendor == "postgresql"
        return timezone.make_aware(value, timezone.get_default_timezone() if is_instant else UTC)

    def to_python(self, value: Any) -> Any:
        """Return an aware moment; a naive one is taken to be in the project's time zone."""
        return _aware(super().to_python(value))

    def get_prep_value(self, value: Any) -> Any:
        """Do the same for a look-up or an update."""
        return _aware(value) if isinstance(value, datetime) else super().get_prep_value(value)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        """Return what the driver takes: without USE_TZ SQLite and MySQL refuse an aware moment."""
        value = value if prepared else self.get_prep_value(value)
        if isinstance(value, datetime) and not settings.USE_TZ and connection.vendor != "postgresql":
            value = timezone.make_naive(value, UTC)
        return connection.ops.adapt_datetimefield_value(value)


def _aware(value: Any) -> Any:
    if isinstance(value, datetime) and timezone.is_naive(value):
        return timezone.make_aware(value, timezone.get_default_timezone())
    return value
