"""Nothing that a backend says or raises shows a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import pytest
from django.views.debug import ExceptionReporter
from requests import PreparedRequest, Request

from jwt_upstream.backends import Backend, Outcome, get_backend
from jwt_upstream.backends.core.redaction import cause, masked
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Answer, Upstream

URL = "http://127.0.0.1:1/"
PASSWORD, ACCESS, REFRESH, CLIENT = "hunter2 Zebra", "s3cret-a", "s3cret-r", "s3cret-c"
SECRETS = [PASSWORD, ACCESS, REFRESH, CLIENT]


def in_frames(call: Callable[[], Any]) -> list[str]:
    """Return the variables in Django's error report, except for those of this test's own frames, with a secret."""
    try:
        call()
    except Exception:
        reporter = ExceptionReporter(None, *sys.exc_info())
    frames = [frame for frame in reporter.get_traceback_frames() if frame["function"] not in {"in_frames", "<lambda>"}]
    shown = [f"{frame['function']}.{name}={value}" for frame in frames for name, value in frame["vars"]]
    assert frames
    return [text for text in shown if any(secret in text for secret in SECRETS)]


class BreaksAtOnce(Backend):
    """A project's own, with a bug where it is given secrets."""

    def login(self, credentials: Mapping[str, str]) -> Outcome:
        password = credentials["password"]
        raise RuntimeError(len(password))

    def refresh(self, pair: TokenPair) -> Outcome:
        token = pair.refresh
        raise RuntimeError(len(token))

    def authorize(self, request: PreparedRequest, pair: TokenPair) -> NoReturn:
        token = pair.access
        raise RuntimeError(len(token))


class BreaksInside(Backend):
    """Another one, whose bug is further down."""

    def login_body(self, credentials: Mapping[str, str]) -> dict[str, Any]:
        return self.hashed(credentials["password"])

    def refresh_body(self, pair: TokenPair) -> dict[str, Any]:
        return self.hashed(pair.refresh)

    def hashed(self, secret: str) -> dict[str, Any]:
        raise RuntimeError(len(secret))


@pytest.mark.parametrize("kind", [BreaksAtOnce, BreaksInside])
def test_bug_in_an_own_backend(kind: type[Backend]) -> None:
    """The report of a bug in a project's own backend shows the bug and no secret."""
    backend = kind("up", URL, client_secret=CLIENT)
    assert in_frames(lambda: backend.login({"username": "bob", "password": PASSWORD})) == []
    assert in_frames(lambda: backend.refresh(TokenPair(ACCESS, REFRESH))) == []


def test_bug_in_authorize() -> None:
    """The report of a bug in ``authorize``, which puts the token on a request, shows no secret."""
    request = Request("GET", URL).prepare()
    assert in_frames(lambda: BreaksAtOnce("up", URL).authorize(request, TokenPair(ACCESS))) == []


def test_field_that_can_not_be_sent() -> None:
    """The report of a field that no JSON can hold doesn't show the fields beside it."""
    fields = {"password": "{password}", "client": b"bytes"}
    assert in_frames(lambda: Backend("up", URL, login_fields=fields).login({"password": PASSWORD})) == []


#: As a file has it, with a line break at its end, which http.client would quote in its error.
READ = {"client_secret": f"{CLIENT}\n", "api_headers": {"apikey": "{client_secret}"}}


@pytest.mark.parametrize(
    "wrong",
    [{"BASE_URL": "nowhere"}, {"OPTIONS": {"client_secret": CLIENT, "deadline": -1}}, {"OPTIONS": READ}],
)
def test_wrong_settings(settings: Any, wrong: dict[str, Any]) -> None:
    """The report of wrong settings shows neither the client secret nor the password that stand beside them."""
    written = {"BASE_URL": URL, "OPTIONS": {"client_secret": CLIENT}, "LOGIN": {"password": PASSWORD}, **wrong}
    settings.JWT_UPSTREAM = {"up": written}
    assert in_frames(lambda: get_backend("up")) == []
    with pytest.raises(UpstreamNotConfigured) as caught:
        get_backend("up")
    assert not any(secret in str(caught.value) for secret in SECRETS)


def echoing(server: Upstream, padding: int) -> None:
    """Have what is sent quoted in the error message, from a certain position on."""

    def answer(seen: Any) -> Answer:
        given = " ".join(map(str, seen.json().values()))
        return Answer(400, {"message": f"{'- ' * (padding // 2)}{given}"})

    server.answers.update(dict.fromkeys(("/login", "/refresh"), answer))


@pytest.mark.parametrize("padding", [0, 100, 170, 180, 186, 190, 194, 198])
def test_server_that_quotes_what_it_was_sent(padding: int, caplog: pytest.LogCaptureFixture) -> None:
    """A quoted secret is masked, also where the message is cut off in the middle of it."""
    caplog.set_level(logging.DEBUG)
    with Upstream() as server:
        echoing(server, padding)
        backend = Backend("up", server.url, client_secret=CLIENT, client_authentication="post")
        outcomes = [
            backend.login({"username": "bob", "password": PASSWORD}),
            backend.refresh(TokenPair(ACCESS, REFRESH)),
        ]
    shown = f"{outcomes} {backend!r} {caplog.text}"
    assert not any(secret[:4] in shown for secret in SECRETS)


def test_long_token_that_is_cut_off() -> None:
    """What looks like a token is masked before a message is cut, not after."""
    with Upstream() as server:
        server.answers["/refresh"] = Answer(400, {"message": "- " * 90 + "eyJ" + "x" * 60})
        reason = Backend("up", server.url).refresh(TokenPair("a", "r")).reason
    assert "eyJ" not in reason
    assert len(reason) < 250


def test_message_that_no_database_stores() -> None:
    """NUL, lone surrogates and line breaks of a message are left out of what is stored."""
    with Upstream() as server:
        server.answers["/refresh"] = Answer(400, b'{"message": "one\\u0000two\\ud800three\\r\\nfour"}')
        assert (
            Backend("up", server.url).refresh(TokenPair("access-0", "refresh-0")).reason
            == "HTTP 400: one two three four"
        )


def test_outcome_that_holds_a_pair() -> None:
    """The outcome of a success shows no token either."""
    with Upstream() as server:
        server.answers["/refresh"] = Answer(200, {"access": ACCESS, "refresh": REFRESH, "message": f"{ACCESS}!"})
        outcome = Backend("up", server.url).refresh(TokenPair("a", REFRESH))
    assert outcome.pair == TokenPair(ACCESS, REFRESH)
    assert not any(secret in f"{outcome!r} {outcome}" for secret in SECRETS)


def test_masking() -> None:
    """Known secrets and whatever looks like a token are masked, words are not."""
    assert masked(f"no {'x' * 40} for abc", ["abc", ""]) == "no […] for […]"
    assert masked("Account is disabled.") == "Account is disabled."
    codes = "HTTP 400: INVALID_LOGIN_CREDENTIALS, oauth_authorization_url_mismatch"
    assert masked(codes) == codes
    assert masked(f"{'x' * 20}_{'y' * 20}_9 A_B{'9' * 30}") == "[…] […]"


def chained() -> BaseException:
    error = OSError(111, "Connection refused")
    error.__context__ = error.__cause__ = None
    outer = ValueError(error)
    outer.__cause__ = outer  # as no sane code does
    return outer


@pytest.mark.parametrize("make", [chained, lambda: ValueError("x" * 300), lambda: KeyError(), lambda: OSError()])
def test_cause(make: Callable[[], BaseException]) -> None:
    """Any error can be put into a few words."""
    assert 0 < len(cause(make())) <= 200


def test_long_text() -> None:
    """A text that is too long to be searched is cut before a token, not within it."""
    text = "tell me " * 510 + "eyJhbGciOiJIUzI1NiJ9" * 10
    assert len(masked(text)) <= 4 * 1024
    assert masked(text).endswith("tell me ")
