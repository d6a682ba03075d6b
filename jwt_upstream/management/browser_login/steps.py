"""``upstream_login --browser``: sends a person to the upstream's page, and takes the URL that comes back."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from jwt_upstream.backends import get_backend
from jwt_upstream.exceptions import LoginRejected
from jwt_upstream.login import BrowserLogin
from jwt_upstream.management import prompts
from jwt_upstream.models import Credential

from .loopback import Loopback, port_of

#: Fixed, since many upstreams compare the port of a redirect URI as well (RFC 8252, section 7.3, asks them not to).
PORT = 8400
_TIMEOUT = 300
_DETAILS = ("port", "timeout", "no_open", "print_url", "redirected_url", "pending_file")

Say = Callable[[str], None]


def add_arguments(parser: ArgumentParser, how: Any) -> None:
    """Add ``--browser`` to the group of ways to log in, and what belongs to it to the parser."""
    how.add_argument(
        "--browser",
        action="store_true",
        help=_("Log in by a browser: print the URL to open, and wait for the redirect, or for its URL to be pasted."),
    )
    more = parser.add_argument_group(_("with --browser"))
    port_help = _("Listen on this port of 127.0.0.1, whatever redirect_uri in OPTIONS is (default: %(port)d).")
    more.add_argument("--port", type=_port, help=port_help % {"port": PORT})
    seconds_help = _("How many seconds to wait for the redirect (default: %(seconds)d; at most 600).")
    more.add_argument("--timeout", type=_seconds, help=seconds_help % {"seconds": _TIMEOUT})
    more.add_argument("--no-open", action="store_true", help=_("Only print the URL; open no browser."))
    step = more.add_mutually_exclusive_group()
    step.add_argument(
        "--print-url",
        action="store_true",
        help=_("First of two steps: print the URL, keep what belongs to it for ten minutes, encrypted, and end."),
    )
    step.add_argument(
        "--redirected-url",
        metavar="URL",
        help=_(
            "Second step: the URL that the browser was redirected to. Give - to have it read from standard input, "
            "since a process list shows arguments."
        ),
    )
    file_help = _("Where the two steps keep it (default: a file of your own).")
    more.add_argument("--pending-file", type=Path, help=file_help)


def check(options: Mapping[str, Any]) -> None:
    """Raise CommandError for options that don't go together."""
    given = [name for name in _DETAILS if options[name]]
    if given and not options["browser"]:
        raise CommandError(_("%(option)s needs --browser.") % {"option": f"--{given[0].replace('_', '-')}"})
    if options["browser"] and options["username"]:
        raise CommandError(_("--username can't be used with --browser: the person types it at the upstream."))


def log_in(alias: str, account: str, options: Mapping[str, Any], say: Say) -> Credential:
    """Log in by a browser on this host, or on another one from which a person pastes the URL."""
    redirect_uri = _redirect_uri(alias, account, options["port"])
    begun = BrowserLogin.begin(alias, account, redirect_uri)
    try:
        redirected = _redirected(begun, redirect_uri, options, say)
    except (EOFError, KeyboardInterrupt):
        raise CommandError(_("Cancelled; no tokens were stored.")) from None
    if not redirected:
        raise CommandError(_("No redirect came in time; no tokens were stored."))
    return begun.complete(redirected, by=prompts.by("upstream_login"))


def print_url(alias: str, account: str, options: Mapping[str, Any], say: Say) -> str:
    """Begin a login, keep it, and return the URL to open."""
    begun = BrowserLogin.begin(alias, account, _redirect_uri(alias, account, options["port"]))
    file = _pending_file(alias, account, options)
    _keep(file, begun.seal())
    text = _("Open this URL in a browser within ten minutes, on whichever host; %(file)s has what belongs to it.")
    say(text % {"file": file})
    say(_("Then give the URL that the browser was redirected to, also if it shows an error: --redirected-url -"))
    return begun.url


def complete(alias: str, account: str, options: Mapping[str, Any]) -> Credential:
    """Complete the login that was kept, once, with the URL that the browser was redirected to."""
    redirected = options["redirected_url"]
    if redirected == "-":
        redirected = sys.stdin.read()
    begun = BrowserLogin.unseal(_take(_pending_file(alias, account, options)))
    if (begun.upstream, begun.account) != (alias, account):
        raise CommandError(_("The file is of a login to another upstream or account; nothing was stored."))
    return begun.complete(redirected, by=prompts.by("upstream_login"))


def _redirect_uri(alias: str, account: str, port: int | None) -> str:
    configured = get_backend(alias, account).redirect_uri
    return configured if configured and port is None else f"http://127.0.0.1:{port or PORT}/"


def _redirected(begun: BrowserLogin, redirect_uri: str, options: Mapping[str, Any], say: Say) -> str:
    terminal = sys.stdin if prompts.is_terminal() else None
    if port_of(redirect_uri) is None:
        if terminal is None:
            text = _(
                "The redirect goes to %(uri)s, where this command can't listen, and there is no terminal to paste its "
                "URL: use --print-url and --redirected-url, or give --port."
            )
            raise CommandError(text % {"uri": redirect_uri})
        text = _("The browser is then redirected to %(uri)s. Paste the whole URL here:")
        _tell(begun, options, say, text % {"uri": redirect_uri})
        return input().strip()
    with Loopback(redirect_uri, begun.is_answered_by) as loopback:
        texts = [_("Waiting for the redirect to %(uri)s.") % {"uri": redirect_uri}]
        if terminal:
            texts.append(_("If the browser is on another host, paste the URL that it is redirected to:"))
        _tell(begun, options, say, " ".join(texts))
        return loopback.wait(options["timeout"] or _TIMEOUT, terminal)


def _tell(begun: BrowserLogin, options: Mapping[str, Any], say: Say, what_then: str) -> None:
    say("\n\n".join([_("Open this URL in a browser and log in:"), begun.url, ""]))
    say(what_then)
    if not options["no_open"] and _has_browser():
        webbrowser.open(begun.url)


def _has_browser() -> bool:
    # Without a display the module would start a browser for terminals, in this one.
    return sys.platform in {"darwin", "win32"} or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())


# -- what is kept between two steps


def _pending_file(alias: str, account: str, options: Mapping[str, Any]) -> Path:
    name = sha256(f"{os.getuid()} {alias} {account}".encode()).hexdigest()[:16]
    return options["pending_file"] or Path(tempfile.gettempdir()) / f"upstream_login-{name}"


def _keep(file: Path, sealed: str) -> None:
    """Write a file of this user's own, in place of that of an earlier login only."""
    try:
        if file.exists():
            BrowserLogin.unseal(_text(file))
            file.unlink()
        # Whoever made a file or link of this name meanwhile is not followed.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except LoginRejected:
        text = _("%(file)s exists, and is no login that was begun; give another --pending-file.")
        raise CommandError(text % {"file": file}) from None
    except OSError as error:
        text = _("%(file)s can't be written (%(error)s); give another --pending-file.")
        raise CommandError(text % {"file": file, "error": error.strerror}) from None
    with open(descriptor, "w") as stream:
        stream.write(sealed)


def _take(file: Path) -> str:
    """Read a file and delete it; of two commands at the same time one can."""
    try:
        sealed = _text(file)
        file.unlink()
    except FileNotFoundError:
        text = _(
            "No login was begun, or it was completed already: there is no %(file)s. Begin with --print-url; nothing "
            "was stored."
        )
        raise CommandError(text % {"file": file}) from None
    except OSError as error:
        text = _("%(file)s can't be read and deleted (%(error)s); nothing was stored.")
        raise CommandError(text % {"file": file, "error": error.strerror}) from None
    return sealed


def _text(file: Path) -> str:
    stream: TextIO
    with open(file, encoding="ascii", errors="replace") as stream:
        return stream.read(16 * 1024)


# -- arguments


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ArgumentTypeError(_("must be a port, from 1 to 65535"))
    return int(text)


def _seconds(text: str) -> float:
    if not text.replace(".", "", 1).isdecimal() or not 0 < float(text) <= 600:
        raise ArgumentTypeError(_("must be a number of seconds, at most 600"))
    return float(text)
