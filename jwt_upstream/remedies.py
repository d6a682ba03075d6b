"""What a person can do about a credential that doesn't work: in a line with a command, and in sentences for mails."""

from __future__ import annotations

import re

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

#: Why an account is rejected whose secret, key or login is no other's; ``says_own_refused`` knows it again.
OWN_REFUSED = gettext_noop("what the account has of its own was refused: %(reason)s")

#: How a sentence about an account's own values begins, unless it is about secrets, which ``--set`` doesn't take.
_OF_PARAMETER = re.compile(r"(there is no )?parameter |LOGIN\[")

#: By what stands in the way, "" if nothing but a login helps: a line that ends with the command, and sentences.
_REMEDIES: dict[str, tuple[str | Promise, str | Promise]] = {
    "": (_("log in: %(command)s"), _("Log in again, on its page or by the command.")),
    "deleted": (
        _(
            "have the user created again at the upstream, then try again in the admin, "
            "or log in with another: %(command)s"
        ),
        _(
            'Have the user created again at the upstream. Then open its page and press "Try again". '
            "Or log in again, on its page or by the command."
        ),
    ),
    "locked": (
        _("have the account unlocked at the upstream, then try again in the admin, or log in: %(command)s"),
        _(
            'Have the account unlocked at the upstream. Then open its page and press "Try again". '
            "Or log in again, on its page or by the command."
        ),
    ),
    "login": (
        _("correct LOGIN in the settings, or log in: %(command)s"),
        _("Correct LOGIN in the settings. Or log in again, on its page or by the command."),
    ),
    "own": (
        _("store another secret, or a parameter by --set NAME=VALUE: %(command)s"),
        _("Store another secret or parameter, on its page or by the command."),
    ),
    "lost key": (
        _("put the old key back into JWT_UPSTREAM_ENCRYPTION_KEYS, or log in: %(command)s"),
        _("Put the old key back into JWT_UPSTREAM_ENCRYPTION_KEYS. Or log in again, on its page or by the command."),
    ),
    "misplaced": (
        _("find out who wrote to the database, and restore the row, or log in: %(command)s"),
        _("Find out who wrote to the database, and restore the row. Or log in again, on its page or by the command."),
    ),
    "unbound": (
        _("set JWT_UPSTREAM_ACCEPT_OLD_VALUES = True and run manage.py upstream_rekey, or log in: %(command)s"),
        _(
            "Set JWT_UPSTREAM_ACCEPT_OLD_VALUES = True and run manage.py upstream_rekey. "
            "Or log in again, on its page or by the command."
        ),
    ),
}


def says_own_refused(reason: str) -> bool:
    """Tell whether a reason is that the upstream refused a secret, key or login of the account's own."""
    return reason.startswith(OWN_REFUSED.partition("%")[0])


def line(obstacle: str, command: str) -> str:
    """Return what helps, ending with the command that logs in."""
    return _REMEDIES[obstacle][0] % {"command": command}


def sentences(obstacle: str) -> str:
    """Return the same for somebody who reads a mail, which has the page and the command beside it."""
    return str(_REMEDIES[obstacle][1])


def setting(problem: str, command: str) -> str:
    """Return the command that logs in with the option for what is wrong with an account's own values."""
    return f"{command} {'--set NAME=VALUE' if _OF_PARAMETER.match(problem) else '--new-secrets'}"
