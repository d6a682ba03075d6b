"""``manage.py upstream_request``: sends one call with a stored credential, as curl would."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from requests import RequestException, Response
from requests.exceptions import SSLError

from jwt_upstream.backends.core import cause, shown
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.management import calls
from jwt_upstream.management.arguments import (
    NEEDS_HUMAN,
    REFUSED,
    TRY_LATER,
    UpstreamCommand,
    add_account,
    add_alias,
)


class Command(UpstreamCommand):
    """Sends a call with a stored credential."""

    help = gettext_noop("""\
Send one call to an upstream with a stored credential, as a view would: the token
is refreshed if necessary, it goes to the origin of BASE_URL only, redirects are
followed inside that. PATH is relative to BASE_URL.

The body of the answer goes to standard output as it is; the token that was sent
is never shown. Others on this host can see the arguments of a command: give what
is secret by @FILE or by standard input.""")
    examples = (
        "manage.py upstream_request crm GET 'orders/?page=2'",
        "manage.py upstream_request crm POST orders/ --json-body --data '{\"total\": 5}'",
        "manage.py upstream_request crm PUT files/7 --data @report.pdf --header 'Content-Type: application/pdf'",
        "manage.py upstream_request crm GET export --account acme --include --output export.csv",
    )
    exit_codes = {
        0: gettext_noop("the upstream answered with a status below 400"),
        1: gettext_noop("nothing useful was sent: a human must act, or an argument or a setting is wrong"),
        2: gettext_noop("no answer: the upstream or the database is away, try later; or a wrong argument"),
        3: gettext_noop("the upstream answered with a status of 400 or more"),
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the call, and what to do with the answer."""
        add_alias(parser)
        parser.add_argument("method", metavar="METHOD", type=_method, help=_("GET, POST, and so on."))
        parser.add_argument("path", metavar="PATH", help=_("A path below BASE_URL, or a URL of the same origin."))
        add_account(parser)
        parser.add_argument(
            "--data", metavar="DATA", help=_("The body: a text, @FILE, or - for standard input; a form by default.")
        )
        parser.add_argument("--json-body", action="store_true", help=_("The data is JSON: check that, and say so."))
        parser.add_argument(
            "--header",
            metavar="HEADER",
            action="append",
            default=[],
            help=_("'Name: value', or @FILE with one in each line; may be repeated."),
        )
        parser.add_argument(
            "--include", action="store_true", help=_("Print the status and the headers before the body.")
        )
        parser.add_argument("--output", metavar="FILE", help=_("Write the body to a file."))

    def handle(self, *args: Any, alias: str, **options: Any) -> None:
        """Send the call, print the answer, and end with a code that says how it went."""
        body = None if options["data"] is None else calls.content("--data", options["data"])
        if options["json_body"]:
            calls.check_json(body or b"")
        headers = calls.headers(options["header"], has_body=body is not None, is_json=options["json_body"])
        with UpstreamClient(alias, options["account"]) as client:
            try:
                secrets = calls.stored_tokens(alias, options["account"])
                response = client.request(options["method"], options["path"], data=body, headers=headers, stream=True)
                if options["include"]:
                    secrets += calls.secrets(alias, options["account"])  # a refresh may have replaced them
                    self._print_head(response, secrets)
                self._print(response, options["output"])
            except UpstreamError:
                raise
            except (RequestException, ValueError) as error:
                raise _no_answer(error) from None
        if response.status_code >= 400:
            text = _("%(alias)s: the answer is HTTP %(status)d.")
            raise CommandError(text % {"alias": alias, "status": response.status_code}, returncode=REFUSED)

    def _print_head(self, response: Response, secrets: list[str]) -> None:
        self.stdout.write("\n".join([*calls.head(response, secrets), "", ""]), ending="")
        self.stdout.flush()

    def _print(self, response: Response, output: str | None) -> None:
        if output:
            _write(response, output)
        elif self.stdout.isatty() or not hasattr(self.stdout, "buffer"):  # a terminal, or a text of the caller's
            self.stdout.write(calls.body_for_terminal(response))
        else:
            calls.copy_body(response, cast(BinaryIO, self.stdout.buffer))


def _method(text: str) -> str:
    if not (text.isascii() and text.isalpha()):
        raise ArgumentTypeError(_("must be a method of HTTP, such as GET"))
    return text.upper()


def _write(response: Response, output: str) -> None:
    try:
        with Path(output).open("wb") as file:
            calls.copy_body(response, file)
    except OSError as error:
        if isinstance(error, RequestException):  # the upstream stopped in the middle; it is an OSError as well
            raise
        raise CommandError(f"--output: {output}: {error.strerror}.", returncode=NEEDS_HUMAN) from None


def _no_answer(error: Exception) -> CommandError:
    if isinstance(error, ValueError):  # a URL or header that can't be sent, of which the message says more
        text = _("Nothing was sent: %(problem)s.") % {"problem": shown(str(error))}
        return CommandError(text, returncode=NEEDS_HUMAN)
    code = NEEDS_HUMAN if isinstance(error, SSLError) else TRY_LATER
    return CommandError(_("No answer: %(problem)s.") % {"problem": cause(error)}, returncode=code)
