"""Upstreams in trouble, as a whole fleet meets them: few attempts, no credential lost, and recovery by itself."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialRejected, RefreshUnavailable, UpstreamMisconfigured
from jwt_upstream.models import Credential, Event
from jwt_upstream.tokens import TokenPair
from tests.support import workers
from tests.support.clock import pass_time
from tests.support.mails import mailing_to, subjects
from tests.support.raw_server import Behaviour, RawServer, reset, say, self_signed
from tests.support.rows import unbind
from tests.support.upstream import Answer, Seen, Upstream

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DEADLINE = 0.6


# -- every kind


def redirect(status: int) -> Behaviour:
    return say(b"HTTP/1.1 %d Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n" % status)


TROUBLES: dict[str, Behaviour] = {
    "reset": reset,
    "dropped without an answer": say(),
    "truncated": say(HEAD + b'Content-Length: 100\r\n\r\n{"access": "tru'),
    "trickled body": say(HEAD + b"\r\n", *[b" "] * 20, pause=0.1),
    "50 MB": say(HEAD + b"Content-Length: 50000000\r\n\r\n", *[b" " * 1_000_000] * 50),
    "hang": say(b"", pause=1.5),
    "307": redirect(307),
    "308": redirect(308),
}


def refused_twice(client: UpstreamClient) -> RefreshUnavailable:
    """Refresh, and again at once; both must fail for now, the second without an attempt. Return the second's error."""
    for _ in range(2):
        with pytest.raises(RefreshUnavailable) as caught:
            client.refresh()
    row = Credential.objects.get()
    assert (row.state, row.failures, row.pair.refresh, row.lease) == ("active", 1, "refresh-1", "")
    error = caught.value
    assert error.since == row.failing_since
    assert error.reason == row.failure != ""
    assert error.retry_after is not None
    return error


@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_of_the_network(client: UpstreamClient, settings: Any, trouble: str) -> None:
    """Whatever an upstream or the way to it does when asked for new tokens, it is asked once, then left in peace."""
    with RawServer(TROUBLES[trouble]) as server:
        settings.JWT_UPSTREAM["up"] |= {"BASE_URL": server.url}
        settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"deadline": DEADLINE, "backoff": 30.0}
        unbind()
        refused_twice(client)
    assert len(server.received) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://no-such-host.invalid/", "https://{plain}/"])
def test_nobody_there(client: UpstreamClient, upstream: Upstream, settings: Any, url: str) -> None:
    """Nothing is given up where nobody listens, where the name is unknown, and where no TLS is spoken."""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = url.replace("{plain}", upstream.url.split("/")[2])
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["backoff"] = 30.0
    unbind()
    refused_twice(client)


@pytest.mark.parametrize("form", ["seconds", pytest.param("date", marks=pytest.mark.slow)])
def test_wait_that_the_upstream_asks_for(client: UpstreamClient, upstream: Upstream, form: str) -> None:
    """A Retry-After holds for every process, since it is in the database."""
    upstream.expire()
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=1000), usegmt=True)
    upstream.answers["/refresh"] = Answer(429, {}, {"Retry-After": "1000" if form == "seconds" else date})
    error = refused_twice(client)
    assert 900 < (error.retry_after or 0) <= 1000
    (((outcome, _),),) = workers.together(workers.start("calls", threads=1))
    assert outcome.startswith("RefreshUnavailable: up/default could not be refreshed since ")
    assert "(HTTP 429" in outcome
    assert upstream.refreshes == 1


def test_rotated_but_dropped(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Where the answer with the new pair was lost, nothing is given up; a refusal later says what happened."""
    with RawServer(say()) as server:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = server.url
        unbind()
        refused_twice(client)
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = upstream.url
    unbind()
    upstream.expire()
    upstream.issue()  # the pair that nobody got
    upstream.expire()
    pass_time(5)
    with pytest.raises(CredentialRejected, match=r"a refresh at .* was interrupted, its answer may be lost"):
        client.get("orders/")


# -- a fleet


class Down:
    """Answers refreshes with an error for a while, from the first one on."""

    def __init__(self, upstream: Upstream, seconds: float, answer: Answer) -> None:
        self._seconds, self._answer = seconds, answer
        self.attempts = 0
        self.heals_at = 0.0
        upstream.answers["/refresh"] = self

    def __call__(self, _: Seen) -> Answer | None:
        self.heals_at = self.heals_at or time.time() + self._seconds
        if time.time() >= self.heals_at:
            return None
        self.attempts += 1
        return self._answer


@pytest.mark.slow
def test_fleet_at_an_upstream_that_is_down(
    client: UpstreamClient, upstream: Upstream, settings: Any, tmp_path: Path
) -> None:
    """3 s of 503 with 3 processes × 4 threads at up to 20 calls a second cost a handful of attempts; then all is well.

    At a second upstream the access token is still good, and nobody notices.
    """
    with Upstream() as other:
        settings.JWT_UPSTREAM["other"] = {**settings.JWT_UPSTREAM["up"], "BASE_URL": other.url}
        UpstreamClient("other").login(username=other.user, password=other.password)
        now = timezone.now()
        near = {"access_expires_at": now + timedelta(seconds=55), "obtained_at": now - timedelta(hours=1)}
        Credential.objects.filter(upstream="other").update(**near)
        upstream.expire()
        down, degraded = Down(upstream, 3.0, Answer(503)), Down(other, 3.0, Answer(503))
        told: dict[str, Any] = {
            "seconds": 10.0,
            "pause": 0.05,
            "aliases": ["up", "other"],
            "settings": mailing_to(tmp_path),
        }
        results = workers.together(*(workers.start("stream", threads=4, **told) for _ in range(3)))
    calls = [call for result in results for call in result]
    assert {outcome for alias, outcome, *_ in calls if alias == "other"} == {200}
    failed = [call for call in calls if call[1] != 200]
    assert {outcome.partition(":")[0] for _, outcome, *_ in failed} == {"RefreshUnavailable"}
    assert median(ended - began for *_, began, ended in failed) < 2.0
    assert 1 <= down.attempts <= 5
    assert 1 <= degraded.attempts <= 5
    assert [upstream.refreshes - down.attempts, other.refreshes - degraded.attempts] == [1, 1]
    assert Event.objects.filter(kind="failed").count() == down.attempts + degraded.attempts
    # The longest pause that 3 s of failures lead to is 4 s ± 20 %.
    assert upstream.rotated_at[0] - down.heals_at < 4.8 + 3.0
    works_from = min(ended for alias, outcome, _, ended in calls if (alias, outcome) == ("up", 200))
    assert all(began < works_from + 2.0 for *_, began, _ in failed)
    assert subjects(tmp_path) == []


@pytest.mark.slow
def test_misconfigured_fleet(client: UpstreamClient, upstream: Upstream, tmp_path: Path) -> None:
    """A fleet that is told its client is unknown asks a few times, marks nothing and mails once."""
    upstream.expire()
    upstream.answers["/refresh"] = Answer(401, {"error": "invalid_client"})
    told: dict[str, Any] = {"count": 10, "pause": 0.05, "settings": mailing_to(tmp_path)}
    results = workers.together(*(workers.start("stream", threads=4, **told) for _ in range(3)))
    assert {outcome.partition(":")[0] for result in results for _, outcome, *_ in result} == {"UpstreamMisconfigured"}
    assert Credential.objects.get().state == "active"
    assert upstream.refreshes <= 5
    assert [subject.split("upstream ")[-1] for subject in subjects(tmp_path)] == ["up is misconfigured"]


# -- our own settings


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Upstream]:
    """An upstream with a certificate that nobody has signed."""
    with Upstream(self_signed(tmp_path)) as server:
        yield server


@pytest.mark.parametrize("mistake", ["path", "client", "certificate"])
def test_misconfiguration(
    client: UpstreamClient,
    upstream: Upstream,
    secure: Upstream,
    settings: Any,
    tmp_path: Path,
    mailoutbox: list[mail.EmailMessage],
    mistake: str,
) -> None:
    """A mistake in our settings marks no credential, is told once per upstream, and heals once corrected."""
    told = settings.JWT_UPSTREAM["up"]
    server = secure if mistake == "certificate" else upstream
    told["BASE_URL"] = server.url
    wrong, right = MISTAKES[mistake](tmp_path)
    told["OPTIONS"] |= {"backoff": 30.0, **wrong}
    unbind()
    server.answers["/wrong"] = Answer(404, {"detail": "Not Found"})
    server.answers["/refresh"] = refuse_wrong_client
    for account in ("ann", "bea"):
        UpstreamClient("up", account).adopt(TokenPair(f"{account}-access", f"{account}-refresh"))
    accounts = {"default": "refresh-1", "ann": "ann-refresh", "bea": "bea-refresh"}
    for account in [*accounts, *accounts]:
        with pytest.raises(UpstreamMisconfigured):
            UpstreamClient("up", account).refresh()
    assert Counter(Credential.objects.values_list("state", "failures")) == {("active", 1): 3}
    assert [message.subject.split("upstream ")[-1] for message in mailoutbox] == ["up is misconfigured"]
    told["OPTIONS"] |= right
    pass_time(60)
    for account, server.refresh in accounts.items():
        assert UpstreamClient("up", account).refresh().access in server.access
    assert [message.subject.split("upstream ")[-1] for message in mailoutbox[1:]] == ["up works again"]


MISTAKES: dict[str, Callable[[Path], tuple[dict[str, Any], dict[str, Any]]]] = {
    "path": lambda _: ({"refresh_path": "wrong"}, {"refresh_path": "refresh"}),
    "client": lambda _: (
        {"client_id": "us", "client_secret": "wrong", "client_authentication": "post"},
        {"client_secret": "right"},
    ),
    "certificate": lambda folder: ({}, {"verify": str(folder / "certificate.pem")}),
}


def refuse_wrong_client(seen: Seen) -> Answer | None:
    return Answer(401, {"error": "invalid_client"}) if seen.json().get("client_secret") == "wrong" else None
