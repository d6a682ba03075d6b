"""What an answer would do to a credential and to its callers, in words; does nothing of it."""

from __future__ import annotations

from jwt_upstream.backends import Backend, Verdict
from jwt_upstream.backends.explain import Reading
from jwt_upstream.conf import conf
from jwt_upstream.formatting import duration

_KEPT = "What was stored before is kept."
_MAIL = "calls fail at once, without a request, and the admins get one mail"
_LOGIN = {
    Verdict.OK: "The pair is stored, and the credential is active.",
    Verdict.REJECTED: f"LoginRejected is raised: wrong username or password. {_KEPT}",
    Verdict.LOCKED: f"AccountLocked is raised. {_KEPT}",
    Verdict.CONFIG: f"UpstreamMisconfigured is raised: the settings want mending. {_KEPT}",
}
_API = {
    Verdict.OK: "The caller gets the answer.",
    Verdict.EXPIRED: "The token is refreshed, once for all workers, and the same call is sent again, once.",
    Verdict.LOCKED: f"The credential is locked: {_MAIL}. The caller gets AccountLocked.",
}


def consequence(reading: Reading, backend: Backend) -> str:
    """Say in a few sentences what comes of an answer."""
    if reading.where == "api":
        return _API.get(reading.verdict, "It is the caller's business: the answer is handed on, and nothing changes.")
    if reading.where == "login":
        return _LOGIN.get(reading.verdict) or f"RefreshUnavailable is raised{_asked_to_wait(reading)}. {_KEPT}"
    return _of_refresh(reading, backend)


def _of_refresh(reading: Reading, backend: Backend) -> str:
    if reading.verdict is Verdict.OK:
        kept = "" if reading.refresh else " The refresh token that was sent is kept, since no new one came."
        return f"The new pair is stored, and every worker goes on with it.{kept}"
    if reading.verdict is Verdict.LOCKED:
        return f"The credential is locked: {_MAIL}. The tokens are kept, to be tried again from the admin."
    if reading.verdict is Verdict.REJECTED:
        first = "LOGIN is tried, once. If that fails, too, the" if backend.automatic_login else "The"
        return f"{first} credential is rejected: {_MAIL}, until somebody logs in."
    return f"The credential is kept. {_pause(reading, backend)} {_mail(reading)}{_doubt(reading)}"


def _pause(reading: Reading, backend: Backend) -> str:
    growing = f"{duration(backend.backoff)}, doubled with each failure up to {duration(backend.backoff_max)}"
    asked = f", but at least the {duration(reading.retry_after)} that were asked for" if reading.retry_after else ""
    return f"Refreshing pauses for {growing}{asked}."


def _mail(reading: Reading) -> str:
    if reading.verdict is Verdict.CONFIG:
        return "The admins get one mail about the upstream, at once."
    return f"The admins get one mail about the upstream if it lasts for {duration(conf.outage_seconds)}."


def _doubt(reading: Reading) -> str:
    return " The refresh token may be spent although no pair came back." if reading.is_ambiguous else ""


def _asked_to_wait(reading: Reading) -> str:
    return f", to try again in {duration(reading.retry_after)}" if reading.retry_after else ", to try again later"
