"""Model fields that encrypt their values, by the keys in settings, or compare them exactly."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache, wraps
from hashlib import sha256
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from cryptography.fernet import Fernet, InvalidToken
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
from django.utils.translation import gettext, gettext_noop

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


P = ParamSpec("P")
T = TypeVar("T")


def _cleared(function: Callable[P, T]) -> Callable[P, T]:
    """Have errors show no variables, among which are keys; as ``tracebacks`` does, which may not be imported here."""

    @wraps(function)
    def cleared(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            args, kwargs = (), {}  # type: ignore[assignment]  # this frame is in the traceback as well
            clear_frames(error.__traceback__)
            raise

    return cleared


#: Begins what is bound; no token does, since all of their characters are visible.
_BOUND = b"\x01"
_PLACE_BYTES = 16


class DecryptionError(Exception):
    """No configured key decrypts this value, which is never sent upstream and never treated as plain text."""

    #: What is said of a credential that has such a value.
    reason = gettext_noop("no configured key decrypts the stored tokens")


class Misplaced(DecryptionError):
    """The value was stored for another row or column, and copied here."""

    reason = gettext_noop("the stored tokens are another credential's: somebody copied them in the database")


class Unbound(DecryptionError):
    """The value is bound to no row, and JWT_UPSTREAM_ACCEPT_OLD_VALUES is off."""

    reason = gettext_noop("the stored tokens are bound to no credential, and JWT_UPSTREAM_ACCEPT_OLD_VALUES is off")


def configured_keys() -> Sequence[str]:
    """Fernet keys: the first one encrypts, and all of them decrypt; returned unchecked.

    Without them keys are derived from ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``.

    Example: ``["Zr3V…="]``
    """
    keys: Sequence[str] = getattr(settings, "JWT_UPSTREAM_ENCRYPTION_KEYS", ())
    return keys


def accepts_old_values() -> bool:
    """Whether tokens are read as they were stored before: by a derived key, or bound to no row.

    Example: ``False``
    """
    return bool(getattr(settings, "JWT_UPSTREAM_ACCEPT_OLD_VALUES", True))


def keys() -> tuple[str, ...]:
    """Return the Fernet keys in use, the first of which encrypts.

    They are those configured, then keys derived from SECRET_KEY and SECRET_KEY_FALLBACKS. Where there are configured
    ones, the others only decrypt what was stored before, as long as JWT_UPSTREAM_ACCEPT_OLD_VALUES is set.
    """
    configured = tuple(configured_keys())
    if configured and not accepts_old_values():
        return configured
    return configured + tuple(map(_derived, (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)))


def key_names() -> list[str]:
    """Return where each of the keys in use comes from."""
    numbers = range(1, len(configured_keys()) + 1)
    configured = [gettext("key %(number)d of JWT_UPSTREAM_ENCRYPTION_KEYS") % {"number": each} for each in numbers]
    fallbacks = [f"SECRET_KEY_FALLBACKS[{number}]" for number in range(len(settings.SECRET_KEY_FALLBACKS))]
    derived = [gettext("the key derived from %(name)s") % {"name": name} for name in ("SECRET_KEY", *fallbacks)]
    return (configured + derived)[: len(keys())]


@lru_cache(maxsize=8)
def _derived(secret: str) -> str:
    key = HKDF(hashes.SHA256(), 32, None, b"jwt_upstream/fields/v1").derive(secret.encode())
    return base64.urlsafe_b64encode(key).decode()


@lru_cache(maxsize=8)
def _fernet(key: str) -> Fernet:
    return Fernet(key)


def place(*names: str) -> bytes:
    """Return what stands for a place (a table, a column and the row's names) in the values that are bound to it."""
    # The lengths, so that no two places can be written alike.
    return sha256("".join(f"{len(name)}:{name}" for name in names).encode()).digest()[:_PLACE_BYTES]


class Encrypted:
    """A secret in its encrypted form, which may be printed, pickled and compared; only ``open`` decrypts it.

    ``place`` is where it is stored (see ``place()``), None if that isn't known. A secret that was sealed for one place
    opens nowhere else: whoever copies it by SQL into the row of another upstream doesn't have it sent there.
    """

    __slots__ = ("ciphertext", "place")

    def __init__(self, ciphertext: str, place: bytes | None = None) -> None:
        self.ciphertext = ciphertext
        self.place = place

    @classmethod
    @_cleared
    def seal(cls, plain: str, place: bytes | None = None) -> Encrypted:
        """Encrypt a text with the first key, bound to a place if one is given; an empty text stays empty."""
        bound = plain.encode() if place is None else _BOUND + place + plain.encode()
        return cls(_fernet(keys()[0]).encrypt(bound).decode() if plain else "", place)

    @_cleared
    def open(self) -> str:
        """Return the decrypted secret; raises DecryptionError if no configured key fits, or it belongs elsewhere."""
        if not self.ciphertext:
            return ""
        content = self._decrypted()[1]
        if error := self._problem(content):
            raise error
        return content.removeprefix(_BOUND + (self.place or b"")).decode()

    def _problem(self, content: bytes) -> DecryptionError | None:
        if content.startswith(_BOUND):
            is_here = self.place is not None and content.startswith(_BOUND + self.place)
            return None if is_here else Misplaced("the value was stored for another row or column")
        return None if accepts_old_values() else Unbound("the value is bound to no row")

    def key_number(self) -> int:
        """Return which of the keys in use decrypts it, the first being 0; raises DecryptionError."""
        return self._decrypted()[0]

    def is_bound(self) -> bool:
        """Tell whether it opens in one place only; raises DecryptionError."""
        return self._decrypted()[1].startswith(_BOUND)

    @_cleared
    def _decrypted(self) -> tuple[int, bytes]:
        for number, key in enumerate(keys()):
            try:
                return number, _fernet(key).decrypt(self.ciphertext)
            except InvalidToken:
                continue
        raise DecryptionError("no configured encryption key decrypts this value")

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

    field: EncryptedTextField

    def __set__(self, instance: models.Model, value: Any) -> None:
        if not isinstance(value, Encrypted):
            value = self.field.seal(instance, value or "")
        elif value.place is None and all(name in instance.__dict__ for name in self.field.bound_to):
            # As early as possible: the names may be changed in the instance before the value is used.
            value = Encrypted(value.ciphertext, self.field.place(instance))
        instance.__dict__[self.field.attname] = value

    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if instance is not None and value.place is None:  # the names were deferred
            value = instance.__dict__[self.field.attname] = Encrypted(value.ciphertext, self.field.place(instance))
        return value


class EncryptedTextField(TextField):
    """A text that is encrypted in the database and in model instances, where its value is an ``Encrypted``.

    It opens only in its own column of the row that has the same values in the fields ``bound_to``; a new row is bound
    when it is saved. The only lookup is by the ciphertext that was read, for compare-and-swap: the same secret has
    another ciphertext each time it is encrypted.
    """

    descriptor_class = _Sealed

    def __init__(self, *args: Any, bound_to: Sequence[str] = (), **kwargs: Any) -> None:
        self.bound_to = tuple(bound_to)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Name what migrations need, the fields that a value is bound to included."""
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {**kwargs, "bound_to": list(self.bound_to)} if self.bound_to else kwargs

    def place(self, instance: models.Model) -> bytes:
        """Return the place of this column in a row, to which its values are bound."""
        return place(self.model._meta.label_lower, self.attname, *(getattr(instance, name) for name in self.bound_to))

    def seal(self, instance: models.Model, plain: str) -> Encrypted:
        """Encrypt a text for this column of a row."""
        return Encrypted.seal(plain, self.place(instance))

    def pre_save(self, model_instance: models.Model, add: bool) -> Encrypted:
        """Bind the value to the row as it is saved, which had other names when the value was assigned, perhaps."""
        value: Encrypted = getattr(model_instance, self.attname)
        if value.place != self.place(model_instance):
            value = self.seal(model_instance, value.open())
            setattr(model_instance, self.attname, value)
        return value

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
