"""``manage.py upstream_rebind``: confirms that stored tokens are for what the settings name now."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.binding import Change, described
from jwt_upstream.management import prompts
from jwt_upstream.management.arguments import (
    UpstreamCommand,
    add_accounts,
    add_alias,
    add_json,
)
from jwt_upstream.models import Credential
from jwt_upstream.names import full_name
from jwt_upstream.refresh import changed_settings, find, rebind
from jwt_upstream.store import queries

_CHUNK_ROWS = 500


@dataclass(frozen=True)
class Rebound:
    """What was confirmed of one credential."""

    upstream: str
    account: str
    changes: list[dict[str, str]]

    @classmethod
    def of(cls, row: Credential, found: Iterable[Change]) -> Rebound:
        """Return what was confirmed of a row."""
        return cls(row.upstream, row.account, [each._asdict() for each in found])

    def __str__(self) -> str:
        found = [Change(**each) for each in self.changes]
        name = full_name(self.upstream, self.account)
        return _("%(credential)s: confirmed, %(changes)s.") % {"credential": name, "changes": described(found)}


class Command(UpstreamCommand):
    """Confirms a move."""

    help = gettext_noop("""\
Confirm that the stored tokens of an account are for what the settings name now:
another origin, token endpoint, client or scope than they were obtained for.
Until then they are not used, and calls raise CredentialMismatch;
upstream_status says what has changed.

Nothing is sent now, but from now on the tokens go where the settings say. So
make sure that this is the same service, such as after a move to another host,
and not a staging site. If in doubt, log in again.

With --all this is confirmed of every account of the upstream that needs it. Who
did so is recorded in the history.""")
    examples = (
        "manage.py upstream_rebind crm",
        "manage.py upstream_rebind crm --account acme",
        "manage.py upstream_rebind crm --all --json",
    )
    exit_codes = {
        0: gettext_noop("the tokens may be used with these settings, or could be before"),
        1: gettext_noop("an argument or a setting is wrong, or nobody has logged in"),
        2: gettext_noop("the database is away, or a transaction holds the row: try later; or a wrong argument"),
    }

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add which credentials to bind."""
        add_alias(parser)
        add_accounts(parser)
        add_json(parser)

    def handle(self, *args: Any, alias: str, account: str, **options: Any) -> None:
        """Confirm one after the other, and print a line for each."""
        rebound: list[Rebound] = []
        backend = get_backend(alias)
        for row in _all(backend) if options["all"] else [find(alias, account)]:
            if found := rebind(row, by=prompts.by("upstream_rebind")):
                rebound.append(Rebound.of(row, found))
                self._say(str(rebound[-1]), options["json"])
        if options["json"]:
            self.stdout.write(json.dumps({"rebound": [asdict(each) for each in rebound]}, indent=2))
        elif not rebound:
            text = _("%(alias)s: nothing was changed, the tokens are for what the settings name.")
            self.stdout.write(text % {"alias": alias})

    def _say(self, text: str, as_json: bool) -> None:
        if not as_json:
            self.stdout.write(self.style.SUCCESS(text))


def _all(backend: Backend) -> Iterator[Credential]:
    rows = Credential.objects.using(queries.database()).filter(upstream=backend.alias).order_by("account")
    yield from [row for row in rows.iterator(chunk_size=_CHUNK_ROWS) if changed_settings(row, backend)]
