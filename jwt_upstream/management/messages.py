"""What ``upstream_status`` says of messages to admins: what ends soon, and whether the notifiers work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from jwt_upstream.alerts import client_secret_expiries
from jwt_upstream.formatting import time_left, timestamp
from jwt_upstream.names import command, full_name
from jwt_upstream.store import outbox, queries


@dataclass(frozen=True)
class Expiry:
    """The end of an account's login, or of the upstream's client secret, whose account is None."""

    upstream: str
    account: str | None
    expires_at: datetime

    def sentence(self, now: datetime) -> str:
        """Return what to do, and by when."""
        when = {"when": timestamp(self.expires_at), "span": time_left(self.expires_at, now)}
        if self.account is None:
            text = _("The client secret of upstream %(upstream)s expires %(when)s (%(span)s): replace it.")
            return text % {"upstream": self.upstream, **when}
        log_in = command("upstream_login", self.upstream, self.account)
        text = _("The login of %(name)s ends %(when)s (%(span)s), and no refresh puts that off: %(command)s")
        return text % {"name": full_name(self.upstream, self.account), "command": log_in, **when}


def expiries(alias: str | None, now: datetime) -> list[Expiry]:
    """Return what admins are warned of, the client secrets first."""
    secrets = [Expiry(name, None, at) for name, at in client_secret_expiries() if alias in (None, name)]
    logins = (Expiry(*found) for found in outbox.expiring(alias, queries.database()))
    return [each for each in secrets if outbox.is_soon(each.expires_at, now)] + list(logins)


def notified(results: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each notifier that was tried."""
    for name, failure in results.items():
        text = _("%(name)s: failed: %(failure)s") if failure else _("%(name)s: ok")
        yield text % {"name": name, "failure": failure}
