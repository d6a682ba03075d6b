"""The story: real calls to a real upstream, each step checked against the upstream's own counts."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from django.conf import settings
from django.db import transaction

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked, RefreshUnavailable
from jwt_upstream.models import Credential
from project.demo.mails import Mail, mails
from project.demo.sample import PORT, Sample
from project.demo.terminal import NotAsTold, coloured, expect, heading, manage, quote, say

_PROCESSES, _THREADS = 4, 8
#: How long a mail may take.
_MAIL_SECONDS = 20.0


def tell(sample: Sample) -> bool:
    """Tell it; return whether every step came out as told."""
    print(coloured("django-jwt-upstream, told by real calls", "bold"))
    say(f"The upstream: djangorestframework-simplejwt at {sample.url}, a process of its own.")
    if not sample.url.startswith(f"http://127.0.0.1:{PORT}/"):
        say(f"(Port {PORT} is busy, so it took another one.)")
    say("Its access tokens live for 5 seconds, its refresh tokens can be used once.")
    steps = (log_in, call, expiry, herd, rollback, outage, lock, log_in_again)
    try:
        for number, step in enumerate(steps, start=1):
            heading(number, str(step.__doc__).rstrip("."))
            step(sample)
    except NotAsTold as error:
        return _failed(str(error))
    except Exception as error:  # whatever it is, the step in which it happened is what a reader needs
        return _failed(f"step {number} ended with {type(error).__name__}: {error}")
    print(coloured("\nEvery step came out as told.", "bold"))
    return True


def _failed(text: str) -> bool:
    print(f"   {coloured('✗', 'red')} {text}", flush=True)
    return False


def log_in(sample: Sample) -> None:
    """A person logs in, once."""
    expect("exit code", _log_in(), 0)


def _log_in() -> int:
    arguments = ("upstream_login", "sample", "--username", settings.SAMPLE_UPSTREAM_USERNAME, "--password-stdin")
    return manage(*arguments, stdin=f"{settings.SAMPLE_UPSTREAM_PASSWORD}\n")


def call(sample: Sample) -> None:
    """A view calls the upstream."""
    say('UpstreamClient("sample").get("orders/")')
    response = _client().get("orders/")
    expect("answer", response.status_code, 200)
    first = response.json()["orders"][0]
    say(f"Order {first['number']} for {first['customer']}: {first['item']}, {first['status']}.")


def expiry(sample: Sample) -> None:
    """The token expires, and nobody notices."""
    before = sample.counts()
    say("Waiting for 5 seconds …")
    time.sleep(5.5)
    expect("answer to the next call", _client().get("orders/").status_code, 200)
    expect("refreshes that the upstream counted", _since(before, sample)["refreshes"], 1)


def herd(sample: Sample) -> None:
    """32 callers at once find the token expired."""
    callers = [_caller() for _ in range(_PROCESSES)]
    for caller in callers:
        assert caller.stdout is not None
        caller.stdout.readline()  # it is ready
    before = sample.counts()
    sample.throw("expire")
    say(f"{_PROCESSES} processes with {_THREADS} threads each call in the same moment …")
    answers = [caller.communicate(timeout=60)[0] for caller in _told(callers)]
    statuses = [status for answered in answers for status in json.loads(answered)]
    expect("calls that succeeded", statuses.count(200), _PROCESSES * _THREADS)
    expect("refreshes that the upstream counted", _since(before, sample)["refreshes"], 1)


def _caller() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "project.demo.callers", str(_THREADS)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _told(callers: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    for caller in callers:
        assert caller.stdin is not None
        caller.stdin.write("go\n")
        caller.stdin.flush()
    return callers


class _OrderFailed(Exception):
    """What rolls the caller's transaction back."""


def rollback(sample: Sample) -> None:
    """A call inside a transaction that rolls back."""
    sample.throw("expire")
    try:
        with transaction.atomic():
            expect("answer inside the transaction, after a refresh", _client().get("orders/").status_code, 200)
            raise _OrderFailed
    except _OrderFailed:
        say("The transaction is rolled back. The new refresh token is stored all the same:")
    sample.throw("expire")
    expect("answer after one more refresh", _client().get("orders/").status_code, 200)
    expect("refresh tokens that were used twice", sample.counts()["reused_refresh_tokens"], 0)


def outage(sample: Sample) -> None:
    """The refresh endpoint breaks, and heals."""
    sample.throw("break")
    sample.throw("expire")
    pause = _refused()
    expect("state of the credential", Credential.objects.get().state, "active")
    sample.throw("heal")
    say("The upstream heals; the pause passes …")
    time.sleep(pause + 0.1)
    expect("answer to the next call", _client().get("orders/").status_code, 200)


def _refused() -> float:
    try:
        _client().get("orders/")
    except RefreshUnavailable as error:
        quote(f"RefreshUnavailable: {error}")
        return error.retry_after or 0.0
    raise NotAsTold("the call should have raised RefreshUnavailable")


def lock(sample: Sample) -> None:
    """The account gets locked."""
    sample.throw("lock")
    _locked()
    before = sample.counts()
    for _ in range(10):
        _locked(quietly=True)
    expect("requests that ten more calls cost", sum(_since(before, sample).values()), 0)
    newest = _newest_mail(1)
    expect("mails to the admins", len(mails()), 1)
    quote(f"Subject: {newest.subject}\n\n{newest.text}")
    expect("exit code", manage("upstream_status"), 1)


def _locked(*, quietly: bool = False) -> None:
    try:
        _client().get("orders/")
    except AccountLocked as error:
        if not quietly:
            quote(f"AccountLocked: {error}")
    else:
        raise NotAsTold("the call should have raised AccountLocked")


def log_in_again(sample: Sample) -> None:
    """The account is unlocked, a person logs in again, and all is well."""
    sample.throw("unlock")
    expect("exit code", _log_in(), 0)
    expect("answer", _client().get("orders/").status_code, 200)
    expect("exit code", manage("upstream_status"), 0)
    expect(
        "subject of the admins' second mail",
        _newest_mail(2).subject,
        "[Django] jwt_upstream: sample/default works again",
    )


def _newest_mail(number: int) -> Mail:
    """Return the newest mail once there are so many, or after a while: they are sent by another thread."""
    give_up_at = time.monotonic() + _MAIL_SECONDS
    while len(mails()) < number and time.monotonic() < give_up_at:
        time.sleep(0.1)  # nobody tells when the thread has written the file
    return mails()[0]


def _client() -> UpstreamClient:
    return UpstreamClient("sample")


def _since(before: dict[str, int], sample: Sample) -> dict[str, int]:
    now: dict[str, Any] = sample.counts()
    return {name: now[name] - before[name] for name in now}
