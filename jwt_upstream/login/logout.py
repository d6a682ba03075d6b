"""Forgetting the tokens of an account on purpose, and telling the upstream that they are no longer used."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jwt_upstream.backends import Outcome, Verdict, get_backend
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.fields import DecryptionError
from jwt_upstream.formatting import timestamp
from jwt_upstream.models import Credential, Event
from jwt_upstream.names import full_name
from jwt_upstream.refresh import mismatched, write_or_raise
from jwt_upstream.store import EventDetails, queries, transitions
from jwt_upstream.tokens import TokenPair
from jwt_upstream.tracebacks import without_variables

logger = logging.getLogger("jwt_upstream")

#: Logged in English, and shown in the reader's language.
_ELSEWHERE = gettext_noop("the tokens were obtained for other settings, and are sent nowhere else")


@dataclass(frozen=True)
class Logout:
    """What became of a logout at the upstream, in a sentence that may be shown.

    ``is_told`` is true if the upstream has ended the tokens, false if it could not be told, and None if it was not to
    be: without tokens, without a ``revoke_path``, or on request.
    """

    is_told: bool | None
    text: str

    def __str__(self) -> str:
        return self.text


@without_variables
def log_out(upstream: str, account: str, *, by: str = "", local_only: bool = False) -> Logout:
    """Forget the tokens; calls raise NotLoggedIn until the next login.

    After that is committed the upstream is told, within five seconds, if its backend has a ``revoke_path``; whatever
    happens there is returned and logged, and raises nothing. With ``local_only`` nothing is sent.

    Raises RefreshBlocked or RefreshUnavailable if the row can't be written; then nobody is told.
    """
    rows: list[Credential] = []
    forget = partial(_forget, upstream, account, EventDetails(by=by), rows)
    event = write_or_raise(forget, full_name(upstream, account))
    row = rows[-1] if event else None
    if row is None or not (row.access_token or row.refresh_token):
        return Logout(None, _("There were no tokens."))
    return _not_told(row, _("as was asked")) if local_only else _tell(row)


def _forget(upstream: str, account: str, details: EventDetails, rows: list[Credential]) -> Event | None:
    # On the connection that writes, not on the caller's: at REPEATABLE READ its snapshot would show the same row for
    # ever, however often the row has moved on.
    using = queries.database()
    while row := queries.find(upstream, account, using):
        rows[:] = [row]  # as it is before: the tokens of which the upstream is told, also if no commit is acknowledged
        if event := transitions.log_out(row, using, details):
            return event
    return None


def _tell(row: Credential) -> Logout:
    if mismatched(row):
        return _failed(row, _ELSEWHERE)
    try:
        pair = row.pair
    except DecryptionError as error:
        return _failed(row, error.reason)
    outcome = _revoke(row, pair)
    if outcome is None:
        return _not_told(row, _("it has no revoke_path in settings, or none for these tokens"))
    if outcome.verdict is not Verdict.OK:
        return _failed(row, outcome.full_reason)
    logger.info("%s: the upstream was told of the logout", row)
    return Logout(True, _("The upstream was told, and has ended them."))


def _revoke(row: Credential, pair: TokenPair) -> Outcome | None:
    backend = None
    try:
        backend = get_backend(row.upstream, row)
        return backend.revoke(pair)
    except UpstreamNotConfigured:
        return Outcome(Verdict.CONFIG, gettext_noop("it is not, or wrongly, configured in JWT_UPSTREAM"))
    except Exception as error:
        # A bug in somebody's backend: neither its message nor its frames, which may hold tokens, go anywhere.
        return Outcome(Verdict.TRANSIENT, f"{type(error).__name__} in {type(backend).__name__}.revoke")


def _failed(row: Credential, reason: str) -> Logout:
    logger.warning("%s: the upstream could not be told of the logout: %s", row, reason)
    text = _("The upstream could not be told: %(reason)s; %(validity)s.")
    return Logout(False, text % {"reason": _(reason), "validity": _validity(row)})


def _not_told(row: Credential, reason: str) -> Logout:
    text = _("The upstream was not told: %(reason)s; %(validity)s.")
    return Logout(None, text % {"reason": reason, "validity": _validity(row)})


def _validity(row: Credential) -> str:
    expiry = row.refresh_expires_at if row.refresh_token else row.access_expires_at
    text = _("there the tokens stay valid until %(when)s")
    if expiry is None:
        text = _("there the tokens stay valid until it ends them by itself")
    return text % {"when": timestamp(expiry)}
