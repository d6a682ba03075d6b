"""What is sent: paths, queries, headers and bodies, as settings write them."""

from __future__ import annotations

from typing import Any

import pytest
from requests import PreparedRequest, Request

from jwt_upstream.backends import Backend, OAuth2Backend, Verdict
from jwt_upstream.tokens import TokenPair
from tests.support.exchanges import refreshed
from tests.support.upstream import Upstream

URL = "https://up.example.com/api/"
PAIR = TokenPair("a1", "r1")


def login(backend: Backend, **credentials: str) -> PreparedRequest:
    return backend.login_request({"username": "bob", "password": "p w", **credentials}).prepare()


def refresh(backend: Backend) -> PreparedRequest:
    return backend.refresh_request(PAIR).prepare()


def test_by_default() -> None:
    """JSON to a path for each, and nothing that could be mistaken for a token."""
    backend = Backend("up", URL)
    assert (login(backend).url, login(backend).body) == (f"{URL}login", b'{"username": "bob", "password": "p w"}')
    assert (refresh(backend).url, refresh(backend).body) == (f"{URL}refresh", b'{"refresh_token": "r1"}')
    assert refresh(backend).headers["Accept"] == "application/json"
    assert "Authorization" not in refresh(backend).headers


def test_formats() -> None:
    """A login may be JSON where a refresh is a form."""
    backend = Backend("up", URL, refresh_format="form")
    assert login(backend).headers["Content-Type"] == "application/json"
    assert (refresh(backend).headers["Content-Type"], refresh(backend).body) == (
        "application/x-www-form-urlencoded",
        "refresh_token=r1",
    )


@pytest.mark.parametrize(
    ("options", "url", "header"),
    [
        ({"refresh_headers": {"Authorization": "Bearer {refresh}"}}, "refresh", ("Authorization", "Bearer r1")),
        ({"refresh_headers": {"Authorization": "{access}"}}, "refresh", ("Authorization", "a1")),
        ({"refresh_headers": {"Cookie": "refresh={refresh}; x={y}"}}, "refresh", ("Cookie", "refresh=r1; x={y}")),
        (
            {"refresh_query": {"token": "{refresh}", "key": "{api_key}"}, "api_key": "k&"},
            "refresh?token=r1&key=k%26",
            (),
        ),
        ({"headers": {"X-Key": "{api_key}"}, "api_key": "k1"}, "refresh", ("X-Key", "k1")),
        ({"refresh_path": "realms/{client_id}/token", "client_id": "a/b"}, "realms/a%2Fb/token", ()),
        ({"refresh_path": "https://login.example.com/{x}"}, "https://login.example.com/%7Bx%7D", ()),
    ],
)
@pytest.mark.parametrize("body_format", ["json", "form"])
def test_token_outside_the_body(
    options: dict[str, Any], url: str, header: tuple[str, str] | tuple[()], body_format: str
) -> None:
    """The refresh token may go in a header, a cookie or the query; without fields there is no body."""
    backend = Backend("up", URL, refresh_fields={}, body_format=body_format, **options)
    sent = refresh(backend)
    assert sent.url == (url if "://" in url else f"{URL}{url}")
    assert (sent.body, sent.headers["Content-Length"]) == (None, "0")
    if header:
        assert sent.headers[header[0]] == header[1]


def test_text_options_in_fields() -> None:
    """Fields may hold options of the upstream, which nobody is asked for at a login unless they are empty."""
    assert Backend("up", URL, login_fields={"key": "{api_key}"}).login_asks == ("api_key",)
    fields = {"user": "{username}", "client": {"id": "{client_id}"}}
    backend = Backend("up", URL, login_fields=fields, login_headers={"X-OTP": "{otp}"}, client_id="us")
    assert backend.login_asks == ("username", "otp")
    sent = login(backend, otp="123")
    assert (sent.body, sent.headers["X-OTP"]) == (b'{"user": "bob", "client": {"id": "us"}}', "123")


def test_client_credentials_with_static_fields() -> None:
    """Where the client is the account, fields that a person would be asked for are left out, others are not."""
    fields = {"username": "{username}", "audience": "api", "client": "{client_id}"}
    backend = OAuth2Backend("up", URL, grant_type="client_credentials", login_fields=fields, client_id="us")
    assert (backend.login_asks, backend.login_body({})) == (
        (),
        {"grant_type": "client_credentials", "audience": "api", "client": "us"},
    )


@pytest.mark.parametrize(
    ("options", "pair", "needs", "can"),
    [
        ({}, TokenPair("a", "r"), True, True),
        ({}, TokenPair("a", ""), True, False),
        ({"refresh_fields": {"token": "{access}"}}, TokenPair("a", ""), False, True),
        ({"refresh_fields": {"token": "{access}"}}, TokenPair("", "r"), False, False),
        ({"refresh_fields": {}, "refresh_headers": {"A": "{refresh} {access}"}}, TokenPair("a", ""), True, False),
        ({"refresh_fields": {"grant": "{client_id}"}}, TokenPair("", ""), False, True),
    ],
)
def test_what_a_refresh_takes(options: dict[str, Any], pair: TokenPair, needs: bool, can: bool) -> None:
    """Which of the tokens must be there follows from what the request is made of."""
    backend = Backend("up", URL, **options)
    assert (backend.needs_refresh_token, backend.can_refresh(pair)) == (needs, can)


def test_api_headers() -> None:
    """A call's headers may hold options beside the token."""
    headers = {"Authorization": "Token {access}", "apikey": "{api_key}"}
    request = PreparedRequest()
    request.prepare(method="GET", url=URL)
    Backend("up", URL, api_headers=headers, api_key="k1").authorize(request, PAIR)
    assert (request.headers["Authorization"], request.headers["apikey"]) == ("Token a1", "k1")


class Keyed(Backend):
    """One that nothing can be asked without a key."""

    _requires = ("api_key",)


def test_missing_option() -> None:
    """Without what a server requires nothing is sent, and it is said what is missing; answers can be read."""
    backend = Keyed("up", "http://127.0.0.1:9/")
    assert (list(backend.check()), list(backend.missing())) == ([], ["api_key"])
    for outcome in (backend.login({"username": "bob", "password": "p"}), backend.refresh(PAIR)):
        assert (outcome.verdict, outcome.reason) == (Verdict.CONFIG, "nothing was sent: OPTIONS has no api_key")


@pytest.mark.parametrize("headers", [{"X-Key": "€"}, {"X-Key": "a\nb"}, {" X": "a"}])
def test_header_of_ours_that_can_not_be_sent(headers: dict[str, str]) -> None:
    """A header of the settings which HTTP can't carry is a mistake of the settings; nothing is sent nor shown."""
    with Upstream() as server:
        outcome = refreshed(server, headers=headers)
        assert (outcome.verdict, outcome.is_ambiguous, server.seen) == (Verdict.CONFIG, False, [])
    assert outcome.reason.isalpha()


def test_field_that_no_json_can_hold(server: Upstream) -> None:
    """A mistake of the caller's is raised, without the variables that hold what was to be sent."""
    with pytest.raises(TypeError, match="not JSON serializable") as caught:
        Backend("up", server.url, login_fields={"a": b"bytes"}).login({})
    frames = [entry.frame for entry in caught.traceback if "site-packages/requests/" in str(entry.path)]
    assert frames
    assert not any(frame.f_locals for frame in frames)


def test_login_that_lacks_something() -> None:
    """A login without what it asks for sends nothing, and says what is missing."""
    with pytest.raises(TypeError, match="a login at up needs username, password"):
        Backend("up", URL).login({})


def test_refresh_token_is_needed() -> None:
    """Only where the client is the account does a new token take no stored one."""
    assert Backend("up", URL).needs_refresh_token
    assert OAuth2Backend("up", URL).needs_refresh_token
    assert not OAuth2Backend("up", URL, grant_type="client_credentials").needs_refresh_token


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({}, "Authorization", "Bearer a1"),
        ({"api_headers": {"X-Token": "{access}"}}, "X-Token", "a1"),
        ({"api_headers": {"Cookie": "{ x }={access}"}}, "Cookie", "{ x }=a1"),
    ],
)
def test_authorize(options: dict[str, Any], name: str, value: str) -> None:
    """The token goes where the settings say; other braces mean nothing."""
    request = Request("GET", URL).prepare()
    Backend("up", URL, **options).authorize(request, TokenPair("a1", "r1"))
    assert request.headers == {name: value}
