"""``manage.py upstream_probe``: shows what would be sent to an upstream, and explains its answers; shows no secret."""

from __future__ import annotations

import json
import shutil
import textwrap
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from django.core.checks import ERROR, CheckMessage
from django.core.management.base import CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, ngettext

from jwt_upstream.backends import Backend, Verdict, get_backend, make_backend, written_settings
from jwt_upstream.backends.explain import NotDiscovered, Preview, Reading, discover, previews, propose
from jwt_upstream.checks import check_upstream
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.formatting import paragraph, sentence
from jwt_upstream.management import prompts
from jwt_upstream.management.arguments import (
    TRY_LATER,
    UpstreamCommand,
    add_account,
    add_alias,
    add_json,
    similar_account,
)
from jwt_upstream.management.discoveries import discovery_data, discovery_lines
from jwt_upstream.management.probe_pages import as_data, preview_lines, reading_lines
from jwt_upstream.management.probes import PROBES, Probe
from jwt_upstream.names import full_name
from jwt_upstream.store import queries

_REQUESTS = {
    "login": gettext_lazy("A login would send:"),
    "refresh": gettext_lazy("A refresh would send:"),
    "api": gettext_lazy("A call would send:"),
    "logout": gettext_lazy("A logout would send:"),
    "device": gettext_lazy("A device login would send:"),
    "browser": gettext_lazy("A person's browser would send:"),
}


class Command(UpstreamCommand):
    """Shows what a configured backend sends, and explains what the upstream answers."""

    help = gettext_noop("""\
Show what would be sent to an upstream, and which problems its settings have;
nothing is sent.

With --login, --refresh, --api or --response an answer is explained: its verdict,
the rule that gave it, the tokens in it, and the consequence for the credential
and its callers. Secrets are never shown.

With --discover URL the server of that issuer is asked what it supports, and an
entry for JWT_UPSTREAM is printed; an alias, if there is one, is its name.""")
    examples = (
        "manage.py upstream_probe crm",
        gettext_noop("manage.py upstream_probe crm --login --username ann    # nothing is stored"),
        "manage.py upstream_probe crm --api 'orders/'",
        "curl -si … | manage.py upstream_probe crm --response - --where refresh",
        "manage.py upstream_probe sso --discover https://sso.example.com/realms/shop",
    )
    exit_codes = {
        0: gettext_noop("the settings have no errors; the verdict of the last answer is OK; settings were discovered"),
        1: gettext_noop(
            "the settings have errors, there is no answer, or its verdict is another one; nothing was discovered"
        ),
        2: gettext_noop("the database is away, try later; or a wrong argument"),
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options that select a request or a saved answer."""
        add_alias(
            parser, nargs="?", help=_("The alias of the upstream in JWT_UPSTREAM; with --discover it may be new.")
        )
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--login", action="store_true", help=_("Log in; the tokens are stored only with --store."))
        how.add_argument(
            "--refresh",
            action="store_true",
            help=_(
                "Refresh the stored credential as the app does: this spends the refresh token and stores the new "
                "pair, and a refusal has its usual consequences."
            ),
        )
        how.add_argument(
            "--api", metavar="PATH", help=_("GET a path with the stored credential, as UpstreamClient does.")
        )
        how.add_argument(
            "--response", metavar="FILE", help=_('Send nothing, but read the output of "curl -i" ("-": stdin).')
        )
        how.add_argument(
            "--discover",
            metavar="URL",
            help=_("Ask the server with this issuer what it supports (RFC 8414, OpenID Connect), and print settings."),
        )
        parser.add_argument(
            "--where", choices=("login", "refresh", "api"), help=_("What the answer of --response is to.")
        )
        parser.add_argument("--store", action="store_true", help=_("Store the pair that --login gets."))
        add_account(parser)
        prompts.add_username(parser)
        prompts.add_password_stdin(parser)
        add_json(parser)

    def handle(self, *args: Any, alias: str | None, **options: Any) -> None:
        """Show the requests, explain answers, or discover settings."""
        _check_options(options)
        if options["discover"]:
            self._discover(options["discover"], alias or "upstream", options)
            return
        if alias is None:
            raise CommandError(_("Give the alias of an upstream, or --discover URL."), returncode=TRY_LATER)
        how = next((name for name in PROBES if options[name]), "")
        try:
            if how:
                backend = get_backend(alias)
                self._explain(backend, PROBES[how](alias, options), options)
            else:
                self._preview(alias, options)
        except UpstreamNotConfigured as error:
            raise CommandError(str(error)) from error

    def _discover(self, url: str, alias: str, options: Mapping[str, Any]) -> None:
        try:
            metadata = discover(url)
        except NotDiscovered as error:
            raise CommandError(f"--discover: {error}.") from None
        proposal = propose(metadata)
        if options["json"]:
            self._print_json(discovery_data(metadata, proposal))
        else:
            width = shutil.get_terminal_size().columns
            self.stdout.write("\n".join(discovery_lines(metadata, proposal, alias, width)))

    def _preview(self, alias: str, options: Mapping[str, Any]) -> None:
        written = written_settings(alias)
        problems, backend = list(check_upstream(alias, written)), make_backend(alias, written)
        number = sum(problem.level >= ERROR for problem in problems)
        if backend.accounts and not number and _is_stored(alias, options["account"]):
            backend = get_backend(alias, options["account"])
        requests = previews(backend)
        if options["json"]:
            messages = [{"id": each.id, "message": each.msg, "hint": each.hint} for each in problems]
            self._print_json(
                {"problems": messages, "requests": {name: asdict(each) for name, each in requests.items()}}
            )
        else:
            self._print_preview(backend, problems, requests)
        if number:
            text = ngettext(
                "%(number)d error in the settings of %(alias)s.",
                "%(number)d errors in the settings of %(alias)s.",
                number,
            )
            raise CommandError(text % {"number": number, "alias": alias})

    def _print_preview(self, backend: Backend, problems: list[CheckMessage], requests: Mapping[str, Preview]) -> None:
        width = shutil.get_terminal_size().columns
        about = {"alias": backend.alias, "backend": type(backend).__name__, "url": backend.base_url}
        self.stdout.write(_("%(alias)s: %(backend)s at %(url)s") % about)
        if not problems:
            self.stdout.write(_("The settings have no problems."))
        for problem in problems:
            style = self.style.ERROR if problem.level >= ERROR else self.style.WARNING
            self.stdout.write(style(f"{problem.msg}\n") + paragraph(str(problem.hint), width))
        for name, preview in requests.items():
            self.stdout.write("\n".join(["", _heading(name), "", *preview_lines(preview, width)]))
        note = _(
            "Nothing was sent. {name} is a placeholder for a value, and […] for a possible secret. To explain an "
            "answer, give --login, --refresh, --api PATH, or --response FILE --where login, refresh or api."
        )
        self.stdout.write("\n" + textwrap.fill(note, width, break_on_hyphens=False))

    def _explain(self, backend: Backend, probe: Probe, options: Mapping[str, Any]) -> None:
        readings = probe.readings
        if options["json"]:
            self._print_json({"answers": [as_data(each, backend) for each in readings], "said": probe.message})
        else:
            width = shutil.get_terminal_size().columns
            for reading in readings:
                self.stdout.write("\n".join([*reading_lines(reading, backend, width), ""]))
            if probe.message:
                self.stdout.write(paragraph(probe.message, width, indent=""))
        if not readings and probe.needs_no_answer:
            return
        if not readings or readings[-1].verdict is not Verdict.OK:
            raise _no_success(backend.alias, readings)

    def _print_json(self, value: Any) -> None:
        self.stdout.write(json.dumps(value, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False))


def _is_stored(alias: str, account: str) -> bool:
    """Tell whether an account is registered; raises CommandError for one that was asked for by its name and isn't."""
    if queries.find(alias, account, queries.database()):
        return True
    if account == "default":
        return False
    text = _("%(account)s is not registered") % {"account": full_name(alias, account)}
    raise CommandError(sentence(text + similar_account(alias, account)))


def _no_success(alias: str, readings: list[Reading]) -> CommandError:
    if not readings:
        return CommandError(_("%(alias)s: there is no answer.") % {"alias": alias})
    verdict = readings[-1].verdict.name
    return CommandError(_("%(alias)s: the verdict is %(verdict)s.") % {"alias": alias, "verdict": verdict})


def _heading(name: str) -> str:
    return str(_REQUESTS[name])


def _check_options(options: Mapping[str, Any]) -> None:
    if bool(options["response"]) != bool(options["where"]):
        raise CommandError(_("--response needs --where login, refresh or api, and --where needs --response."))
    for name in ("store", "username", "password_stdin"):
        if options[name] and not options["login"]:
            text = _("%(option)s can only be used with --login.")
            raise CommandError(text % {"option": f"--{name.replace('_', '-')}"})
