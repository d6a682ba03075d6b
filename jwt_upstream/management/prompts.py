"""How a command reads the values for a login: from options, standard input, the environment or a terminal."""

from __future__ import annotations

import getpass
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from jwt_upstream.login import label
from jwt_upstream.tokens import Secrets

from .arguments import printable_name


def add_username(parser: ArgumentParser) -> None:
    """Add the option for the username."""
    parser.add_argument("--username", type=printable_name, help=_("The username, if the upstream's login uses one."))


def add_password_stdin(group: Any) -> None:
    """Add the flag that reads the password from standard input: a process list would show an option's value."""
    group.add_argument(
        "--password-stdin",
        action="store_true",
        help=_("Read the password from standard input (one line for each secret of the login)."),
    )


def credentials(alias: str, asks: Iterable[str], options: Mapping[str, Any]) -> Secrets:
    """Return the values for a login; raises CommandError if one is missing."""
    if options["username"] and "username" not in asks:
        raise CommandError(_("The login of %(alias)s doesn't use a username.") % {"alias": alias})
    read = _secrets_from_stdin(name for name in asks if name != "username") if options["password_stdin"] else {}
    given = Secrets(read, username=options["username"] or "")
    return Secrets({name: given.get(name) or _value(name) for name in asks})


def secrets(names: Sequence[str], options: Mapping[str, Any]) -> Secrets:
    """Return an account's own secrets of these names, from where a password comes from; raises CommandError."""
    if names and options["password_stdin"]:
        return _secrets_from_stdin(names)
    return Secrets({name: _value(name) for name in names})


def by(command: str) -> str:
    """Return the command and the user of the operating system, for a credential's history."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container the user may have no name
        user = f"uid {os.getuid()}"
    return f"{command} by {user}"


def confirm(question: str) -> None:
    """Ask a person; raises CommandError unless the answer is yes, and where there is nobody to ask."""
    if not is_terminal():
        raise CommandError(_("There is no terminal to ask: give --yes."))
    try:
        answer = _typed(_("%(question)s [y/N] ") % {"question": question})
    except (EOFError, KeyboardInterrupt):
        answer = ""
    if answer.strip().lower() not in {"y", "yes", *pgettext("answers that mean yes", "y yes").split()}:
        raise CommandError(_("Cancelled; nothing was changed."))


def refuse_terminal(option: str, what: str) -> None:
    """Raise CommandError if standard input is a terminal, which would show the secret that is typed."""
    if is_terminal():
        text = _("%(option)s reads %(what)s from a pipe or file, not from the terminal.")
        raise CommandError(text % {"option": option, "what": what})


def is_terminal() -> bool:
    """Tell whether a person can be asked."""
    return bool(sys.stdin) and sys.stdin.isatty()


def _secrets_from_stdin(names: Iterable[str]) -> Secrets:
    refuse_terminal("--password-stdin", _("the password"))
    given = Secrets({name: sys.stdin.readline().rstrip("\r\n") for name in names})
    if not given:
        raise CommandError(_("--password-stdin: the login has no secrets."))
    if missing := ", ".join(name for name, value in given.items() if not value):
        text = _("--password-stdin: standard input has no line for %(missing)s.")
        raise CommandError(text % {"missing": missing})
    return given


def _value(name: str) -> str:
    variable = f"JWT_UPSTREAM_{name.upper()}"
    value = os.environ.get(variable) or _prompted(name, variable)
    if not value:
        raise CommandError(_("No %(name)s was given; no tokens were stored.") % {"name": name})
    return value


def _prompted(name: str, variable: str) -> str:
    how = "--username" if name == "username" else "--password-stdin"
    if not is_terminal():
        text = _("There is no %(name)s, and no terminal to ask for it: give %(how)s or set %(variable)s.")
        raise CommandError(text % {"name": name, "how": how, "variable": variable})
    prompt = _("%(label)s: ") % {"label": label(name)}
    try:
        return _typed(prompt) if name == "username" else getpass.getpass(prompt)
    except (EOFError, KeyboardInterrupt):
        raise CommandError(_("Cancelled; no tokens were stored.")) from None


def _typed(prompt: str) -> str:
    if sys.stdout.isatty():
        return input(prompt)
    # What is printed goes to a file or to a program, such as JSON: the prompt is for neither.
    sys.stderr.write(prompt)
    sys.stderr.flush()
    return input()
