"""``manage.py upstream_logout``: forgets the tokens of an account, and tells the upstream."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.exceptions import NotLoggedIn, UpstreamNotConfigured
from jwt_upstream.formatting import sentence, time_left, timestamp
from jwt_upstream.login import Logout, log_out
from jwt_upstream.management import prompts
from jwt_upstream.management.arguments import (
    REFUSED,
    UpstreamCommand,
    add_account,
    add_alias,
    add_json,
    similar_account,
)
from jwt_upstream.models import Credential
from jwt_upstream.names import full_name
from jwt_upstream.refresh import find, mismatched
from jwt_upstream.store import queries


class Command(UpstreamCommand):
    """Logs an account out."""

    help = gettext_noop("""\
Log an account out: delete its tokens here, then tell the upstream, where it
can be told, that they are no longer used. Calls raise NotLoggedIn until the
next login; LOGIN in the settings is not used for an account that was logged
out.

The command lists what will be lost and asks before it does anything. Without a
terminal it needs --yes.""")
    examples = (
        "manage.py upstream_logout crm",
        "manage.py upstream_logout crm --account acme --yes",
        "manage.py upstream_logout crm --yes --json",
        gettext_noop("manage.py upstream_logout crm --local-only    # others still use the same session"),
    )
    exit_codes = {
        0: gettext_noop("logged out, or there was nothing to log out"),
        1: gettext_noop("nothing was changed: cancelled, unknown alias"),
        2: gettext_noop("nothing was changed: the database is away, or a wrong argument"),
        3: gettext_noop("logged out here, but the upstream could not be told"),
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the account, and how far to go."""
        add_alias(parser)
        add_account(parser)
        parser.add_argument("--local-only", action="store_true", help=_("Send nothing to the upstream."))
        parser.add_argument("--yes", action="store_true", help=_("Don't ask."))
        add_json(parser)

    def handle(self, *args: Any, alias: str, account: str, **options: Any) -> None:
        """Ask, forget the tokens, and say what became of it at the upstream."""
        row = _row(alias, account)
        logout = self._log_out(row, **options) if row and _has_tokens(row) else None
        told = _end_of(alias, account, row, logout)
        has_failed = logout is not None and logout.is_told is False
        if options["json"]:
            self.stdout.write(json.dumps(_data(alias, account, logout), indent=2))
        elif not has_failed:
            self.stdout.write(told)
        if has_failed:
            raise CommandError(told, returncode=REFUSED)

    def _log_out(self, row: Credential, *, local_only: bool, **options: Any) -> Logout:
        if not (options["json"] and options["yes"]):
            out = self.stderr if options["json"] else self.stdout
            out.write("\n".join(_losses(row, _backend(row.upstream), local_only)))
        if not options["yes"]:
            prompts.confirm(_("Log %(credential)s out?") % {"credential": row})
        return log_out(row.upstream, row.account, by=prompts.by("upstream_logout"), local_only=local_only)


def _end_of(alias: str, account: str, row: Credential | None, logout: Logout | None) -> str:
    if logout is None:
        text = _("%(credential)s: there are no tokens, nothing was changed")
        similar = "" if row else similar_account(alias, account)
        return sentence(text % {"credential": full_name(alias, account)} + similar)
    return _("%(credential)s: the tokens are deleted here. %(told)s") % {"credential": row, "told": logout}


def _data(alias: str, account: str, logout: Logout | None) -> dict[str, Any]:
    return {
        "upstream": alias,
        "account": account,
        "logged_out": logout is not None,
        "upstream_told": logout and logout.is_told,
        "told": str(logout or ""),
    }


def _row(alias: str, account: str) -> Credential | None:
    try:
        return find(alias, account)
    except NotLoggedIn:
        if not Credential.objects.using(queries.database()).filter(upstream=alias).exists():
            get_backend(alias)  # raises what there is to say of an unknown alias
        return None


def _has_tokens(row: Credential) -> bool:
    return bool(row.access_token or row.refresh_token)


def _backend(alias: str) -> Backend | None:
    try:
        return get_backend(alias)
    except UpstreamNotConfigured:
        return None


def _losses(row: Credential, backend: Backend | None, local_only: bool) -> Iterator[str]:
    now = row.now()
    text = _("%(credential)s: %(state)s since %(when)s")
    if row.username:
        text = _("%(credential)s: %(state)s since %(when)s as %(username)s")
    about = {"credential": row, "state": row.get_state_display(), "when": timestamp(row.since)}
    yield text % {**about, "username": row.username}
    for what, token, expiry in (
        (_("access token"), row.access_token, row.access_expires_at),
        (_("refresh token"), row.refresh_token, row.refresh_expires_at),
    ):
        if token:
            yield f"  {what:<14} {time_left(expiry, now)}"
    is_told = backend and backend.revoke_path and not local_only and not mismatched(row)
    label, told = _("upstream"), _("is told that they are no longer used") if is_told else _("is not told")
    yield f"  {label:<14} {told}"
    yield _("Calls with this account fail until somebody logs in again.")
