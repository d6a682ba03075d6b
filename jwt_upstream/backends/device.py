"""The device flow (RFC 8628): its two requests and what the answers to them mean. Sends nothing.

A server gives two codes: one that a person enters in a browser anywhere, and a secret one with which we ask, again and
again, whether that has happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from requests import Request, Response

from jwt_upstream.tokens import Secrets, TokenPair

from .core import Outcome, Requests, Verdict, all_filled, filled, is_success, is_web_address, lookup

#: What a server that states none means (section 3.2), and the least that we take.
_INTERVAL = 5.0
_LEAST_INTERVAL = 1.0
#: Salesforce states no lifetime, though it must. No server gives a person longer than the longest.
_LIFETIME = 600.0
_LONGEST_LIFETIME = 3600.0
_MAX_CHARACTERS = 2000

#: Answers to a poll that mean "ask again", each with the seconds by which to ask less often (section 3.5).
_AGAIN = {"authorization_pending": 0.0, "slow_down": 5.0}
_DECLINED = "the login was declined in the browser"
_EXPIRED = "the code has expired, and nobody confirmed the login in time"
#: Answers that end a login. Entra has names of its own ("OAuth 2.0 device authorization grant", expected errors).
_ENDS = {"access_denied": _DECLINED, "authorization_declined": _DECLINED, "expired_token": _EXPIRED}


@dataclass(frozen=True)
class DeviceCode:
    """What a server gives to begin a device login; times are in seconds.

    ``secret`` holds the ``device_code``. The rest is for the person; ``verification_uri_complete`` has the user code
    in it, "" if the server knows no such address.
    """

    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: float
    interval: float
    secret: Secrets


@dataclass(frozen=True)
class DeviceBegun(Outcome):
    """The outcome of a request for codes that brought them."""

    code: DeviceCode = field(kw_only=True)


@dataclass(frozen=True)
class DevicePending(Outcome):
    """The outcome of a poll before the person has confirmed the login.

    ``slower_by`` is by how many seconds to ask less often from now on, and ``interval`` what the server itself states.
    """

    slower_by: float = 0.0
    interval: float = 0.0


class DeviceRequests(Requests):
    """The requests of a device login, as the options that begin with ``device_`` say."""

    @property
    def has_device_login(self) -> bool:
        """Tell whether a person can log in by a code, and keeps the session.

        Where a refresh needs nothing but settings, its tokens, the app's own, would take the place of the person's.
        """
        return bool(self.device_path) and not self.can_refresh(TokenPair(""))

    def device_body(self) -> dict[str, Any]:
        """Return the fields of a request for codes (section 3.1)."""
        return filled(self.device_fields, self._texts)

    def device_request(self) -> Request:
        """Return the unprepared request for codes."""
        url, headers = self.endpoint(self.device_path), all_filled(self.headers, self._texts)
        return self._request(url, {}, headers, self.device_body(), self.body_format, self.device_authentication)

    def device_login_request(self, secret: Mapping[str, str]) -> Request:
        """Return the unprepared request that asks whether the person has confirmed the login (section 3.4)."""
        values = Secrets({**self._texts, **secret})
        headers = all_filled({**self.headers, **self.login_headers}, values)
        fields = filled(self.device_login_fields, values)
        return self._request(self.url(self.login_path), {}, headers, fields, self.body_format)


def device_code(response: Response) -> DeviceCode:
    """Return the codes of an answer (section 3.2); raises ValueError, without quoting it, for one that has none."""
    secret, user_code = _text(response, "device_code"), _text(response, "user_code")
    # Google's name for the address, from a draft of the RFC.
    uri = _text(response, "verification_uri") or _text(response, "verification_url")
    if not (secret and user_code and uri):
        raise ValueError("the answer has no device_code, user_code and verification_uri")
    if not is_web_address(uri):
        raise ValueError("its verification_uri is no http:// or https:// URL")
    complete = _text(response, "verification_uri_complete")
    lifetime = min(_seconds(response, "expires_in") or _LIFETIME, _LONGEST_LIFETIME)
    interval = max(_seconds(response, "interval") or _INTERVAL, _LEAST_INTERVAL)
    complete = complete if is_web_address(complete) else ""
    return DeviceCode(user_code, uri, complete, lifetime, interval, Secrets(device_code=secret))


def begun(response: Response, outcome: Outcome, reason: str) -> Outcome:
    """Return the outcome of a request for codes; ``outcome`` and ``reason`` are those of a login that is answered so.

    It is DeviceBegun if the codes came. Any refusal is about the client, since no person is known yet.
    """
    problem = ""
    if is_success(response):
        try:
            return DeviceBegun(Verdict.OK, status_code=response.status_code, code=device_code(response))
        except ValueError as error:
            problem = f"; {error}"
    elif outcome.verdict is Verdict.TRANSIENT:
        return outcome
    return replace(outcome, verdict=Verdict.CONFIG, pair=None, reason=f"{reason}{problem}", notice="")


def polled(response: Response, outcome: Outcome) -> Outcome:
    """Return the outcome of a poll, whose answer is that of a login unless the person has not decided yet or says no.

    Some servers answer with an error status, GitHub with 200.
    """
    error = lookup(response, "error")
    if outcome.verdict is Verdict.OK or not isinstance(error, str):
        return outcome
    if error in _AGAIN:
        return DevicePending(
            Verdict.TRANSIENT,
            outcome.reason,
            status_code=outcome.status_code,
            retry_after=outcome.retry_after,
            slower_by=_AGAIN[error],
            interval=_seconds(response, "interval"),
        )
    if error in _ENDS:
        return replace(outcome, verdict=Verdict.REJECTED, reason=f"{_ENDS[error]} ({outcome.reason})", asked="")
    return outcome


def _text(response: Response, path: str) -> str:
    # Shown in a terminal, so that nothing else than a printable text is one.
    value = lookup(response, path)
    return value if isinstance(value, str) and value.isprintable() and len(value) <= _MAX_CHARACTERS else ""


def _seconds(response: Response, path: str) -> float:
    try:
        seconds = float(lookup(response, path))
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(seconds, _LONGEST_LIFETIME) if seconds > 0 else 0.0
