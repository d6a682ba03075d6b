"""How a command logs in on a server without a browser: it shows the code, and waits until a person has confirmed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil

from django.core.management.base import CommandError

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
        text = "Cancelled; nothing was stored."
        if begun and begun.is_confirmed:
            text = (
                f"Cancelled while the tokens were being stored: {command('upstream_status', alias)} shows if they are."
            )
        raise CommandError(text, returncode=NEEDS_HUMAN) from None


def _instructions(begun: DeviceLogin) -> Iterator[str]:
    yield "On any device, open this address in a browser, and enter the code:"
    yield ""
    yield f"    {begun.verification_uri}"
    yield f"    {begun.user_code}"
    yield ""
    if begun.verification_uri_complete:
        yield "Or open this one, which has the code in it, and compare the code that it shows:"
        yield ""
        yield f"    {begun.verification_uri_complete}"
        yield ""
    yield f"Waiting until the login is confirmed, for {duration(ceil(begun.expires_in))} at most; Ctrl-C cancels."
