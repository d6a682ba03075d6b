"""``manage.py upstream_try_again``: refreshes with the stored tokens, whatever the state and backoff."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from jwt_upstream.backends import get_backend
from jwt_upstream.exceptions import RefreshUnavailable, UpstreamError
from jwt_upstream.management import prompts
from jwt_upstream.management.arguments import (
    NEEDS_HUMAN,
    TRY_LATER,
    UpstreamCommand,
    add_accounts,
    add_alias,
    add_json,
)
from jwt_upstream.models import Credential
from jwt_upstream.names import full_name
from jwt_upstream.refresh import find, in_words, try_again
from jwt_upstream.store import queries

State = Credential.State

#: After so many in a row that can't be refreshed at the moment the others are left alone: the upstream is down.
_MAX_CONSECUTIVE_FAILURES = 3


@dataclass(frozen=True)
class Attempt:
    """What came of one credential; ``problem`` is empty if it works."""

    upstream: str
    account: str
    works: bool
    try_later: bool = False
    problem: str = ""

    def __str__(self) -> str:
        if not self.works:
            return self.problem
        return _("%(credential)s: works, it has a new token.") % {"credential": full_name(self.upstream, self.account)}


class Command(UpstreamCommand):
    """Tries credentials again that needed a human."""

    help = gettext_noop("""\
Refresh a credential with its stored tokens now, whatever its state and backoff:
many servers keep a refresh token good while its user is locked, so that no login
is needed once the account is unlocked. This is the admin's "Try again".

With --all every credential of the upstream is tried that needs a human or could
not be refreshed the last time, one after the other. Those that were logged out
are left alone, and all others once three in a row find the upstream away.""")
    examples = (
        "manage.py upstream_try_again crm",
        "manage.py upstream_try_again crm --account acme",
        "manage.py upstream_try_again crm --all --json",
    )
    exit_codes = {
        0: gettext_noop("all that were tried work"),
        1: gettext_noop("at least one needs a human, as before"),
        2: gettext_noop("the upstream or the database is away: try later; or a wrong argument"),
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add which credentials to try."""
        add_alias(parser)
        add_accounts(parser)
        add_json(parser)

    def handle(self, *args: Any, alias: str, account: str, **options: Any) -> None:
        """Try one after the other, print a line for each, and end with the worst outcome."""
        attempts: list[Attempt] = []
        get_backend(alias)
        rows = _in_trouble(alias) if options["all"] else [find(alias, account)]
        left_out = self._try(rows, attempts, quiet=options["json"])
        if options["json"]:
            data = {"attempts": [asdict(each) for each in attempts], "not_tried": left_out}
            self.stdout.write(json.dumps(data, indent=2))
        elif not attempts:
            self.stdout.write(_("%(alias)s: nothing needs to be tried.") % {"alias": alias})
        _end(alias, attempts, left_out)

    def _try(self, rows: Iterable[Credential], attempts: list[Attempt], *, quiet: bool) -> int:
        """Try until the upstream seems to be down; return how many were left out."""
        left_out = failures = 0
        for row in rows:
            if failures == _MAX_CONSECUTIVE_FAILURES:
                left_out += 1
                continue
            attempt = _attempt(row)
            attempts.append(attempt)
            failures = failures + 1 if attempt.try_later else 0
            if not quiet:
                self.stdout.write(self.style.SUCCESS(str(attempt)) if attempt.works else str(attempt))
        return left_out


def _in_trouble(alias: str) -> list[Credential]:
    rows = Credential.objects.using(queries.database()).filter(upstream=alias)
    lost = rows.filter(state__in=[State.REJECTED, State.LOCKED, State.UNREADABLE])
    return list(chain(lost.order_by("account"), queries.failing(rows, [alias]).order_by("account")))


def _attempt(row: Credential) -> Attempt:
    try:
        try_again(row, by=prompts.by("upstream_try_again"))
    except (UpstreamError, ImproperlyConfigured) as error:
        return Attempt(row.upstream, row.account, False, isinstance(error, RefreshUnavailable), in_words(error))
    return Attempt(row.upstream, row.account, True)


def _end(alias: str, attempts: list[Attempt], left_out: int) -> None:
    failed = [each for each in attempts if not each.works]
    if not failed:
        return
    text = ngettext(
        "%(alias)s: %(number)d of %(total)d does not work yet.",
        "%(alias)s: %(number)d of %(total)d do not work yet.",
        len(failed),
    )
    if left_out:
        text = ngettext(
            "%(alias)s: %(number)d of %(total)d does not work yet, not tried: %(left_out)d.",
            "%(alias)s: %(number)d of %(total)d do not work yet, not tried: %(left_out)d.",
            len(failed),
        )
    counts = {"number": len(failed), "total": len(attempts), "left_out": left_out}
    raise CommandError(
        text % {"alias": alias, **counts},
        returncode=TRY_LATER if all(each.try_later for each in failed) else NEEDS_HUMAN,
    )
