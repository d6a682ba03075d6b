"""``manage.py upstream_login``: a person, or a deployment, gives an upstream's first tokens; shows no secret."""

from __future__ import annotations

import getpass
import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from jwt_upstream import logins
from jwt_upstream.backends import get_backend
from jwt_upstream.backends.failures import masked
from jwt_upstream.exceptions import UpstreamError, UpstreamNotConfigured
from jwt_upstream.models import Credential
from jwt_upstream.texts import left, moment
from jwt_upstream.tokens import Secrets, TokenPair, end_at, fingerprint

_TOKENS = {"access": ("access", "access_token", "token"), "refresh": ("refresh", "refresh_token")}
_ENDS = ("access_expires_at", "refresh_expires_at")
_KEYS = tuple(key for keys in _TOKENS.values() for key in keys) + _ENDS


class Command(BaseCommand):
    """Logs in at an upstream, or adopts tokens obtained elsewhere."""

    help = (
        "Log in at an upstream and store its tokens, encrypted. Username and password are asked for; without a "
        "terminal they come from --username and --password-stdin, or from the environment: JWT_UPSTREAM_USERNAME and "
        "JWT_UPSTREAM_PASSWORD (and JWT_UPSTREAM_<NAME> for whatever else the upstream's login asks for). On any "
        "failure the exit code is 1 and what was stored before is kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take everything but secrets, which a process list would show."""
        parser.add_argument("alias", help="The upstream, as JWT_UPSTREAM names it.")
        parser.add_argument("--account", default="default", help='Which of several accounts (default: "default").')
        parser.add_argument("--username", help="The username, where the upstream asks for one.")
        stdin = parser.add_mutually_exclusive_group()
        stdin.add_argument(
            "--password-stdin",
            action="store_true",
            help="Read the password from standard input (one line for each secret that the login asks for).",
        )
        stdin.add_argument(
            "--tokens-stdin",
            action="store_true",
            help="Don't log in: read tokens that were obtained elsewhere from standard input, as a JSON object with "
            "access and refresh, optionally access_expires_at and refresh_expires_at (ISO 8601 or epoch seconds).",
        )

    def handle(self, *args: Any, alias: str, account: str, **options: Any) -> None:
        """Get tokens in the way that was asked for, and say what is stored."""
        get_tokens = self._adopt if options["tokens_stdin"] else self._log_in
        try:
            credential = get_tokens(alias, account, options)
        except UpstreamNotConfigured as error:
            raise CommandError(str(error)) from error
        except UpstreamError as error:
            raise CommandError(f"{error}; nothing was stored.") from error
        self.stdout.write("\n".join(_summary(credential)))

    @sensitive_variables()
    def _log_in(self, alias: str, account: str, options: Mapping[str, Any]) -> Credential:
        asks = get_backend(alias).login_asks
        if options["username"] and "username" not in asks:
            raise CommandError(f"A login at {alias} asks for no username.")
        given = Secrets(username=options["username"] or "")
        if options["password_stdin"]:
            given.update(_secrets_from_stdin(name for name in asks if name != "username"))
        credentials = Secrets({name: given.get(name) or _value(name) for name in asks})
        return logins.login(alias, account, credentials, by=_by())

    @sensitive_variables()
    def _adopt(self, alias: str, account: str, options: Mapping[str, Any]) -> Credential:
        if options["username"]:
            raise CommandError("--username goes with a login, not with --tokens-stdin.")
        get_backend(alias)
        _refuse_terminal("--tokens-stdin", "a JSON object, such as < tokens.json")
        return logins.adopt(alias, account, _pair(sys.stdin.read()), by=_by())


def _by() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # containers run under ids that have no name
        user = f"uid {os.getuid()}"
    return f"upstream_login by {user}"


def _is_terminal() -> bool:
    return bool(sys.stdin) and sys.stdin.isatty()


def _refuse_terminal(option: str, what: str) -> None:
    # What is typed there would be shown.
    if _is_terminal():
        raise CommandError(f"{option} reads {what} from a pipe or file, not from the terminal.")


@sensitive_variables()
def _secrets_from_stdin(names: Iterable[str]) -> Secrets:
    _refuse_terminal("--password-stdin", "the password")
    given = Secrets({name: sys.stdin.readline().rstrip("\r\n") for name in names})
    if not given or not all(given.values()):
        missing = ", ".join(name for name, value in given.items() if not value) or "no secret is asked for"
        raise CommandError(f"--password-stdin: standard input doesn't fit: {missing}.")
    return given


@sensitive_variables()
def _value(name: str) -> str:
    variable = f"JWT_UPSTREAM_{name.upper()}"
    value = os.environ.get(variable) or _asked(name, variable)
    if not value:
        raise CommandError(f"No {name} given; nothing was stored.")
    return value


def _asked(name: str, variable: str) -> str:
    how = "--username" if name == "username" else "--password-stdin"
    if not _is_terminal():
        raise CommandError(f"No {name}, and no terminal to ask for it: give {how} or set {variable}.")
    prompt = f"{name.replace('_', ' ').capitalize()}: "
    try:
        return input(prompt) if name == "username" else getpass.getpass(prompt)
    except (EOFError, KeyboardInterrupt):
        raise CommandError("Cancelled; nothing was stored.") from None


@sensitive_variables()
def _pair(text: str) -> TokenPair:
    values = _json_object(text)
    if unknown := sorted(values.keys() - set(_KEYS)):
        names = masked(", ".join(unknown))  # a token where its name belongs
        raise CommandError(f"--tokens-stdin: unknown key {names}; it may have {', '.join(_KEYS)}.")
    tokens = {name: _one_of(values, keys) for name, keys in _TOKENS.items()}
    if not any(tokens.values()):
        raise CommandError("--tokens-stdin: there is no token; give access and refresh.")
    ends = [_end(values, name) for name in _ENDS]
    try:
        return TokenPair(**tokens, access_expires_at=ends[0], refresh_expires_at=ends[1])
    except ValueError as error:  # names the token and doesn't show it
        raise CommandError(f"--tokens-stdin: {error}.") from None


@sensitive_variables()
def _json_object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise CommandError("--tokens-stdin: standard input is no JSON object.")
    return values


@sensitive_variables()
def _one_of(values: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    found = [values[key] for key in keys if values.get(key) is not None]
    if len(found) > 1:
        raise CommandError(f"--tokens-stdin: give only one of {', '.join(keys)}.")
    return found[0] if found else ""


@sensitive_variables()
def _end(values: Mapping[str, Any], name: str) -> datetime | None:
    if values.get(name) is None:
        return None
    end = end_at(values[name])
    if end is None:
        raise CommandError(f"--tokens-stdin: {name} is neither an ISO 8601 time nor epoch seconds.")
    return end


@sensitive_variables("pair")
def _summary(credential: Credential) -> Iterable[str]:
    pair, now = credential.pair, timezone.now()
    yield f"{credential}: logged in" + (f" as {credential.username}." if credential.username else ".")
    for name, token, end in (
        ("access", pair.access, pair.access_expires_at),
        ("refresh", pair.refresh, pair.refresh_expires_at),
    ):
        lives = f"until {moment(end)} ({left(end, now)})" if end else "no stated end"
        yield f"  {name + ' token':<14} " + (f"{lives}, fingerprint {fingerprint(token)}" if token else "none")
    yield "Stored encrypted. The fingerprints stand for the tokens in the admin and in the history."
