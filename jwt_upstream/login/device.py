"""Logging in by a code that a person enters in a browser anywhere (RFC 8628): asks until that has happened."""

from __future__ import annotations

import time
from collections.abc import Callable

from jwt_upstream.backends import Backend, DeviceBegun, DeviceCode, DevicePending, Outcome, Verdict, get_backend
from jwt_upstream.clock import dated_by, elapsed
from jwt_upstream.exceptions import LoginRejected, RefreshUnavailable, UpstreamMisconfigured
from jwt_upstream.formatting import duration
from jwt_upstream.models import Credential
from jwt_upstream.names import check_name, command, full_name
from jwt_upstream.tracebacks import without_variables

from .first_pair import keep, login_clock, refused

#: How seldom we ask at most while the upstream can't be reached: whoever has confirmed is waiting.
_MAX_BACKOFF = 60.0


class DeviceLogin:
    """A login that has begun: show its code, then ``wait()`` until a person has confirmed it, or ``poll()`` yourself.

    ``user_code`` is to be entered at ``verification_uri``; ``verification_uri_complete`` has the code in it, "" if the
    upstream knows no such address. All three are printable. ``interval`` is how many seconds to wait before the next
    poll: what the upstream wants (5 seconds if it doesn't say), more after it said ``slow_down``, and twice as much
    with each poll that failed. ``is_confirmed`` says whether the tokens have come, which are stored at once then.
    """

    def __init__(
        self, backend: Backend, account: str, code: DeviceCode, by: str = "", now: Callable[[], float] = elapsed
    ) -> None:
        self.user_code, self.verification_uri = code.user_code, code.verification_uri
        self.verification_uri_complete, self.is_confirmed = code.verification_uri_complete, False
        self._backend, self._account, self._code, self._by = backend, account, code, by
        self._now, self._expires_at = now, now() + code.expires_in
        self._interval, self._retry_after = code.interval, 0.0
        self._factor, self._failure = 1.0, ""

    def __repr__(self) -> str:
        return f"<DeviceLogin {full_name(self._backend.alias, self._account)} {self.user_code}>"

    @property
    def expires_in(self) -> float:
        """For how many seconds the code is still good, 0 if it has expired."""
        return max(0.0, self._expires_at - self._now())

    @property
    def interval(self) -> float:
        """How many seconds to wait before the next poll."""
        backoff = min(self._interval * self._factor, max(_MAX_BACKOFF, self._interval))
        return max(backoff, self._retry_after)

    @without_variables
    def poll(self) -> Credential | None:
        """Ask once: return the credential, whose pair is stored by then, or None if nobody has confirmed yet.

        An upstream or a database that can't be reached, or fails, means "not yet" too. Raises LoginRejected if the
        person declined or the code has expired, and otherwise as ``login`` does; then nothing is stored, and a new
        login must begin.
        """
        if not self.expires_in:
            raise self._expired()
        try:
            clock = login_clock(self._backend.alias, self._account)
        except RefreshUnavailable as error:
            # Nobody asks for a pair that could not be stored: it is given once.
            self._failed(str(error))
            return None
        with dated_by(clock):
            outcome = self._backend.poll_device_login(self._code)
        if not self._is_pending(outcome):
            self.is_confirmed = outcome.pair is not None
            return keep(self._backend, self._account, outcome, clock, by=self._by)
        return None

    @without_variables
    def wait(self, sleep: Callable[[float], None] | None = None) -> Credential:
        """Poll until the person has confirmed, at the longest until the code expires; raises as ``poll`` does."""
        while True:
            # The upstream says how long; ``time.sleep`` ends at once when Ctrl-C is pressed.
            (sleep or time.sleep)(min(self.interval, self.expires_in))
            if credential := self.poll():
                return credential

    def _is_pending(self, outcome: Outcome) -> bool:
        self._retry_after = outcome.retry_after or 0.0
        if isinstance(outcome, DevicePending):
            self._factor, self._failure = 1.0, ""
            self._interval = max(self._interval + outcome.slower_by, outcome.interval)
            return True
        # A success that holds no token, a page or a redirect is no matter of time: a later poll brings no more.
        is_answered = outcome.status_code is not None and outcome.status_code < 400
        if outcome.verdict is not Verdict.TRANSIENT or is_answered:
            return False
        self._failed(outcome.full_reason)
        return True

    def _failed(self, reason: str) -> None:
        # "Such as doubling the polling interval" (section 3.5).
        self._factor, self._failure = self._factor * 2, reason

    def _expired(self) -> LoginRejected:
        failure = f" (the last poll failed: {self._failure})" if self._failure else ""
        lifetime = duration(self._code.expires_in)
        text = f"the code has expired: nobody confirmed the login within {lifetime}{failure}; begin a new one"
        return LoginRejected(f"{full_name(self._backend.alias, self._account)}: login failed: {text}", reason=text)


@without_variables
def begin_device_login(
    upstream: str, account: str, *, by: str = "", backend: Backend | None = None, now: Callable[[], float] = elapsed
) -> DeviceLogin:
    """Request the codes of a device login; nothing is stored yet.

    ``now`` counts the seconds until the code expires. Raises UpstreamMisconfigured if the backend has no
    ``device_path``, if a refresh would repeat the app's own grant, or if the upstream refuses the client, and
    RefreshUnavailable; ValueError as ``login`` does.
    """
    check_name("account", account)
    backend = backend or get_backend(upstream, account)
    if not backend.device_path:
        raise UpstreamMisconfigured(
            f"{upstream}: there is no device login without device_path in OPTIONS, the path of the server's device "
            f"authorization endpoint (RFC 8628); {command('upstream_probe', upstream)} --discover URL looks for it"
        )
    if not backend.has_device_login:
        raise UpstreamMisconfigured(
            f"{upstream}: there is no device login with a grant that needs no person, which a refresh repeats: its "
            "tokens would take the place of the person's; set grant_type in OPTIONS to 'authorization_code'"
        )
    login_clock(upstream, account)  # whatever is wrong with the database, before a person is sent to a browser
    outcome = backend.begin_device_login()
    if not isinstance(outcome, DeviceBegun):
        raise refused(upstream, account, outcome)
    return DeviceLogin(backend, account, outcome.code, by, now)
