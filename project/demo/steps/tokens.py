"""One account: a login, calls, and tokens that expire at the worst moments."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from django.conf import settings
from django.db import transaction

from jwt_upstream.client import UpstreamClient
from project.demo.sample import Sample
from project.demo.terminal import expect, manage, say

_PROCESSES, _THREADS = 4, 8


def log_in(sample: Sample) -> None:
    """A person logs in, once."""
    expect("exit code", log_in_by_password(), 0)


def log_in_by_password() -> int:
    """Run the command with which a person logs in, and return its exit code."""
    arguments = ("upstream_login", "sample", "--username", settings.SAMPLE_UPSTREAM_USERNAME, "--password-stdin")
    return manage(*arguments, stdin=f"{settings.SAMPLE_UPSTREAM_PASSWORD}\n").returncode


def call(sample: Sample) -> None:
    """A view calls the upstream."""
    say('UpstreamClient("sample").get("orders/")')
    response = UpstreamClient("sample").get("orders/")
    expect("answer", response.status_code, 200)
    first = response.json()["orders"][0]
    say(f"Order {first['number']} for {first['customer']}: {first['item']}, {first['status']}.")


def expiry(sample: Sample) -> None:
    """The token expires, and nobody notices."""
    before = sample.counts()
    say("Waiting for 5 seconds …")
    time.sleep(5.5)
    expect("answer to the next call", UpstreamClient("sample").get("orders/").status_code, 200)
    expect("refreshes that the upstream counted", sample.counted_since(before)["refreshes"], 1)


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
    expect("refreshes that the upstream counted", sample.counted_since(before)["refreshes"], 1)


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
    client = UpstreamClient("sample")
    sample.throw("expire")
    try:
        with transaction.atomic():
            expect("answer inside the transaction, after a refresh", client.get("orders/").status_code, 200)
            raise _OrderFailed
    except _OrderFailed:
        say("The transaction is rolled back. The new refresh token is stored all the same:")
    sample.throw("expire")
    expect("answer after one more refresh", client.get("orders/").status_code, 200)
    expect("refresh tokens that were used twice", sample.counts()["reused_refresh_tokens"], 0)
