"""``manage.py upstream_login``: obtains or adopts the first tokens of an account; shows no secret."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error
from django.views.decorators.debug import sensitive_variables

from jwt_upstream.backends import get_backend
from jwt_upstream.backends.core import masked
from jwt_upstream.clock import host_now
from jwt_upstream.exceptions import UpstreamError, UpstreamNotConfigured
from jwt_upstream.formatting import time_left, timestamp
from jwt_upstream.login import adopt, login
from jwt_upstream.management import prompts
from jwt_upstream.models import Credential
from jwt_upstream.refresh import is_renewable
from jwt_upstream.tokens import TokenPair, expiry_at, fingerprint

_TOKENS = {"access": ("access", "access_token", "token"), "refresh": ("refresh", "refresh_token")}
_EXPIRIES = ("access_expires_at", "refresh_expires_at")
_KEYS = tuple(key for keys in _TOKENS.values() for key in keys) + _EXPIRIES


class Command(BaseCommand):
    """Logs in at an upstream, or adopts tokens obtained elsewhere."""

    help = (
        "Log in to an upstream and store its tokens, encrypted. The command prompts for the username and password; "
        "without a terminal they come from --username and --password-stdin, or from the environment variables "
        "JWT_UPSTREAM_USERNAME and JWT_UPSTREAM_PASSWORD (JWT_UPSTREAM_<NAME> for any other value that the login "
        "needs). On any failure the exit code is 1, and what was stored before is kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add everything but secrets, which a process list would show."""
        parser.add_argument("alias", help="The alias of the upstream in JWT_UPSTREAM.")
        prompts.add_account(parser)
        prompts.add_username(parser)
        stdin = parser.add_mutually_exclusive_group()
        prompts.add_password_stdin(stdin)
        stdin.add_argument(
            "--tokens-stdin",
            action="store_true",
            help="Don't log in, but read tokens that were obtained elsewhere from standard input: a JSON object with "
            "access and refresh, and optionally access_expires_at and refresh_expires_at (ISO 8601 or epoch seconds).",
        )

    def handle(self, *args: Any, alias: str, account: str, **options: Any) -> None:
        """Log in or adopt tokens, and print a summary."""
        get_tokens = self._adopt if options["tokens_stdin"] else self._log_in
        try:
            credential = get_tokens(alias, account, options)
        except UpstreamNotConfigured as error:
            raise CommandError(str(error)) from error
        except UpstreamError as error:
            raise CommandError(f"{error}; nothing was stored.") from error
        except Error as error:
            text = f"The database failed ({type(error).__name__}); nothing was stored. Run manage.py migrate."
            raise CommandError(text) from error
        self.stdout.write("\n".join(_summary(credential)))
        if not is_renewable(get_backend(alias), credential):
            self.stdout.write(self.style.WARNING(_warning(credential)))

    @sensitive_variables()
    def _log_in(self, alias: str, account: str, options: Mapping[str, Any]) -> Credential:
        credentials = prompts.credentials(alias, get_backend(alias).login_asks, options)
        return login(alias, account, credentials, by=prompts.by("upstream_login"))

    @sensitive_variables()
    def _adopt(self, alias: str, account: str, options: Mapping[str, Any]) -> Credential:
        if options["username"]:
            raise CommandError("--username can't be used with --tokens-stdin.")
        get_backend(alias)
        prompts.refuse_terminal("--tokens-stdin", "a JSON object, such as < tokens.json")
        return adopt(alias, account, _pair(sys.stdin.read()), by=prompts.by("upstream_login"))


@sensitive_variables()
def _pair(text: str) -> TokenPair:
    values = _json_object(text)
    if unknown := sorted(values.keys() - set(_KEYS)):
        names = masked(", ".join(unknown))  # a token may stand where its name belongs
        raise CommandError(f"--tokens-stdin: unknown key {names}; the keys are {', '.join(_KEYS)}.")
    tokens = {name: _one_of(values, keys) for name, keys in _TOKENS.items()}
    if not any(tokens.values()):
        raise CommandError("--tokens-stdin: there is no token; the object needs access and refresh.")
    expiries = [_expiry(values, name) for name in _EXPIRIES]
    try:
        return TokenPair(**tokens, access_expires_at=expiries[0], refresh_expires_at=expiries[1])
    except ValueError as error:  # the message doesn't show the token
        raise CommandError(f"--tokens-stdin: {error}.") from None


@sensitive_variables()
def _json_object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise CommandError("--tokens-stdin: standard input is not a JSON object.")
    return values


@sensitive_variables()
def _one_of(values: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    found = [values[key] for key in keys if values.get(key) is not None]
    if len(found) > 1:
        raise CommandError(f"--tokens-stdin: give only one of {', '.join(keys)}.")
    return found[0] if found else ""


@sensitive_variables()
def _expiry(values: Mapping[str, Any], name: str) -> datetime | None:
    if values.get(name) is None:
        return None
    expiry = expiry_at(values[name])
    if expiry is None:
        raise CommandError(f"--tokens-stdin: {name} is neither an ISO 8601 time nor epoch seconds.")
    return expiry


@sensitive_variables("pair")
def _summary(credential: Credential) -> Iterable[str]:
    pair, now = credential.pair, host_now()
    yield f"{credential}: logged in" + (f" as {credential.username}." if credential.username else ".")
    for name, token, expiry in (
        ("access", pair.access, pair.access_expires_at),
        ("refresh", pair.refresh, pair.refresh_expires_at),
    ):
        validity = f"expires {timestamp(expiry)} ({time_left(expiry, now)})" if expiry else "unknown expiry"
        yield f"  {name + ' token':<14} " + (f"{validity}, fingerprint {fingerprint(token)}" if token else "none")
    yield "The tokens are stored encrypted. The admin and the history show their fingerprints instead."


def _warning(credential: Credential) -> str:
    # The event of the login says what was missing in the answer.
    said = "".join(credential.events.values_list("reason", flat=True)[:1])
    look = "If the answer has a refresh token under another name, add that to refresh_paths in OPTIONS; otherwise "
    return (
        f"This credential can't be renewed: {said}. Once the access token has expired, calls fail until somebody logs "
        f"in again. {look if 'the answer holds' in said else ''}LOGIN in the settings lets the app log in by itself."
    )
