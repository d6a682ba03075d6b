"""Names of upstreams, accounts and users: what any database can store, and any mail, log and terminal can show."""

from __future__ import annotations

import shlex

MAX_NAME_CHARACTERS = 255


def is_name(value: object) -> bool:
    """Tell whether a value is 1 to 255 printable characters: no control, bidirectional or other invisible ones."""
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME_CHARACTERS and value.isprintable()


def check_name(what: str, value: object) -> None:
    """Raise ValueError, before anything is sent, for what is no name; the text does not repeat the value."""
    if not is_name(value):
        raise ValueError(f"{what} must be 1 to {MAX_NAME_CHARACTERS} printable characters")


def command(name: str, upstream: str, account: str = "default") -> str:
    """Return one of our commands for an upstream and account, to be copied into a shell whatever their names are."""
    words = ["manage.py", name, upstream]
    if account != "default":
        words += [f"--account={account}"] if account.startswith("-") else ["--account", account]
    return shlex.join(words)
