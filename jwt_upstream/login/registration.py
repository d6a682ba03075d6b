"""Registering an account: storing its parameters and secrets, of which its first login and all calls are made."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any

from jwt_upstream.accounts import AccountValues, values_of
from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.binding import PARAMETER
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.fields import DecryptionError
from jwt_upstream.models import Credential, Event
from jwt_upstream.names import check_name, full_name
from jwt_upstream.refresh import write_or_raise
from jwt_upstream.store import EventDetails, queries, transitions
from jwt_upstream.tokens import NOTHING, Secrets
from jwt_upstream.tracebacks import without_variables


@without_variables
def register(
    upstream: str,
    account: str,
    *,
    parameters: Mapping[str, str] = MappingProxyType({}),
    secrets: Mapping[str, str] = NOTHING,
    by: str = "",
) -> Credential:
    """Store parameters and secrets of an account, of one that is new or in place of those of the same names.

    Sends nothing. What was stored under other names is kept, as long as ACCOUNTS in settings has the name. With other
    parameters the stored tokens are sent nowhere before a login, or until somebody confirms that they are for these.
    It is stored at once, on a connection of its own: a rollback of the calling transaction doesn't undo it.

    Raises AccountMisconfigured, and stores nothing, if a value is missing or not allowed; UpstreamNotConfigured
    without ACCOUNTS in settings; ValueError for an account that is not 1 to 255 printable characters; TypeError for
    values that are no mapping; RefreshBlocked or RefreshUnavailable if the row can't be written.
    """
    check_name("account", account)
    _check_mappings(parameters=parameters, secrets=secrets)
    given = AccountValues(account, dict(parameters), Secrets(secrets))
    template = get_backend(upstream)
    if template.accounts is None:
        raise UpstreamNotConfigured(f"JWT_UPSTREAM[{upstream!r}] has no ACCOUNTS, so its accounts have nothing to set")
    template.accounts.check_names(given)
    written = write_or_raise(partial(_store, template, given, by), full_name(upstream, account))
    # An event loses its credential when that is deleted; this one was recorded with it just now.
    return written if isinstance(written, Credential) else written.credential  # type: ignore[return-value]


def _store(template: Backend, given: AccountValues, by: str) -> Credential | Event:
    """Return the event, or the row where nothing has changed."""
    # All on the connection that writes: what the caller's shows may be an old snapshot, and reading there may lock.
    while True:
        row = queries.find(template.alias, given.account, queries.database())
        values = _merged(template, row, given)
        backend = get_backend(template.alias, values)  # which examines them
        if row and _is_unchanged(row, values) and not _begins(row, backend):
            transitions.check_lock(row, queries.database())  # who holds it may be about to delete or change it
            return row
        if event := _write(row, values, backend, by):
            return event


def _check_mappings(**given: object) -> None:
    for name, values in given.items():
        if not isinstance(values, Mapping | Secrets):
            raise TypeError(f"{name} must be a mapping of names and values, not {type(values).__name__}")


def _merged(template: Backend, row: Credential | None, given: AccountValues) -> AccountValues:
    assert template.accounts is not None
    stored = row.parameters if row and isinstance(row.parameters, Mapping) else {}
    parameters = {
        **{name: stored[name] for name in template.accounts.parameters if name in stored},
        **given.parameters,
    }
    known = known_secrets(row)
    secrets = {**{name: known[name] for name in template.accounts.secrets if name in known}, **given.secrets}
    return AccountValues(given.account, parameters, Secrets(secrets))


def known_secrets(row: Credential | None) -> Secrets:
    """Return the secrets that an account has of its own; none where there is no row, or no key decrypts them."""
    with suppress(DecryptionError):
        return values_of(row.upstream, row).secrets if row else NOTHING
    return NOTHING


def _is_unchanged(row: Credential, values: AccountValues) -> bool:
    return not (_changed_parameters(row, values) or _changed_secrets(row, values))


def _begins(row: Credential, backend: Backend) -> bool:
    """Tell whether an account that had nothing to log in with can do so by itself by now."""
    return row.never_had_tokens and backend.logs_in_by_itself


def _changed_parameters(row: Credential, values: AccountValues) -> list[str]:
    stored = row.parameters if isinstance(row.parameters, Mapping) else {}
    return [name for name in values.parameters if stored.get(name) != values.parameters[name]]


def _changed_secrets(row: Credential, values: AccountValues) -> list[str]:
    known = known_secrets(row)
    return [name for name in values.secrets if known.get(name) != values.secrets[name]]


def _write(row: Credential | None, values: AccountValues, backend: Backend, by: str) -> Event | None:
    using, parameters = queries.database(), dict(values.parameters)
    place = row or Credential(upstream=backend.alias, account=values.account)
    columns: dict[str, Any] = {"parameters": parameters, "secrets": place.seal("secrets", values.secrets.as_json())}
    if row is None:
        said = ", ".join(f"{name} is {value!r}" for name, value in parameters.items())
        details = EventDetails(f"registered: {said}" if said else "registered", by=by)
        is_active = backend.logs_in_by_itself
        return transitions.add(backend.alias, values.account, columns, using, details, is_active=is_active)
    columns["obtained_for"] = _bound_before(row, values)
    has_new_secret, by_itself = bool(_changed_secrets(row, values)), backend.logs_in_by_itself
    return transitions.configure(
        row,
        columns,
        using,
        EventDetails(_said(row, values) or "logs in by itself", by=by),
        is_active=by_itself or (has_new_secret and bool(row.refresh_token)),
        is_new_key=by_itself and has_new_secret and backend.is_static,
    )


def _bound_before(row: Credential, values: AccountValues) -> dict[str, str]:
    """Return what the tokens are bound to, the parameters included that they were obtained with."""
    if not row.access_token and not row.refresh_token:
        return dict(row.obtained_for)
    before = {f"{PARAMETER}{name}": row.parameters.get(name, "") for name in _changed_parameters(row, values)}
    return {**{name: value for name, value in before.items() if value}, **row.obtained_for}


def _said(row: Credential, values: AccountValues) -> str:
    stored = row.parameters if isinstance(row.parameters, Mapping) else {}
    changed = [
        f"{name} was {stored.get(name, 'not set')!r} and is {values.parameters[name]!r} now"
        for name in _changed_parameters(row, values)
    ]
    return ", ".join([*changed, *(f"{name} was replaced" for name in _changed_secrets(row, values))])
