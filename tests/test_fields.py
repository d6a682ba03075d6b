"""Encrypted columns, their keys, and names that are exact."""

from __future__ import annotations

import traceback
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import FieldError

from jwt_upstream import fields
from jwt_upstream.fields import (
    DecryptionError,
    Encrypted,
    EncryptedTextField,
    ExactCharField,
    Misplaced,
    Unbound,
)
from jwt_upstream.models import Credential
from tests.support.rows import put

HERE = fields.place("credential", "access_token", "crm", "ann")
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_first_key_encrypts_and_all_decrypt(settings: Any) -> None:
    """A new key put first encrypts from then on, while what the old one encrypted can still be read."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [OLD]
    before = Encrypted.seal("secret")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [NEW, OLD]
    after = Encrypted.seal("secret")
    assert before.open() == after.open() == "secret"
    assert Fernet(NEW).decrypt(after.ciphertext) == b"secret"


def test_no_key_opens_it(settings: Any) -> None:
    """A value of another key raises an error that shows neither the value nor a key."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [OLD]
    sealed = Encrypted.seal("secret")
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [NEW]
    with pytest.raises(DecryptionError) as caught:
        sealed.open()
    assert str(caught.value) == "no configured encryption key decrypts this value"
    assert caught.value.__cause__ is None


def test_plain_text_in_the_column_is_not_taken_for_a_secret() -> None:
    """What no key made is never handed out, even if it looks like a token."""
    with pytest.raises(DecryptionError):
        Encrypted("eyJhbGciOiJIUzI1NiJ9.e30.x").open()


def test_keys_derived_from_secret_key(settings: Any) -> None:
    """Without keys, SECRET_KEY encrypts and its fallbacks decrypt; no key is SECRET_KEY itself."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = []
    settings.SECRET_KEY = "old"
    sealed = Encrypted.seal("secret")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    assert sealed.open() == "secret"
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(DecryptionError):
        sealed.open()


def test_moving_from_a_derived_key(settings: Any) -> None:
    """Once there are keys, they encrypt; what SECRET_KEY had encrypted can be read until old values are refused."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = []
    before = Encrypted.seal("secret", HERE)
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [NEW]
    after = Encrypted.seal("secret", HERE)
    assert (before.open(), before.key_number()) == ("secret", 1)
    settings.JWT_UPSTREAM_ACCEPT_OLD_VALUES = False
    assert (after.open(), after.key_number()) == ("secret", 0)
    with pytest.raises(DecryptionError):
        before.open()


def test_bound_value_opens_in_its_place_only() -> None:
    """A value that was bound opens there, and neither elsewhere nor where the place isn't known."""
    sealed = Encrypted.seal("secret", HERE)
    assert (sealed.open(), sealed.is_bound()) == ("secret", True)
    for place in (fields.place("credential", "access_token", "crm", "bob"), None):
        with pytest.raises(Misplaced) as caught:
            Encrypted(sealed.ciphertext, place).open()
        assert "secret" not in "".join(traceback_with_locals(caught.value))


def test_places_differ() -> None:
    """No two places are written alike, however names are cut."""
    names = [("a", "b", "c", "d"), ("ab", "", "c", "d"), ("a", "bc", "", "d"), ("1:a", "b", "c", "d"), ("a", "b", "c")]
    assert len({fields.place(*each) for each in names}) == len(names)


def test_keys_are_rotated_under_bound_values(settings: Any) -> None:
    """A bound value survives each step of a rotation, and no key but its own opens it."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [OLD]
    sealed = Encrypted.seal("secret", HERE)
    for keys, number in (([OLD, NEW], 0), ([NEW, OLD], 1)):
        settings.JWT_UPSTREAM_ENCRYPTION_KEYS = keys
        assert (sealed.open(), sealed.key_number()) == ("secret", number)
    renewed = Encrypted.seal(sealed.open(), HERE)
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [NEW]
    assert (renewed.open(), renewed.key_number()) == ("secret", 0)
    with pytest.raises(DecryptionError):
        sealed.open()


def test_unbound_values_are_read_until_they_are_refused(settings: Any) -> None:
    """A value that was stored before values were bound is read anywhere, unless the setting says that none is left."""
    sealed = Encrypted(Encrypted.seal("secret").ciphertext, HERE)
    assert (sealed.open(), sealed.is_bound()) == ("secret", False)
    settings.JWT_UPSTREAM_ACCEPT_OLD_VALUES = False
    with pytest.raises(Unbound) as caught:
        sealed.open()
    assert "secret" not in "".join(traceback_with_locals(caught.value))


def traceback_with_locals(error: BaseException) -> list[str]:
    """Return what a reporter that shows local variables would say."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), capture_locals=True)
    return [str(frame.locals) for frame in list(frames)[1:]]


def test_the_same_secret_encrypts_differently_each_time() -> None:
    """Equal tokens can't be told from the database."""
    assert Encrypted.seal("secret").ciphertext != Encrypted.seal("secret").ciphertext


def test_nothing_stays_nothing() -> None:
    """No token is stored as no text, so that a row without one is known without a key."""
    empty = Encrypted.seal("")
    assert (empty.ciphertext, empty.open(), bool(empty), repr(empty)) == ("", "", False, "<Encrypted: empty>")


def test_encrypted_values_compare_by_ciphertext() -> None:
    """Two readings of one row are equal and hash alike, and nothing equals a plain string."""
    sealed = Encrypted.seal("secret")
    assert sealed == Encrypted(sealed.ciphertext)
    assert len({sealed, Encrypted(sealed.ciphertext)}) == 1
    assert sealed != "secret"
    assert sealed != sealed.ciphertext


def test_repr_shows_nothing() -> None:
    """A printed instance or value shows neither token nor ciphertext."""
    credential = Credential(access_token="hush", secrets="hush")
    assert repr(credential.access_token) == str(credential.access_token) == "<Encrypted>"
    assert "hush" not in str(vars(credential))


def test_assigning_a_plain_string_seals_it() -> None:
    """No plain secret ever lies in an instance."""
    credential = Credential()
    credential.refresh_token = "secret"
    assert credential.refresh_token.open() == "secret"
    credential.refresh_token = None
    assert not credential.refresh_token


def test_update_seals_plain_strings(db: None) -> None:
    """QuerySet.update() with a plain string stores ciphertext."""
    Credential.objects.create(upstream="crm")
    Credential.objects.update(access_token="secret")
    assert Credential.objects.get().access_token.open() == "secret"


def test_names_that_were_deferred(db: None) -> None:
    """A row of which only a token was read opens it as well."""
    put("crm", access_token="secret")
    assert Credential.objects.only("access_token").get().access_token.open() == "secret"
    row = Credential.objects.defer("access_token").get()
    assert row.access_token.open() == "secret"


def test_fixtures(db: None) -> None:
    """What dumpdata writes opens again where it is loaded as the same credential, and nowhere else."""
    put("crm", access_token="hush", secrets="hush")
    dumped = serializers.serialize("json", Credential.objects.all())
    Credential.objects.all().delete()
    assert "hush" not in dumped
    for text in (dumped, dumped.replace('"crm"', '"erp"')):
        for each in serializers.deserialize("json", text):
            each.save()
    with pytest.raises(Misplaced):
        Credential.objects.get(upstream="erp").access_token.open()


def test_column_values() -> None:
    """Fixtures and SQL have ciphertext; a fixture's null is an empty value."""
    field, sealed = EncryptedTextField(), Encrypted.seal("secret")
    assert field.to_python(sealed.ciphertext) == field.to_python(sealed) == sealed
    assert not field.to_python(None)
    assert field.get_prep_value(sealed) == sealed.ciphertext
    assert field.get_prep_value(None) is None
    assert Encrypted(field.get_prep_value("secret")).open() == "secret"


@pytest.mark.parametrize("lookup", ["access_token__contains", "access_token__in", "access_token__isnull"])
def test_lookups_that_can_not_match_are_refused(lookup: str) -> None:
    """Searching in encrypted text is an error, not an empty result."""
    with pytest.raises(FieldError):
        Credential.objects.filter(**{lookup: "secret"})


def test_lookup_by_plain_text_is_refused() -> None:
    """A plain secret encrypts differently each time, so looking it up is an error, not an empty result."""
    with pytest.raises(FieldError, match="can only be looked up by an Encrypted"):
        Credential.objects.filter(access_token="secret")


def test_lookup_by_what_was_read(db: None) -> None:
    """The very value that was read finds its row, which is what compare-and-swap needs."""
    row = Credential.objects.create(upstream="crm", access_token="secret")
    assert Credential.objects.get(access_token=Credential.objects.get().access_token) == row
    assert not Credential.objects.filter(access_token=Encrypted.seal("secret"))


@pytest.mark.parametrize(
    ("vendor", "is_mariadb", "collation"),
    [
        ("mysql", True, "utf8mb4_nopad_bin"),
        ("mysql", False, "utf8mb4_0900_bin"),
        ("postgresql", False, None),
        ("sqlite", False, None),
    ],
)
def test_collation(vendor: str, is_mariadb: bool, collation: str | None) -> None:
    """MySQL and MariaDB, which fold case and trailing spaces, are asked for a collation that doesn't."""
    connection: Any = SimpleNamespace(
        vendor=vendor,
        mysql_is_mariadb=is_mariadb,
        data_types={"CharField": "varchar(%(max_length)s)"},
        data_type_check_constraints={},
        ops=SimpleNamespace(quote_name=str),
    )
    assert ExactCharField(max_length=9).db_parameters(connection).get("collation") == collation
