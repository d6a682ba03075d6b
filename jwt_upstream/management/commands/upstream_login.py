"""``manage.py upstream_login``: obtains or adopts the first tokens of an account; shows no secret."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, pgettext

from jwt_upstream.backends import get_backend
from jwt_upstream.backends.core import masked
from jwt_upstream.clock import host_now
from jwt_upstream.formatting import time_left, timestamp
from jwt_upstream.login import adopt, login
from jwt_upstream.management import browser_login, prompts, registration
from jwt_upstream.management.arguments import UpstreamCommand, add_account, add_alias, add_json, told_in_a_line
from jwt_upstream.management.device_login import device_login
from jwt_upstream.models import Credential
from jwt_upstream.names import full_name, harmless
from jwt_upstream.recorded import translated
from jwt_upstream.refresh import is_renewable
from jwt_upstream.tokens import TokenPair, expiry_at, fingerprint

_TOKENS = {"access": ("access", "access_token", "token"), "refresh": ("refresh", "refresh_token")}
_EXPIRIES = ("access_expires_at", "refresh_expires_at")
_KEYS = tuple(key for keys in _TOKENS.values() for key in keys) + _EXPIRIES


class Command(UpstreamCommand):
    """Logs in at an upstream, or adopts tokens obtained elsewhere."""

    help = gettext_noop("""\
Log in to an upstream and store its tokens, encrypted.

The command prompts for the username and password. Without a terminal they come
from --username and --password-stdin, or from the environment variables
JWT_UPSTREAM_USERNAME and JWT_UPSTREAM_PASSWORD (JWT_UPSTREAM_<NAME> for any
other value that the login needs). With --browser a person logs in on the
upstream's own page. With --device a person confirms the login in a browser
anywhere: the command shows a code, and waits. With --tokens-stdin nothing is
sent: tokens that were obtained elsewhere are stored.

What ACCOUNTS in settings names is stored first: --set gives the parameters, and
secrets that are missing are asked for as a password is. With --password-stdin
their lines come before the password's. If the login fails, they stay stored.

On any failure the tokens that were stored before are kept.""")
    examples = (
        "manage.py upstream_login crm",
        "manage.py upstream_login crm --account acme --username bob --password-stdin < password.txt",
        "manage.py upstream_login drive --browser",
        "manage.py upstream_login drive --device",
        "manage.py upstream_login crm --tokens-stdin < tokens.json",
        "manage.py upstream_login shop --account acme --set subdomain=acme --set region=eu",
    )
    exit_codes = {
        0: gettext_noop("the tokens are stored, or with --no-login what the account has of its own"),
        1: gettext_noop("no tokens were stored: the login was refused, or an argument or a setting is wrong"),
        2: gettext_noop("no tokens were stored: the upstream or the database is away, try later; or a wrong argument"),
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add everything but secrets, which a process list would show."""
        add_alias(parser)
        add_account(parser)
        prompts.add_username(parser)
        add_json(parser)
        how = parser.add_mutually_exclusive_group()
        prompts.add_password_stdin(how)
        browser_login.add_arguments(parser, how)
        registration.add_arguments(parser)
        how.add_argument(
            "--tokens-stdin",
            action="store_true",
            help=_(
                "Don't log in, but read tokens that were obtained elsewhere from standard input: a JSON object with "
                "access and refresh, and optionally access_expires_at and refresh_expires_at (ISO 8601 or epoch "
                "seconds)."
            ),
        )
        how.add_argument(
            "--device",
            action="store_true",
            help=_(
                "Show a code which a person enters in a browser, on whatever device, and wait for that (RFC 8628); "
                "with --json the code goes to standard error."
            ),
        )

    def handle(self, *args: Any, alias: str, account: str, **options: Any) -> None:
        """Log in or adopt tokens, and print a summary."""
        browser_login.check(options)
        with told_in_a_line(_("%(problem)s; nothing was stored.")):
            has_stored = registration.store_values(alias, account, options)
        if options["no_login"]:
            self.stdout.write(_("%(account)s: stored. Nothing was sent.") % {"account": full_name(alias, account)})
            return
        if options["print_url"]:
            self.stdout.write(browser_login.print_url(alias, account, options, self._shown(options)))
            return
        ways = {"tokens_stdin": self._adopt, "device": self._by_device, "browser": self._by_browser}
        get_tokens = next((ways[name] for name in ways if options[name]), self._log_in)
        kept = _("%(problem)s; what the account has of its own is stored, but no tokens.")
        with told_in_a_line(kept if has_stored else _("%(problem)s; nothing was stored.")):
            credential = get_tokens(alias, account, options)
        if options["json"]:
            self.stdout.write(json.dumps(_data(credential), cls=DjangoJSONEncoder, indent=2))
            return
        self.stdout.write("\n".join(_summary(credential)))
        if not is_renewable(get_backend(alias, credential), credential):
            self.stdout.write(self.style.WARNING(_warning(credential)))

    def _log_in(self, alias: str, account: str, options: Mapping[str, Any]) -> Credential:
        if (own := registration.own_login(alias, account, options)) is not None:
            return login(alias, account, own, by=prompts.by("upstream_login"))
        backend = get_backend(alias, account)
        if backend.has_browser_login and not options["password_stdin"] and "JWT_UPSTREAM_CODE" not in os.environ:
            raise CommandError(
                _("A login of %(alias)s takes a person in a browser: give --browser.") % {"alias": alias}
            )
        credentials = prompts.credentials(alias, backend.login_asks, options)
        return login(alias, account, credentials, by=prompts.by("upstream_login"))

    def _by_device(self, alias: str, account: str, options: Mapping[str, Any]) -> Credential:
        if options["username"]:
            raise CommandError(_("--username can't be used with --device."))
        get_backend(alias)
        return device_login(alias, account, self._shown(options), prompts.by("upstream_login"))

    def _by_browser(self, alias: str, account: str, options: Mapping[str, Any]) -> Credential:
        if options["redirected_url"]:
            return browser_login.complete(alias, account, options)
        return browser_login.log_in(alias, account, options, self._shown(options))

    def _shown(self, options: Mapping[str, Any]) -> Callable[[str], None]:
        def show(text: str) -> None:
            # At once: what is written to a pipe or a log is kept back otherwise, until the login is over.
            out = self.stderr if options["json"] or options["print_url"] else self.stdout
            out.write(text, style_func=str)
            out.flush()

        return show

    def _adopt(self, alias: str, account: str, options: Mapping[str, Any]) -> Credential:
        if options["username"]:
            raise CommandError(_("--username can't be used with --tokens-stdin."))
        get_backend(alias)
        prompts.refuse_terminal("--tokens-stdin", _("a JSON object, such as < tokens.json"))
        return adopt(alias, account, _pair(sys.stdin.read()), by=prompts.by("upstream_login"))


def _pair(text: str) -> TokenPair:
    values = _json_object(text)
    if unknown := sorted(values.keys() - set(_KEYS)):
        names = masked(", ".join(unknown))  # a token may stand where its name belongs
        text = _("--tokens-stdin: unknown key %(names)s; the keys are %(keys)s.")
        raise CommandError(text % {"names": names, "keys": ", ".join(_KEYS)})
    tokens = {name: _one_of(values, keys) for name, keys in _TOKENS.items()}
    if not any(tokens.values()):
        raise CommandError(_("--tokens-stdin: there is no token; the object needs access and refresh."))
    expiries = [_expiry(values, name) for name in _EXPIRIES]
    try:
        return TokenPair(**tokens, access_expires_at=expiries[0], refresh_expires_at=expiries[1])
    except ValueError as error:  # the message doesn't show the token
        raise CommandError(f"--tokens-stdin: {error}.") from None


def _json_object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise CommandError(_("--tokens-stdin: standard input is not a JSON object."))
    return values


def _one_of(values: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    found = [values[key] for key in keys if values.get(key) is not None]
    if len(found) > 1:
        raise CommandError(_("--tokens-stdin: give only one of %(keys)s.") % {"keys": ", ".join(keys)})
    return found[0] if found else ""


def _expiry(values: Mapping[str, Any], name: str) -> datetime | None:
    if values.get(name) is None:
        return None
    expiry = expiry_at(values[name])
    if expiry is None:
        text = _("--tokens-stdin: %(name)s is neither an ISO 8601 time nor epoch seconds.")
        raise CommandError(text % {"name": name})
    return expiry


def _summary(credential: Credential) -> Iterable[str]:
    pair, now = credential.pair, host_now()
    text = _("%(credential)s: logged in as %(username)s.") if credential.username else _("%(credential)s: logged in.")
    yield text % {"credential": credential, "username": harmless(credential.username)}
    for name, token, expiry in (
        (_("access token"), pair.access, pair.access_expires_at),
        (_("refresh token"), pair.refresh, pair.refresh_expires_at),
    ):
        yield f"  {name:<14} {_shown_token(token, expiry, now)}"
    yield _("The tokens are stored encrypted. The admin and the history show their fingerprints instead.")


def _shown_token(token: str, expiry: datetime | None, now: datetime) -> str:
    if not token:
        return pgettext("token", "none")
    text = _("expires %(when)s (%(span)s), fingerprint %(fingerprint)s")
    if expiry is None:
        text = _("unknown expiry, fingerprint %(fingerprint)s")
    return text % {"when": timestamp(expiry), "span": time_left(expiry, now), "fingerprint": fingerprint(token)}


def _data(credential: Credential) -> dict[str, Any]:
    pair = credential.pair
    return {
        "upstream": credential.upstream,
        "account": credential.account,
        "username": credential.username,
        "access_expires_at": pair.access_expires_at,
        "refresh_expires_at": pair.refresh_expires_at,
        "access_fingerprint": fingerprint(pair.access),
        "refresh_fingerprint": fingerprint(pair.refresh),
        "can_be_renewed": is_renewable(get_backend(credential.upstream, credential), credential),
    }


def _warning(credential: Credential) -> str:
    # The event of the login says what was missing in the answer.
    said = "".join(credential.events.values_list("reason", flat=True)[:1])
    look = _("LOGIN in the settings lets the app log in by itself.")
    if "the answer holds" in said:
        look = _(
            "If the answer has a refresh token under another name, add that to refresh_paths in OPTIONS; otherwise "
            "LOGIN in the settings lets the app log in by itself."
        )
    text = _(
        "This credential can't be renewed: %(reason)s. Once the access token has expired, calls fail until somebody "
        "logs in again. %(advice)s"
    )
    return text % {"reason": translated(said), "advice": look}
