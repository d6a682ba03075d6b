"""Describes what an answer would mean for a credential and its callers, without doing any of it."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jwt_upstream.backends.base import Backend
from jwt_upstream.backends.core import Verdict
from jwt_upstream.conf import conf
from jwt_upstream.formatting import duration

from .readings import Reading

_KEPT = gettext_lazy("What was stored before is kept.")
_LOCKED = gettext_lazy("The credential is locked: calls fail at once, nothing is sent, and the admins get one mail.")
_LOGIN = {
    Verdict.REJECTED: gettext_lazy("LoginRejected is raised: wrong username or password, or another step is needed."),
    Verdict.LOCKED: gettext_lazy("AccountLocked is raised."),
    Verdict.CONFIG: gettext_lazy("UpstreamMisconfigured is raised: the settings are wrong."),
}


def consequence(reading: Reading, backend: Backend) -> str:
    """Return a few sentences on what an answer means for the credential and its callers."""
    if reading.where == "api":
        sentences = _of_call(reading)
    else:
        sentences = _of_login(reading) if reading.where == "login" else _of_refresh(reading, backend)
    return " ".join(map(str, sentences))


def _of_call(reading: Reading) -> Iterator[str | Promise]:
    if reading.verdict is Verdict.OK:
        yield _("The caller gets the answer.")
    elif reading.verdict is Verdict.EXPIRED:
        yield _("The token is refreshed, once for all workers, and the same call is sent again once.")
    elif reading.verdict is Verdict.LOCKED:
        yield _LOCKED
        yield _("The caller gets AccountLocked.")
    else:
        yield _("The answer is not about the token: the caller gets it, and nothing changes.")


def _of_login(reading: Reading) -> Iterator[str | Promise]:
    if reading.verdict is Verdict.OK:
        yield _("upstream_login would store the pair, and the credential would be active.")
        return
    if reading.verdict in _LOGIN:
        yield _LOGIN[reading.verdict]
    elif reading.retry_after:
        text = _("RefreshUnavailable is raised, with a retry_after of %(span)s.")
        yield text % {"span": duration(reading.retry_after)}
    else:
        yield _("RefreshUnavailable is raised.")
    yield _KEPT


def _of_refresh(reading: Reading, backend: Backend) -> Iterator[str | Promise]:
    if reading.verdict is Verdict.OK:
        yield _("The new pair is stored, and all workers use it.")
        if not reading.refresh:
            yield _("The refresh token that was sent is kept, since no new one came.")
    elif reading.verdict is Verdict.LOCKED:
        yield _LOCKED
        yield _("The tokens are kept, so that upstream_try_again, or the admin, can use them.")
    elif reading.verdict is Verdict.REJECTED:
        yield _rejected(backend)
    else:
        yield _("The credential is kept.")
        yield _backoff(reading, backend)
        yield _mail(reading)
        if reading.is_ambiguous:
            yield _("The upstream may have spent the refresh token although no pair came back.")


def _rejected(backend: Backend) -> str:
    if backend.automatic_login:
        return _(
            "LOGIN is tried once. If that fails too, the credential is rejected until somebody logs in: calls fail at "
            "once, nothing is sent, and the admins get one mail."
        )
    return _(
        "The credential is rejected until somebody logs in: calls fail at once, nothing is sent, and the admins get "
        "one mail."
    )


def _backoff(reading: Reading, backend: Backend) -> str:
    spans = {"first": duration(backend.backoff), "most": duration(backend.backoff_max)}
    if not reading.retry_after:
        text = _("The next refresh is attempted after %(first)s, doubled with each failure up to %(most)s.")
        return text % spans
    text = _(
        "The next refresh is attempted after %(first)s, doubled with each failure up to %(most)s, but at least the "
        "%(asked)s that the upstream asks for."
    )
    return text % {**spans, "asked": duration(reading.retry_after)}


def _mail(reading: Reading) -> str:
    if reading.verdict is Verdict.CONFIG:
        return _("The admins get one mail about the upstream at once.")
    text = _("The admins get one mail about the upstream if it lasts for %(span)s.")
    return text % {"span": duration(conf.outage_seconds)}
