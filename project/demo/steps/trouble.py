"""An outage that passes by itself, and a lock for which a person is needed."""

from __future__ import annotations

import time

from asgiref.sync import async_to_sync

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked, RefreshUnavailable
from jwt_upstream.models import Credential
from project.demo import branches
from project.demo.mails import Mail, mails
from project.demo.sample import Sample
from project.demo.steps.tokens import log_in_by_password
from project.demo.terminal import NotAsTold, expect, manage, quote, say

#: How long a mail may take.
_MAIL_SECONDS = 20.0


def outage(sample: Sample) -> None:
    """The refresh endpoint breaks, and heals."""
    sample.throw("break")
    sample.throw("expire")
    pause = _refused()
    expect("state of the credential", Credential.objects.get(upstream="sample", account="default").state, "active")
    sample.throw("heal")
    say("The upstream heals; the pause passes …")
    time.sleep(pause + 0.1)
    expect("answer to the next call", UpstreamClient("sample").get("orders/").status_code, 200)


def _refused() -> float:
    try:
        UpstreamClient("sample").get("orders/")
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
    expect("requests that ten more calls cost", sum(sample.counted_since(before).values()), 0)
    others = async_to_sync(branches.call)()
    expect("calls with the other accounts that succeeded", others.count("200"), len(branches.names()))
    newest = _newest_mail(1)
    expect("mails to the admins", len(mails()), 1)
    quote(f"Subject: {newest.subject}\n\n{newest.text}")
    expect("exit code", manage("upstream_status").returncode, 1)


def _locked(*, quietly: bool = False) -> None:
    try:
        UpstreamClient("sample").get("orders/")
    except AccountLocked as error:
        if not quietly:
            quote(f"AccountLocked: {error}")
    else:
        raise NotAsTold("the call should have raised AccountLocked")


def log_in_again(sample: Sample) -> None:
    """The account is unlocked, a person logs in again, and all is well."""
    sample.throw("unlock")
    expect("exit code", log_in_by_password(), 0)
    expect("answer", UpstreamClient("sample").get("orders/").status_code, 200)
    expect("exit code", manage("upstream_status").returncode, 0)
    subject = "[Django] jwt_upstream: sample/default works again"
    expect("subject of the admins' second mail", _newest_mail(2).subject, subject)


def _newest_mail(number: int) -> Mail:
    """Return the newest mail once there are so many, or after a while: they are sent by another thread."""
    give_up_at = time.monotonic() + _MAIL_SECONDS
    while len(mails()) < number and time.monotonic() < give_up_at:
        time.sleep(0.1)  # nobody tells when the thread has written the file
    return mails()[0]
