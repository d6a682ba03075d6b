"""What ``upstream_login`` stores of an account before it logs in: its parameters and secrets."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.login import known_secrets, register
from jwt_upstream.models import Credential
from jwt_upstream.names import command
from jwt_upstream.store import queries
from jwt_upstream.tokens import NOTHING, Secrets

from . import prompts

#: The options that are ways to log in.
_LOGINS = ("browser", "device", "tokens_stdin", "print_url", "redirected_url", "username")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options for what an account has of its own, but not for secrets, which a process list would show."""
    parser.add_argument(
        "--set",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=_(
            "A parameter of the account, as ACCOUNTS in settings names it; may be given several times. Secrets are "
            "asked for, or come from standard input or the environment as a password does."
        ),
    )
    parser.add_argument(
        "--new-secrets", action="store_true", help=_("Ask for the account's secrets although some are stored.")
    )
    parser.add_argument(
        "--no-login",
        action="store_true",
        help=_("Only store the account's parameters and secrets; nothing is sent, and its tokens stay as they are."),
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ArgumentTypeError(_("must be NAME=VALUE, such as subdomain=acme"))
    return name, value


def store_values(alias: str, account: str, options: Mapping[str, Any]) -> bool:
    """Store what is given of an account, and ask for the secrets that are missing; tell whether there was any.

    Raises CommandError, AccountMisconfigured and what else ``login.register`` raises.
    """
    backend, given = get_backend(alias), dict(options["set"])
    if options["no_login"] and (way := next((name for name in _LOGINS if options[name]), "")):
        raise CommandError(_("--no-login can't be used with --%(way)s.") % {"way": way.replace("_", "-")})
    if backend.accounts is None:
        if given or options["new_secrets"] or options["no_login"]:
            raise CommandError(
                _("Settings of %(alias)s have no ACCOUNTS, so there is nothing to set.") % {"alias": alias}
            )
        return False
    if len(given) < len(options["set"]):
        raise CommandError(_("--set was given twice for the same name."))
    if secret := next((name for name in backend.accounts.secrets if name in given), ""):
        raise CommandError(_("%(name)s is a secret: leave it out, and it is asked for.") % {"name": secret})
    secrets = _secrets(backend, account, options)
    is_any = bool(given or secrets or options["no_login"])
    if is_any:
        register(alias, account, parameters=given, secrets=secrets, by=prompts.by("upstream_login"))
    return is_any


def _secrets(backend: Backend, account: str, options: Mapping[str, Any]) -> Secrets:
    assert backend.accounts is not None
    row = queries.find(backend.alias, account, queries.database())
    known = NOTHING if options["new_secrets"] else known_secrets(row)
    return prompts.secrets([name for name in backend.accounts.secrets if name not in known], options)


def own_login(alias: str, account: str, options: Mapping[str, Any]) -> Secrets | None:
    """Return the values of a login that is made of what the account has; None if a person must give them.

    Raises CommandError for values that were refused before, unless somebody has just typed them.
    """
    backend = get_backend(alias, account)
    if backend.accounts is None or (backend.login_asks and not backend.automatic_login.is_of_account):
        return None
    row = queries.find(alias, account, queries.database())
    if row and row.own_was_refused and not options["new_secrets"]:
        raise CommandError(_refused_before(row))
    return backend.automatic_login.read() if backend.automatic_login.is_of_account else NOTHING


def _refused_before(row: Credential) -> str:
    text = _(
        "%(account)s: nothing was sent, since what it has of its own was refused before; %(remedy)s; or to have the "
        "same tried again: %(command)s"
    )
    try_again = command("upstream_try_again", row.upstream, row.account)
    return text % {"account": row, "remedy": row.remedy, "command": try_again}
