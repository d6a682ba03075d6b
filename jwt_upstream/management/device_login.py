"""How a command logs in on a server without a browser: it shows the code, and waits until a person has confirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil

from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from jwt_upstream.formatting import duration
from jwt_upstream.login import DeviceLogin, begin_device_login
from jwt_upstream.models import Credential
from jwt_upstream.names import command

from .arguments import NEEDS_HUMAN


def device_login(alias: str, account: str, show: Callable[[str], None], by: str) -> Credential:
    """Log in by a code that ``show`` is given; Ctrl-C ends it with CommandError."""
    begun = None
    try:
        begun = begin_device_login(alias, account, by=by)
        show("\n".join(_instructions(begun)))
        return begun.wait()
    except KeyboardInterrupt:
        text = _("Cancelled; no tokens were stored.")
        if begun and begun.is_confirmed:
            text = _("Cancelled while the tokens were being stored: %(command)s shows if they are.")
        about = {"command": command("upstream_status", alias)}
        raise CommandError(text % about, returncode=NEEDS_HUMAN) from None


def _instructions(begun: DeviceLogin) -> Iterator[str]:
    yield _("On any device, open this address in a browser, and enter the code:")
    yield ""
    yield f"    {begun.verification_uri}"
    yield f"    {begun.user_code}"
    yield ""
    if begun.verification_uri_complete:
        yield _("Or open this one, which has the code in it, and compare the code that it shows:")
        yield ""
        yield f"    {begun.verification_uri_complete}"
        yield ""
    text = _("Waiting until the login is confirmed, for %(span)s at most; Ctrl-C cancels.")
    yield text % {"span": duration(ceil(begun.expires_in))}
