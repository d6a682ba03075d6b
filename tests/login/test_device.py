"""A device login: what is asked how often, what ends it, and that nothing is stored until somebody has confirmed."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from django.db import OperationalError, connection
from rich.pretty import pretty_repr

from jwt_upstream.backends.oauth2 import JWT_BEARER
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import (
    AccountLocked,
    LoginRejected,
    RefreshUnavailable,
    UpstreamError,
    UpstreamMisconfigured,
)
from jwt_upstream.login import DeviceLogin, begin_device_login
from jwt_upstream.models import Credential, Event
from tests.support.device import CODES, PAIR, PENDING, SECRET, SETTINGS, SLOW_DOWN, Time, answering, fields
from tests.support.upstream import Answer, Upstream

BASIC = "Basic dXM6czNjcmV0"


@pytest.fixture
def server(upstream: Upstream, settings: Any, transactional_db: None) -> Upstream:
    """An OAuth 2 server with a device authorization endpoint."""
    settings.JWT_UPSTREAM["up"] = copy.deepcopy({**SETTINGS, "BASE_URL": upstream.url})
    answering(upstream, [])
    return upstream


def begin(time: Time, account: str = "default") -> DeviceLogin:
    return begin_device_login("up", account, by="somebody", now=time.now)


def failing(time: Time, error: type[UpstreamError]) -> str:
    """Log in, which must fail and store nothing; return what is said."""
    with pytest.raises(error) as caught:
        begin(time).wait(time.sleep)
    assert not Credential.objects.exists()
    assert SECRET not in f"{caught.value}{caught.value!r}{vars(caught.value)}"
    return str(caught.value)


def test_device_login(server: Upstream) -> None:
    """The codes are requested and polled for as the RFC says, and the pair that comes is stored."""
    time = Time()
    answering(server, [PENDING, PENDING])
    begun = begin(time, "acme")
    assert (begun.user_code, begun.verification_uri) == ("WDJB-MJHT", "https://id.example.com/device")
    assert begun.verification_uri_complete == CODES["verification_uri_complete"]
    assert (begun.interval, begun.expires_in) == (5, 900)
    credential = begun.wait(time.sleep)
    assert time.slept == [5, 5, 5]
    asked, *polls = fields(server.seen)
    assert asked == {"client_id": "us", "scope": "read offline"}
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    assert polls == [{"grant_type": grant, "device_code": SECRET}] * 3
    assert {seen.headers["Authorization"] for seen in server.seen} == {BASIC}
    assert (str(credential), credential.state, credential.pair.refresh) == ("up/acme", "active", "refresh-9")
    assert credential.pair.access_expires_at is not None
    event = Event.objects.get()
    assert (event.kind, event.status_code, event.by.split(" (")[0]) == ("logged_in", 200, "somebody")


def test_device_login_by_the_client(server: Upstream) -> None:
    """A project begins a login by its client, and may poll in its own rhythm."""
    answering(server, [PENDING])
    begun = UpstreamClient("up").begin_device_login(by="a task")
    assert begun.poll() is None
    assert not Credential.objects.exists()
    assert begun.poll() == Credential.objects.get()
    assert Event.objects.get().by.startswith("a task (")


def test_slow_down(server: Upstream) -> None:
    """Each slow_down adds five seconds for good, and what the server asks for counts if it is more."""
    time = Time()
    slower = Answer(200, {"error": "slow_down", "interval": 30})  # as GitHub
    once = Answer(429, {"error": "slow_down"}, {"Retry-After": "60"})
    answering(server, [PENDING, SLOW_DOWN, PENDING, SLOW_DOWN, slower, once, PENDING])
    begin(time).wait(time.sleep)
    assert time.slept == [5, 5, 10, 10, 15, 30, 60, 35]


def test_upstream_that_is_away(server: Upstream) -> None:
    """While the upstream fails we ask half as often each time; what it asks for counts, and it is forgotten then."""
    time = Time()
    busy = Answer(429, {"error": "too many"}, {"Retry-After": "100"})
    answering(server, [Answer(503), Answer(504), Answer(502), Answer(500), Answer(503), busy, PENDING])
    begin(time).wait(time.sleep)
    assert time.slept == [5, 10, 20, 40, 60, 60, 100, 5]


def test_upstream_that_is_gone(server: Upstream) -> None:
    """No answer at all means "not yet" as well."""
    begun = begin(Time())
    server.__exit__(None, None, None)
    assert begun.poll() is None
    assert begun.interval == 10


def test_database_that_is_away(server: Upstream) -> None:
    """While the database is away nobody asks for a pair that could not be stored; the login goes on afterwards."""
    begun = begin(Time())

    def away(*_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(away):
        assert begun.poll() is None
    assert (begun.interval, server.calls("/token")) == (10, [])
    assert begun.poll() == Credential.objects.get()


def test_expiry(server: Upstream) -> None:
    """Nobody polls after the code has expired, and no longer than an hour; the error says what to do."""
    for lifetime, interval, polls, said in ((12, 5, 2, "12 s"), (10**9, 600, 5, "60 min")):
        time = Time()
        answering(server, [PENDING] * 1000, {**CODES, "expires_in": lifetime, "interval": interval})
        server.seen.clear()
        assert failing(time, LoginRejected) == (
            "up/default: login failed: the code has expired: nobody confirmed the login within "
            f"{said}; begin a new one"
        )
        assert len(server.calls("/token")) == polls
        assert sum(time.slept) == min(lifetime, 3600)


def test_expiry_while_the_upstream_is_away(server: Upstream) -> None:
    """It is told why the last poll failed."""
    answering(server, [Answer(503)] * 10, {**CODES, "expires_in": 20})
    assert "within 20 s (the last poll failed: HTTP 503); begin" in failing(Time(), LoginRejected)


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (
            Answer(400, {"error": "access_denied"}),
            LoginRejected,
            "the login was declined in the browser (HTTP 400: access_denied)",
        ),
        (
            Answer(403, {"error": "access_denied", "error_description": "No."}),
            LoginRejected,
            "declined in the browser",
        ),
        (Answer(400, {"error": "authorization_declined"}), LoginRejected, "declined in the browser"),
        (Answer(400, {"error": "expired_token"}), LoginRejected, "the code has expired, and nobody confirmed"),
        (Answer(400, {"error": "invalid_grant"}), LoginRejected, "HTTP 400: invalid_grant"),
        (Answer(400, {"error": "invalid_grant", "error_description": "Account disabled"}), AccountLocked, "disabled"),
        (Answer(401, {"error": "invalid_client"}), UpstreamMisconfigured, "HTTP 401: invalid_client"),
        (Answer(404, b"<html>"), UpstreamMisconfigured, "HTTP 404: an HTML page"),
        (Answer(200, {"jwt": "access-9"}), RefreshUnavailable, "no access token at access_token (access_paths)"),
        (Answer(200, b"<html>Log in"), RefreshUnavailable, "HTTP 200: an HTML page"),
        (Answer(302, b"", {"Location": "/in"}), RefreshUnavailable, "HTTP 302"),
        (Answer(400, {"error": {"code": 5}}), UpstreamMisconfigured, "HTTP 400"),
    ],
    ids=lambda value: str(value.body) if isinstance(value, Answer) else None,
)
def test_login_that_ends(server: Upstream, answer: Answer, error: type[UpstreamError], said: str) -> None:
    """What is no matter of time ends the login at once, with what the upstream said."""
    time = Time()
    answering(server, [PENDING, answer])
    text = failing(time, error)
    assert text.startswith("up/default: login failed: ")
    assert said in text
    assert len(time.slept) == 2


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (Answer(200, {}), UpstreamMisconfigured, "HTTP 200; the answer has no device_code, user_code and verificat"),
        (Answer(200, b"\x00"), UpstreamMisconfigured, "the answer has no device_code, user_code and verification_uri"),
        (Answer(200, {**CODES, "user_code": 7}), UpstreamMisconfigured, "the answer has no device_code, user_code"),
        (Answer(200, {**CODES, "user_code": "a\x1b[2J"}), UpstreamMisconfigured, "the answer has no device_code"),
        (Answer(200, {**CODES, "user_code": "x" * 9999}), UpstreamMisconfigured, "the answer has no device_code"),
        (
            Answer(200, {**CODES, "verification_uri": "javascript:0"}),
            UpstreamMisconfigured,
            "is no http:// or https://",
        ),
        (Answer(200, b"<html>Welcome"), UpstreamMisconfigured, "HTTP 200: an HTML page; the answer has no device_"),
        (Answer(200, PAIR), UpstreamMisconfigured, "the answer has no device_code"),
        (Answer(200, {"error": "device_flow_disabled"}), UpstreamMisconfigured, "HTTP 200: device_flow_disabled"),
        (Answer(400, {"error": "unauthorized_client"}), UpstreamMisconfigured, "HTTP 400: unauthorized_client"),
        (Answer(401, {"detail": "Who are you?"}), UpstreamMisconfigured, "HTTP 401"),
        (Answer(404, {"detail": "Not found."}), UpstreamMisconfigured, "HTTP 404: Not found."),
        (Answer(503), RefreshUnavailable, "HTTP 503"),
        (Answer(429, {}, {"Retry-After": "7"}), RefreshUnavailable, "HTTP 429"),
    ],
    ids=lambda value: str(value.body)[:60] if isinstance(value, Answer) else None,
)
def test_no_codes(server: Upstream, answer: Answer, error: type[UpstreamError], said: str) -> None:
    """What is no code is told at once; nobody is shown anything, and no poll is sent."""
    answering(server, [], answer)
    assert said in failing(Time(), error)
    assert server.calls("/token") == []


def test_upstream_that_does_not_answer(server: Upstream, settings: Any) -> None:
    """An upstream that can't be reached is worth another attempt."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["device_path"] = "http://127.0.0.1:9/device"
    assert failing(Time(), RefreshUnavailable).startswith("up/default: login failed: ")


def test_lenient_reading(server: Upstream) -> None:
    """Google's name of the address, no interval, no lifetime and numbers as texts are understood."""
    codes: dict[str, Any] = {
        "device_code": SECRET,
        "user_code": "AB",
        "verification_url": "https://www.google.com/device",
    }
    cases: list[tuple[dict[str, Any], tuple[int, int]]] = [
        ({}, (5, 600)),
        ({"interval": "7", "expires_in": "1800"}, (7, 1800)),
        ({"interval": 0, "expires_in": -1}, (5, 600)),
        ({"interval": 0.01, "expires_in": "soon"}, (1, 600)),
        ({"interval": None, "expires_in": float("nan")}, (5, 600)),
        ({"verification_uri_complete": "data:text/html,"}, (5, 600)),
    ]
    for more, expected in cases:
        answering(server, [], {**codes, **more})
        begun = begin(Time())
        assert (begun.interval, begun.expires_in) == expected
        assert (begun.verification_uri, begun.verification_uri_complete) == ("https://www.google.com/device", "")


def test_backend_without_a_device_login(upstream: Upstream, transactional_db: None) -> None:
    """It is said which option is missing; nothing is sent."""
    with pytest.raises(UpstreamMisconfigured, match="up: there is no device login without device_path in OPTIONS"):
        UpstreamClient("up").begin_device_login()
    assert upstream.seen == []


@pytest.mark.parametrize("grant", ["client_credentials", JWT_BEARER])
def test_grant_of_the_app_itself(server: Upstream, settings: Any, grant: str) -> None:
    """Where a refresh would bring tokens of the app's own in place of the person's, nobody is sent to a browser."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"grant_type": grant, "assertion_file": "/run/secrets/token"}
    with pytest.raises(UpstreamMisconfigured, match="up: there is no device login with a grant that needs no person"):
        UpstreamClient("up").begin_device_login()
    assert server.seen == []


def test_account_that_can_not_be_one(server: Upstream) -> None:
    """Nothing is sent for a name that could not be stored."""
    with pytest.raises(ValueError, match="account must be 1 to 255 printable characters"):
        begin(Time(), "a\nb")
    assert server.seen == []


def test_secret_code(server: Upstream) -> None:
    """The secret code is in no repr and can't be pickled; the other one is shown."""
    begun = begin(Time())
    assert repr(begun) == "<DeviceLogin up/default WDJB-MJHT>"
    assert SECRET not in pretty_repr(begun, expand_all=True) + repr(vars(begun))
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(begun)


def test_several_client_secrets(server: Upstream, settings: Any) -> None:
    """Of several client secrets the one that got the codes is the first with which is polled."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["client_secret"] = ["old", "s3cret"]
    refused = Answer(401, {"error": "invalid_client"})
    server.answers["/device"] = lambda seen: Answer(200, CODES) if seen.headers["Authorization"] == BASIC else refused
    time = Time()
    begin(time).wait(time.sleep)
    assert [seen.headers["Authorization"] == BASIC for seen in server.seen] == [False, True, True]
