"""What an account has of its own beside its tokens: parameters, such as a subdomain, and secrets."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn, Protocol

from jwt_upstream.fields import Encrypted
from jwt_upstream.names import harmless
from jwt_upstream.tokens import NOTHING, Secrets

_NONE: Mapping[str, str] = MappingProxyType({})


class StoredAccount(Protocol):
    """A row, as far as it concerns what its account has of its own."""

    account: str
    parameters: Any
    secrets: Any


class AccountValues:
    """The parameters and secrets of one account, as they are stored; whether they are allowed, settings say.

    The secrets are decrypted when somebody asks for them. Shows none of them, and can't be pickled.
    """

    __slots__ = ("_secrets", "account", "parameters")

    def __init__(self, account: str, parameters: Any = _NONE, secrets: Encrypted | Secrets = NOTHING) -> None:
        self.account = account
        #: A mapping of texts, unless somebody has written something else to the database.
        self.parameters = parameters
        self._secrets = secrets

    def __repr__(self) -> str:
        return f"<AccountValues of {harmless(self.account)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an account's values hold secrets and can't be pickled")

    @property
    def secrets(self) -> Secrets:
        """The secrets by name; raises DecryptionError."""
        return Secrets.from_json(self._secrets.open()) if isinstance(self._secrets, Encrypted) else self._secrets

    @property
    def key(self) -> Hashable:
        """What is equal for one account, as long as neither its parameters nor its secrets are stored anew."""
        # By its name too: secrets that were copied from another row must be opened where they are now, which fails.
        return self.account, json.dumps(self._written, sort_keys=True, default=repr), self._secrets

    @property
    def _written(self) -> Any:
        return dict(self.parameters) if isinstance(self.parameters, Mapping) else self.parameters


Reader = Callable[[str, str], StoredAccount | AccountValues]


class _Source:
    """Where the values of an account are found by its name, which a floor that knows the database says."""

    def __init__(self) -> None:
        self.read: Reader = lambda _, account: AccountValues(account)


_source = _Source()


def read_values_by(reader: Reader) -> None:
    """Have ``values_of`` ask a function, called with an alias and an account."""
    _source.read = reader


def values_of(alias: str, account: str | StoredAccount | AccountValues) -> AccountValues:
    """Return the values of an account, by its name or as they were read; it has none if it isn't stored."""
    stored = _source.read(alias, account) if isinstance(account, str) else account
    if isinstance(stored, AccountValues):
        return stored
    return AccountValues(stored.account, stored.parameters, stored.secrets)
