"""ACCOUNTS in the settings of an upstream: which values each account has of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jwt_upstream.backends.core import is_reserved
from jwt_upstream.names import alternatives

from .rules import is_host_rule

_KEYS = ("parameters", "secrets", "hosts")
_PARAMETER_KEYS = ("pattern",)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}", re.ASCII)
#: What requests are given besides settings, so that a placeholder of that name stands for something else.
_GIVEN = {"access", "refresh", "token", "token_type", "device_code", "username", "password", "code", "state"}
_GIVEN |= {
    "code_verifier",
    "redirect_uri",
    "assertion",
    "client_assertion",
    "public_key_fingerprint",
    "answer",
    "base_url",
}


class Declared(NamedTuple):
    """The values that accounts have: parameters, each with the pattern that it must match, and secrets.

    ``hosts`` are those that parameters may lead to, where the rest of the URL doesn't say that.
    """

    parameters: Mapping[str, re.Pattern[str] | None]
    secrets: tuple[str, ...]
    hosts: tuple[str, ...]

    @classmethod
    def parse(cls, written: Any) -> Declared:
        """Return what a dict in settings declares; raises ValueError with what is wrong."""
        if not isinstance(written, Mapping):
            raise ValueError("ACCOUNTS must be a dict, such as {'parameters': ['subdomain'], 'secrets': []}")
        if unknown := [key for key in written if key not in _KEYS]:
            raise ValueError(f"ACCOUNTS has no key {unknown[0]!r}; its keys are {alternatives(unknown[0], _KEYS)}")
        declared = cls(_parameters(written.get("parameters", ())), _names(written), _hosts(written.get("hosts", ())))
        if not declared.names:
            raise ValueError("ACCOUNTS names neither parameters nor secrets")
        if problem := next(declared._problems(), ""):
            raise ValueError(f"ACCOUNTS: {problem}")
        return declared

    @property
    def names(self) -> list[str]:
        """The names of all values."""
        return [*self.parameters, *self.secrets]

    def _problems(self) -> Iterator[str]:
        for name in self.names:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                yield f"{name!r} is no name: write up to 50 lower-case letters, digits and underscores, a letter first"
            elif name in _GIVEN or is_reserved(name):
                yield f"{name!r} is what requests already call something else; choose another, such as 'own_{name}'"
            elif self.names.count(name) > 1:
                yield f"{name!r} is named twice"


def _parameters(written: Any) -> dict[str, re.Pattern[str] | None]:
    if isinstance(written, list | tuple):
        return _unique(written)
    if not isinstance(written, Mapping):
        raise ValueError("ACCOUNTS['parameters'] must be a list of names, or a dict of names and rules")
    return {name: _pattern(name, rule) for name, rule in written.items()}


def _unique(names: list[Any] | tuple[Any, ...]) -> dict[str, re.Pattern[str] | None]:
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"ACCOUNTS: {twice[0]!r} is named twice")
    return {name if isinstance(name, str) else repr(name): None for name in names}


def _pattern(name: Any, rule: Any) -> re.Pattern[str] | None:
    where = f"ACCOUNTS['parameters'][{name!r}]"
    if not isinstance(rule, Mapping):
        raise ValueError(f"{where} must be a dict, such as {{'pattern': '[a-z]+'}}")
    if unknown := [key for key in rule if key not in _PARAMETER_KEYS]:
        raise ValueError(
            f"{where} has no key {unknown[0]!r}; its keys are {alternatives(unknown[0], _PARAMETER_KEYS)}"
        )
    try:
        pattern = re.compile(rule.get("pattern", ""))
    except (re.error, TypeError) as error:
        raise ValueError(f"{where}: the pattern is no regular expression: {error}") from None
    if not isinstance(pattern.pattern, str):
        raise ValueError(f"{where}: the pattern is no regular expression for strings")
    return pattern if "pattern" in rule else None


def _names(written: Mapping[str, Any]) -> tuple[str, ...]:
    secrets = written.get("secrets", ())
    if not isinstance(secrets, list | tuple):
        raise ValueError("ACCOUNTS['secrets'] must be a list of names")
    return tuple(secrets)


def _hosts(written: Any) -> tuple[str, ...]:
    if not isinstance(written, list | tuple):
        raise ValueError("ACCOUNTS['hosts'] must be a list of hosts, such as 'api.example.com' or '.example.com'")
    if wrong := [host for host in written if not is_host_rule(host)]:
        how = "such as 'api.example.com', an IPv4 address, or '.example.com' for all below it"
        raise ValueError(f"ACCOUNTS['hosts'] has {wrong[0]!a}: write the name of a host in ASCII alone, {how}")
    return tuple(written)
