"""Every command: what it does, its arguments, exit codes and examples, as its parser has them."""

from __future__ import annotations

from argparse import Action
from collections.abc import Iterator

from django.core.management import get_commands, load_command_class

from jwt_upstream.management.arguments import UpstreamCommand

from .rst import marked, table

#: What every command of Django has.
DJANGOS = {"help", "version", "verbosity", "settings", "pythonpath", "traceback", "no_color", "force_color"}
DJANGOS |= {"skip_checks"}


def lines() -> Iterator[str]:
    """Yield a section for each command."""
    for name, command in commands().items():
        yield from ("", f".. _command-{name}:", "", name, "-" * len(name), "")
        yield from ("", *(marked(line.strip()) for line in str(command.help).splitlines()), "")
        yield from table(("Argument", "Meaning"), map(_argument, arguments(command)), (30, 70))
        yield from table(
            ("Exit code", "Meaning"), ((str(k), marked(v)) for k, v in command.exit_codes.items()), (14, 86)
        )
        yield from (".. code-block:: text", "", *(f"    {line}" for line in command.examples), "")


def commands() -> dict[str, UpstreamCommand]:
    """Return all commands by name."""
    names = sorted(name for name, app in get_commands().items() if app == "jwt_upstream")
    made = {name: load_command_class("jwt_upstream", name) for name in names}
    return {name: command for name, command in made.items() if isinstance(command, UpstreamCommand)}


def arguments(command: UpstreamCommand) -> list[Action]:
    """Return the arguments of a command, without those that every command of Django has."""
    return [each for each in command.create_parser("manage.py", "")._actions if each.dest not in DJANGOS]


def _argument(action: Action) -> tuple[str, str]:
    names = " or ".join(f"``{name}``" for name in action.option_strings) or f"``{action.dest.upper()}``"
    if action.option_strings and action.nargs != 0:
        names += f" ``{action.metavar or action.dest.upper()}``"
    text = str(action.help or "")
    if not text:
        raise LookupError(f"{names} has no help")
    values = {**vars(action), "prog": ""}
    choices = f" One of {', '.join(f'``{choice}``' for choice in action.choices)}." if action.choices else ""
    return names, marked(text % values) + choices
