"""Describes what an answer would mean for a credential and its callers, without doing any of it."""

from __future__ import annotations

from jwt_upstream.backends.base import Backend
from jwt_upstream.backends.core import Verdict
from jwt_upstream.conf import conf
from jwt_upstream.formatting import duration

from .readings import Reading

_KEPT = "What was stored before is kept."
_MAIL = "calls fail at once, nothing is sent, and the admins get one mail"
_LOGIN = {
    Verdict.OK: "upstream_login would store the pair, and the credential would be active.",
    Verdict.REJECTED: f"LoginRejected is raised: wrong username or password, or another step is needed. {_KEPT}",
    Verdict.LOCKED: f"AccountLocked is raised. {_KEPT}",
    Verdict.CONFIG: f"UpstreamMisconfigured is raised: the settings are wrong. {_KEPT}",
}
_API = {
    Verdict.OK: "The caller gets the answer.",
    Verdict.EXPIRED: "The token is refreshed, once for all workers, and the same call is sent again once.",
    Verdict.LOCKED: f"The credential is locked: {_MAIL}. The caller gets AccountLocked.",
}


def consequence(reading: Reading, backend: Backend) -> str:
    """Return a few sentences on what an answer means for the credential and its callers."""
    if reading.where == "api":
        return _API.get(reading.verdict, "The answer is not about the token: the caller gets it, and nothing changes.")
    if reading.where == "login":
        return _LOGIN.get(reading.verdict) or f"RefreshUnavailable is raised{_retry_after(reading)}. {_KEPT}"
    return _of_refresh(reading, backend)


def _of_refresh(reading: Reading, backend: Backend) -> str:
    if reading.verdict is Verdict.OK:
        kept = "" if reading.refresh else " The refresh token that was sent is kept, since no new one came."
        return f"The new pair is stored, and all workers use it.{kept}"
    if reading.verdict is Verdict.LOCKED:
        kept = "The tokens are kept, so that upstream_try_again, or the admin, can use them."
        return f"The credential is locked: {_MAIL}. {kept}"
    if reading.verdict is Verdict.REJECTED:
        first = "LOGIN is tried once. If that fails too, the" if backend.automatic_login else "The"
        return f"{first} credential is rejected until somebody logs in: {_MAIL}."
    return f"The credential is kept. {_backoff(reading, backend)} {_mail(reading)}{_doubt(reading)}"


def _backoff(reading: Reading, backend: Backend) -> str:
    growing = f"{duration(backend.backoff)}, doubled with each failure up to {duration(backend.backoff_max)}"
    asked = (
        f", but at least the {duration(reading.retry_after)} that the upstream asks for" if reading.retry_after else ""
    )
    return f"The next refresh is attempted after {growing}{asked}."


def _mail(reading: Reading) -> str:
    if reading.verdict is Verdict.CONFIG:
        return "The admins get one mail about the upstream at once."
    return f"The admins get one mail about the upstream if it lasts for {duration(conf.outage_seconds)}."


def _doubt(reading: Reading) -> str:
    return " The upstream may have spent the refresh token although no pair came back." if reading.is_ambiguous else ""


def _retry_after(reading: Reading) -> str:
    return f", with a retry_after of {duration(reading.retry_after)}" if reading.retry_after else ""
