"""What our commands have in common: the alias, the account, help with examples, and exit codes that say what to do."""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from django.db import Error
from django.utils.translation import gettext as _

from jwt_upstream.exceptions import RefreshUnavailable, UpstreamError, UpstreamNotConfigured
from jwt_upstream.formatting import sentence
from jwt_upstream.languages import in_english
from jwt_upstream.models import Credential
from jwt_upstream.names import MAX_NAME_CHARACTERS, closest_name, is_name
from jwt_upstream.refresh import in_words
from jwt_upstream.store import is_away, queries
from jwt_upstream.tracebacks import without_variables

#: A person must do something: log in, correct the settings or the command.
NEEDS_HUMAN = 1
#: The upstream or the database can't be used at the moment. Also argparse's own code for arguments that it refuses.
TRY_LATER = 2
#: The command did what it is for, but the upstream said no.
REFUSED = 3
#: Nobody reads the output any more: what shells say of a program that SIGPIPE has ended.
NOBODY_READS = 141

#: With how many accounts of an upstream an unknown one is compared; that takes some 10 ms.
_MOST_COMPARED = 1000
#: The longest time that an argument can be, thirty years: dates that far ahead or back can still be reckoned.
_MAX_SECONDS = 1_000_000_000


class _KeepsLines(RawDescriptionHelpFormatter, DjangoHelpFormatter):
    """Keeps the lines of the description and of the examples as they are written."""


class UpstreamCommand(BaseCommand):
    """A command whose help ends with examples and its exit codes."""

    #: The options with which a program reads what is printed, in English then.
    for_programs: Sequence[str] = ("json",)
    # Marked by gettext_noop, like ``help``, and translated when the parser is made.
    examples: Sequence[str] = ()
    #: What each exit code means; docs/reference/commands.rst is made of it.
    exit_codes: Mapping[int, str] = {0: "done"}

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Add the examples and exit codes to the parser that Django makes."""
        parts = [
            "\n".join([_("examples:"), *(f"  {_(line)}" for line in self.examples)]),
            "\n".join([_("exit codes:"), *(f"  {code}  {_(text)}" for code, text in self.exit_codes.items())]),
        ]
        options = {"formatter_class": _KeepsLines, "epilog": "\n\n".join(parts), **kwargs}
        parser = super().create_parser(prog_name, subcommand, **options)
        parser.description = _(self.help)
        return parser

    @without_variables
    def execute(self, *args: Any, **options: Any) -> str | None:
        """Do as Django's commands do, but tell what goes wrong in a line.

        What is raised shows no variable, such as a password that was typed.
        """
        language = in_english() if any(options.get(name) for name in self.for_programs) else nullcontext()
        with language, self._until_nobody_reads(), told_in_a_line():
            return super().execute(*args, **options)

    @contextmanager
    def _until_nobody_reads(self) -> Iterator[None]:
        try:
            try:
                yield
            finally:
                self.stdout.flush()
        except BrokenPipeError:
            # Whoever reads has had enough, such as head. Python would complain once more when it closes the pipe.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stdout.fileno())
            raise SystemExit(NOBODY_READS) from None


def add_alias(parser: ArgumentParser, **options: Any) -> None:
    """Add the alias of an upstream; ``options`` are argparse's, such as ``nargs``."""
    parser.add_argument("alias", **{"help": _("The alias of the upstream in JWT_UPSTREAM."), **options})


def add_account(parser: Any) -> None:
    """Add ``--account``, to a parser or to a group of options."""
    parser.add_argument(
        "--account",
        type=printable_name,
        default="default",
        help=_('The account, if there are several (default: "default").'),
    )


def add_accounts(parser: Any) -> None:
    """Add ``--account`` or, in its place, ``--all``."""
    which = parser.add_mutually_exclusive_group()
    add_account(which)
    which.add_argument("--all", action="store_true", help=_("All of this upstream that need it."))


def add_json(parser: Any) -> None:
    """Add ``--json``, to a parser or to a group of options."""
    parser.add_argument(
        "--json", action="store_true", help=_("Print JSON; docs/reference/commands.rst has the schema.")
    )


def printable_name(text: str) -> str:
    """Return the name of an account or user; argparse refuses what can't be one."""
    if not is_name(text):
        text = _("must be 1 to %(number)d printable characters")
        raise ArgumentTypeError(text % {"number": MAX_NAME_CHARACTERS})
    return text


def seconds(text: str) -> float:
    """Return a span of time in seconds; argparse refuses what can't be one, such as ``nan``."""
    number = float(text)
    if not 0 <= number <= _MAX_SECONDS:
        raise ArgumentTypeError(_("must be 0 to %(number)d seconds") % {"number": _MAX_SECONDS})
    return number


@contextmanager
def told_in_a_line(text: str = "%(problem)s") -> Iterator[None]:
    """Turn what goes wrong into a CommandError of one line, in a text that says what that means, and its exit code."""
    try:
        yield
    except UpstreamNotConfigured as error:
        raise CommandError(str(error), returncode=NEEDS_HUMAN) from error
    except RefreshUnavailable as error:
        raise CommandError(_told(in_words(error), text), returncode=TRY_LATER) from error
    except UpstreamError as error:
        raise CommandError(_told(f"{in_words(error)}{_meant(error)}", text), returncode=NEEDS_HUMAN) from error
    except Error as error:
        raise _of_the_database(error, text) from error


def _of_the_database(error: Error, text: str) -> CommandError:
    failed = _("The database failed (%(error)s): run manage.py migrate")
    away = _("The database is away (%(error)s); try again later")
    is_passing = is_away(error)
    problem = (away if is_passing else failed) % {"error": type(error).__name__}
    return CommandError(sentence(_told(problem, text)), returncode=TRY_LATER if is_passing else NEEDS_HUMAN)


def _told(problem: str, text: str) -> str:
    return text % {"problem": problem}


def similar_account(upstream: str, account: str) -> str:
    """Return "; did you mean 'acme'?" if there is an account that is like one that there isn't, else ""."""
    rows = Credential.objects.using(queries.database()).filter(upstream=upstream).order_by("account")
    return meant(account, rows.values_list("account", flat=True)[:_MOST_COMPARED])


def meant(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'crm'?", to be put behind the message about an unknown name, or "" if none is like it."""
    closest = closest_name(name, known)
    return _("; did you mean %(name)s?") % {"name": repr(closest)} if closest else ""


def _meant(error: UpstreamError) -> str:
    row = error.credential
    return similar_account(row.upstream, row.account) if row and row.pk is None else ""
