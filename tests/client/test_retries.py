"""Calls that find the upstream away or busy: repeated if the project wants it, and only where it does no harm."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import format_datetime
from itertools import chain, repeat
from typing import Any

import pytest
import requests
import responses
from django.utils import timezone

from jwt_upstream.client import UpstreamClient
from jwt_upstream.client.retries import lengthened
from jwt_upstream.tokens import TokenPair
from tests.support.raw_server import RawServer, say
from tests.support.rows import unbind
from tests.support.upstream import Answer, Seen, Upstream


@pytest.fixture
def patient(client: UpstreamClient, upstream: Upstream, settings: Any) -> UpstreamClient:
    """A client of an upstream with ``retries``; the first repetition comes without a pause."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"retries": 2, "retry_backoff_max": 0.05}
    return UpstreamClient("up")


def one_after_the_other(*answers: Answer | None) -> Callable[[Seen], Answer | None]:
    """Return what gives these answers in turn, then the upstream's own; None is the upstream's own as well."""
    left: Iterator[Answer | None] = chain(answers, repeat(None))
    return lambda _: next(left)


def busy(status: int = 503, **headers: str) -> Answer:
    return Answer(status, {"busy": True}, {name.replace("_", "-"): value for name, value in headers.items()})


def test_off_by_default(client: UpstreamClient, upstream: Upstream) -> None:
    """Without the option the caller gets the answer, and decides."""
    upstream.answers["/orders/"] = busy(Retry_After="0")
    assert client.get("orders/").status_code == 503
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
def test_busy_upstream(patient: UpstreamClient, upstream: Upstream, status: int) -> None:
    """An idempotent call is repeated until the upstream has time for it."""
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
        upstream.seen.clear()
        upstream.answers["/orders/"] = one_after_the_other(busy(status), busy(status))
        assert patient.request(method, "orders/").status_code == 200
        assert [seen.method for seen in upstream.seen] == [method] * 3


def test_busy_upstream_that_stays_busy(patient: UpstreamClient, upstream: Upstream) -> None:
    """When the repetitions are used up, the caller gets the last answer like any other."""
    upstream.answers["/orders/"] = busy()
    response = patient.get("orders/")
    assert (response.status_code, response.json(), response.history) == (503, {"busy": True}, [])
    assert len(upstream.seen) == 3


def test_other_errors(patient: UpstreamClient, upstream: Upstream) -> None:
    """Other errors, which won't be better in a moment, are handed on at once."""
    for status in (500, 501, 429, 404, 413):
        upstream.seen.clear()
        upstream.answers["/orders/"] = busy(status)
        assert patient.get("orders/").status_code == status
        assert len(upstream.seen) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_call_that_is_not_idempotent(patient: UpstreamClient, upstream: Upstream, method: str) -> None:
    """What would be done twice is asked for once, unless an Idempotency-Key says that the upstream can tell."""
    upstream.answers["/orders/"] = busy()
    assert patient.request(method, "orders/", json={"a": 1}).status_code == 503
    assert len(upstream.seen) == 1
    upstream.answers["/orders/"] = one_after_the_other(busy())
    keyed = {"Idempotency-Key": "k1"}
    assert patient.request(method, "orders/", json={"a": 1}, headers=keyed).status_code == 200
    assert [(seen.body, seen.headers["Idempotency-Key"]) for seen in upstream.seen[1:]] == [(b'{"a": 1}', "k1")] * 2


def test_body_is_repeated_from_where_it_began(patient: UpstreamClient, upstream: Upstream) -> None:
    """A file is sent again from where it was, at a repetition and after a refresh."""
    upstream.expire()
    upstream.answers["/orders/"] = one_after_the_other(busy(), None, busy())
    body = io.BytesIO(b"0123456789")
    body.seek(4)
    assert patient.put("orders/", data=body).status_code == 200
    calls = upstream.calls("/orders/")
    assert [(seen.body, seen.headers["Content-Length"]) for seen in calls] == [(b"456789", "6")] * 4
    assert [seen.token for seen in calls] == ["access-1", "access-1", "access-2", "access-2"]
    assert upstream.refreshes == 1


def test_body_that_can_be_sent_only_once(patient: UpstreamClient, upstream: Upstream) -> None:
    """A generator is used up by the first sending, so there is no second."""
    upstream.answers["/orders/"] = busy()
    assert patient.put("orders/", data=(piece for piece in (b"one", b"two"))).status_code == 503
    assert [seen.body for seen in upstream.seen] == [b"onetwo"]


def test_refresh_between_repetitions(patient: UpstreamClient, upstream: Upstream) -> None:
    """Repetitions don't add to the one resending after a refresh, and the second 401 is final as ever."""
    upstream.answers["/orders/"] = one_after_the_other(busy(), Answer(401), busy(), Answer(401), busy())
    response = patient.get("orders/")
    assert (response.status_code, [past.status_code for past in response.history]) == (401, [401])
    assert (len(upstream.calls("/orders/")), upstream.refreshes) == (4, 1)


# -- Retry-After


@pytest.mark.parametrize("status", [503, 429])
def test_retry_after(client: UpstreamClient, upstream: Upstream, settings: Any, status: int) -> None:
    """The wait that the upstream asks for is kept, also by 429."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["retries"] = 1
    times: list[Any] = []

    def answer(_: Seen) -> Answer | None:
        times.append(timezone.now())
        return busy(status, Retry_After="0.2") if len(times) == 1 else None

    upstream.answers["/orders/"] = answer
    assert UpstreamClient("up").get("orders/").status_code == 200
    assert times[1] - times[0] >= timedelta(seconds=0.2)


@pytest.mark.parametrize(
    "value", ["3600", format_datetime(timezone.now() + timedelta(hours=1)), "9" * 30], ids=["seconds", "date", "ages"]
)
def test_retry_after_more_than_a_caller_waits(patient: UpstreamClient, upstream: Upstream, value: str) -> None:
    """Asked for a longer wait than allowed, the client doesn't repeat the call; the caller gets the answer."""
    upstream.answers["/orders/"] = busy(Retry_After=value)
    response = patient.get("orders/")
    assert (response.status_code, response.json(), len(upstream.seen)) == (503, {"busy": True}, 1)


@pytest.mark.parametrize("value", ["soon", "-1", ""])
def test_retry_after_that_is_none(patient: UpstreamClient, upstream: Upstream, value: str) -> None:
    """A Retry-After that nobody understands does no harm."""
    upstream.answers["/orders/"] = one_after_the_other(busy(Retry_After=value))
    assert patient.get("orders/").status_code == 200


# -- headers of rate limits

LIMITED = {"X-Left": "remaining", "X-Reset-Ms": "milliseconds"}


@pytest.mark.parametrize(
    ("status", "left", "milliseconds", "calls"),
    [(429, "0", "40", 2), (403, "0", "40", 2), (403, "9", "40", 1), (429, "9", "40", 1), (429, "0", "60", 1)],
    ids=["429", "403", "403 of something else", "429 of something else", "too long"],
)
def test_rate_limit(
    patient: UpstreamClient, upstream: Upstream, settings: Any, status: int, left: str, milliseconds: str, calls: int
) -> None:
    """A call that meets a limit is repeated when that is reset, unless it takes longer than a caller waits."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["rate_limit_headers"] = LIMITED
    times: list[float] = []

    def answer(_: Seen) -> Answer | None:
        times.append(time.monotonic())
        return busy(status, X_Left=left, X_Reset_Ms=milliseconds) if len(times) == 1 else None

    upstream.answers["/orders/"] = answer
    assert UpstreamClient("up").get("orders/").status_code == (200 if calls == 2 else status)
    assert len(times) == calls
    assert times[-1] - times[0] >= 0.04 * (calls - 1)


def test_limit_that_is_not_configured(patient: UpstreamClient, upstream: Upstream) -> None:
    """A 403 is final, whatever its headers, unless the option says that some of them tell of a limit."""
    upstream.answers["/orders/"] = busy(403, Retry_After="0", X_RateLimit_Remaining="0")
    assert patient.get("orders/").status_code == 403
    assert len(upstream.seen) == 1


def test_limit_that_is_still_used_up(patient: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Each answer is looked at anew, and when the repetitions are used up the caller gets the last one."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["rate_limit_headers"] = LIMITED
    upstream.answers["/orders/"] = busy(403, X_Left="0", X_Reset_Ms="1")
    assert UpstreamClient("up").get("orders/").status_code == 403
    assert len(upstream.seen) == 3


def test_waits_differ() -> None:
    """Those who are told the same moment come back at different ones, none before it and none too late."""
    waits = [lengthened(2.0, 10.0) for _ in range(200)]
    assert all(2.0 <= wait <= 2.45 for wait in waits)
    assert max(waits) - min(waits) > 0.2
    assert max(lengthened(2.0, 2.1) for _ in range(50)) == 2.1


# -- the network


def test_upstream_that_is_being_restarted(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """A refused connection is tried again."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(20)
        settings.JWT_UPSTREAM["up"] |= {
            "BASE_URL": f"http://127.0.0.1:{listening.getsockname()[1]}/",
            "OPTIONS": {"retries": 6},
        }
        unbind()

        def serve() -> None:
            listening.listen()
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        timer = threading.Timer(0.3, serve)
        timer.start()
        try:
            assert UpstreamClient("up").get("orders/").status_code == 200
        finally:
            timer.join()


@pytest.mark.parametrize(("method", "requests_made"), [("GET", 3), ("POST", 1)])
def test_connection_that_breaks(patient: UpstreamClient, settings: Any, method: str, requests_made: int) -> None:
    """A connection that ends without an answer is no answer: only an idempotent call is sent again."""
    with RawServer(lambda _: None) as server:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = server.url
        unbind()
        with pytest.raises(requests.ConnectionError):
            patient.request(method, "orders/")
    assert len(server.received) == requests_made


def test_slow_upstream(patient: UpstreamClient, upstream: Upstream) -> None:
    """An upstream that is too slow is not given the same work again."""
    upstream.answers["/orders/"] = Answer(200, {}, delay=0.5)
    with pytest.raises(requests.ReadTimeout):
        patient.get("orders/", timeout=0.1)
    assert len(upstream.seen) == 1


def test_certificate_that_is_wrong(patient: UpstreamClient, settings: Any) -> None:
    """What is no trouble of the network is not tried again."""
    with RawServer(say(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = server.url.replace("http:", "https:")
        unbind()
        with pytest.raises(requests.exceptions.SSLError):
            patient.get("orders/")
    assert len(server.received) == 1


# -- besides


def test_connections_are_the_process_s(patient: UpstreamClient, client: UpstreamClient, upstream: Upstream) -> None:
    """Patient clients use the same connections as any other, and closing one leaves those open."""
    client.get("orders/")
    with patient:
        patient.get("orders/")
    patient.post("orders/")
    client.get("orders/")
    assert upstream.connections == 2  # one for the login, which shares nothing, one for the calls


@pytest.mark.django_db
def test_with_responses(settings: Any) -> None:
    """Users' tests with responses see the repetitions."""
    crm = settings.JWT_UPSTREAM["crm"]
    settings.JWT_UPSTREAM = {"crm": {**crm, "OPTIONS": {"retries": 1}}}
    client = UpstreamClient("crm")
    client.adopt(TokenPair("good"))
    with responses.RequestsMock() as mocked:
        mocked.get("https://crm.example.com/api/orders/", status=503)
        mocked.get("https://crm.example.com/api/orders/", json=[1])
        assert client.get("orders/").json() == [1]
