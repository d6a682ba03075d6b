"""Test doubles that people use with requests: calls, logins and refreshes meet them, and nothing else is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests_mock
import responses
import vcr
from pytest_httpserver import HTTPServer

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import LoginRejected, RefreshUnavailable
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.support.raw_server import self_signed
from tests.support.upstream import Answer, Upstream

#: Nobody listens there.
URL = "://127.0.0.1:9/api/"
REFUSED = {"code": "token_not_valid"}
NEW = {"access": "new", "refresh": "refresh-2"}

#: What a double is told: method, path, status and JSON of each answer, in order.
Script = list[tuple[str, str, int, Any]]
Double = Callable[[str, Script, Path], AbstractContextManager[Any]]

REFRESH: Script = [
    ("GET", "orders/", 401, REFUSED),
    ("POST", "refresh", 200, NEW),
    ("GET", "orders/", 200, [7]),
]


@contextmanager
def by_responses(url: str, script: Script, _: Path) -> Iterator[None]:
    """The answers as responses gives them."""
    with responses.RequestsMock() as mock:
        for method, path, status, body in script:
            mock.add(method, url + path, status=status, json=body)
        yield


@contextmanager
def by_requests_mock(url: str, script: Script, _: Path) -> Iterator[None]:
    """The answers as requests-mock gives them."""
    with requests_mock.Mocker() as mock:
        for method, path in dict.fromkeys((method, path) for method, path, _, _ in script):
            answers = [{"status_code": each[2], "json": each[3]} for each in script if each[:2] == (method, path)]
            mock.register_uri(method, url + path, answers)
        yield
        seen = [(each.method, each.url) for each in mock.request_history]
        assert seen[: len(script)] == [(method, url + path) for method, path, _, _ in script]


@contextmanager
def by_vcr(url: str, script: Script, folder: Path) -> Iterator[None]:
    """The answers as vcrpy plays them from a cassette."""
    cassette = folder / "cassette.json"
    recorded = [
        {
            "request": {"method": method, "uri": url + path, "body": None, "headers": {}},
            "response": {
                "status": {"code": status, "message": "X"},
                "headers": {"Content-Type": ["application/json"]},
                "body": {"string": json.dumps(body)},
            },
        }
        for method, path, status, body in script
    ]
    cassette.write_text(json.dumps({"version": 1, "interactions": recorded}))
    with vcr.use_cassette(str(cassette), record_mode="none", serializer="json") as played:
        yield
        assert played.all_played


DOUBLES = [by_responses, by_requests_mock, by_vcr]


@pytest.fixture(params=["http", "https"])
def url(request: pytest.FixtureRequest, settings: Any) -> str:
    """The URL of an upstream that isn't there, configured as "up"."""
    options = {"refresh_fields": {"refresh": "{refresh}"}, "deadline": 3.0}
    url = str(request.param) + URL
    settings.JWT_UPSTREAM = {
        "up": {"BACKEND": "jwt_upstream.backends.Backend", "BASE_URL": url, "OPTIONS": options},
    }
    return url


@pytest.mark.parametrize("double", DOUBLES)
def test_refresh(transactional_db: None, url: str, tmp_path: Path, double: Double) -> None:
    """A call, the refresh after its 401, which has a thread of its own, and the second call meet the double."""
    client = UpstreamClient("up")
    client.adopt(TokenPair("old", "refresh-1"))
    with double(url, REFRESH, tmp_path):
        assert client.get("orders/").json() == [7]
    assert Credential.objects.get().pair.refresh == "refresh-2"


@pytest.mark.parametrize("double", DOUBLES)
def test_refresh_in_a_test_case(db: None, url: str, tmp_path: Path, double: Double) -> None:
    """Test doubles answer a refresh inside a test's own transaction, where it has no thread of its own."""
    client = UpstreamClient("up")
    client.adopt(TokenPair("old", "refresh-1"))
    with double(url, REFRESH, tmp_path):
        assert client.get("orders/").json() == [7]


@pytest.mark.parametrize("double", DOUBLES)
def test_login(db: None, url: str, tmp_path: Path, double: Double) -> None:
    """A login meets the double, and so does a refused one."""
    client = UpstreamClient("up")
    refused: Script = [("POST", "login", 401, {"detail": "No active account found"})]
    with double(url, refused, tmp_path), pytest.raises(LoginRejected):
        client.login(username="bob", password="wrong")
    with double(url, [("POST", "login", 200, NEW), ("GET", "orders/", 200, [7])], tmp_path):
        client.login(username="bob", password="right")
        assert client.get("orders/").json() == [7]


@pytest.mark.parametrize("double", DOUBLES)
def test_calls_that_are_repeated(db: None, url: str, settings: Any, tmp_path: Path, double: Double) -> None:
    """With the option retries, too, calls meet the double."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["retries"] = 1
    client = UpstreamClient("up")
    client.adopt(TokenPair("old", "refresh-1"))
    with double(url, REFRESH, tmp_path):
        assert client.get("orders/").json() == [7]


@pytest.mark.parametrize("double", DOUBLES)
def test_refresh_that_the_double_was_not_told_of(
    client: UpstreamClient, upstream: Upstream, tmp_path: Path, double: Double
) -> None:
    """What a test forgot is an error as the double raises it, and not a real request that spends a token."""
    with double(upstream.url, REFRESH[:1], tmp_path), pytest.raises(RefreshUnavailable):
        client.get("orders/")
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("double", "queries"),
    [
        (by_responses, ("&key=old", "?refresh_token=refresh-1", "&key=new")),
        (by_vcr, ("&key=old", "?refresh_token=refresh-1", "&key=new")),
        (by_requests_mock, ("", "", "")),
    ],
)
def test_tokens_in_queries(
    db: None, url: str, settings: Any, tmp_path: Path, double: Double, queries: tuple[str, str, str]
) -> None:
    """A double of adapters or connections sees the whole query, one of sessions as little as all that trace them."""
    options = {"refresh_method": "GET", "api_query": {"key": "{access}"}, "api_headers": {}}
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = options
    client = UpstreamClient("up")
    client.adopt(TokenPair("old", "refresh-1"))
    script: Script = [
        ("GET", f"orders/?a=1{queries[0]}", 401, REFUSED),
        ("GET", f"refresh{queries[1]}", 200, NEW),
        ("GET", f"orders/?a=1{queries[2]}", 200, [7]),
    ]
    with double(url, script, tmp_path):
        response = client.get("orders/", params={"a": "1"})
    assert (response.json(), response.url) == ([7], f"{url}orders/?a=1")


# -- vcrpy, which replaces the classes of connections


@pytest.fixture(params=["http", "https"])
def real(request: pytest.FixtureRequest, settings: Any, db: None, tmp_path: Path) -> Iterator[Upstream]:
    """A real upstream, configured as "up", at which "up" is logged in."""
    context = self_signed(tmp_path) if request.param == "https" else None
    with Upstream(context) as upstream:
        options = {"refresh_fields": {"refresh": "{refresh}"}, "verify": str(tmp_path / "certificate.pem")}
        settings.JWT_UPSTREAM = {
            "up": {"BACKEND": "jwt_upstream.backends.Backend", "BASE_URL": upstream.url, "OPTIONS": options}
        }
        UpstreamClient("up").login(username=upstream.user, password=upstream.password)
        upstream.seen.clear()
        yield upstream


def test_cassette_between_real_calls(real: Upstream, tmp_path: Path) -> None:
    """While a cassette plays no connection from before it is used, and afterwards none that played it."""
    client = UpstreamClient("up")
    for _ in range(2):
        assert client.get("orders/").json()["token"] == "access-1"
        with by_vcr(real.url, [("GET", "orders/", 200, [7]), ("GET", "orders/", 200, [8])], tmp_path):
            assert [client.get("orders/").json() for _ in range(2)] == [[7], [8]]
    assert client.get("orders/").json()["token"] == "access-1"
    assert len(real.calls("/orders/")) == 3


def test_cassette_that_is_recorded(real: Upstream, tmp_path: Path) -> None:
    """A call with its refresh is recorded from a real upstream, within the deadline, and played without it."""
    client, cassette = UpstreamClient("up"), str(tmp_path / "recorded.yaml")
    real.expire()
    with vcr.use_cassette(cassette, record_mode="once"):
        recorded = client.get("orders/").json()
    assert (recorded["token"], real.refreshes) == ("access-2", 1)
    seen = len(real.seen)
    client.adopt(TokenPair("access-1", "refresh-1"))
    with vcr.use_cassette(cassette, record_mode="none"):
        assert client.get("orders/").json() == recorded
    assert len(real.seen) == seen


def test_cassette_with_tokens_in_queries(real: Upstream, settings: Any, tmp_path: Path) -> None:
    """A cassette records the whole query, and plays what was recorded with the same token."""
    real.answers["/orders/"] = lambda seen: Answer(200, {"path": seen.path})
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"api_query": {"key": "{access}"}, "api_headers": {}}
    client, cassette = UpstreamClient("up"), tmp_path / "recorded.yaml"
    for mode in ("once", "none"):
        with vcr.use_cassette(str(cassette), record_mode=mode):
            assert client.get("orders/").json() == {"path": "/orders/?key=access-1"}
    assert "orders/?key=access-1" in cassette.read_text()
    assert len(real.calls("/orders/")) == 1


# -- pytest-httpserver, which is a real server


def test_server_of_the_test(db: None, settings: Any, httpserver: HTTPServer) -> None:
    """A login, a call and a refresh are answered by the test's own server."""
    options = {"refresh_fields": {"refresh": "{refresh}"}}
    backend = "jwt_upstream.backends.Backend"
    settings.JWT_UPSTREAM = {"up": {"BACKEND": backend, "BASE_URL": httpserver.url_for("/api/"), "OPTIONS": options}}
    httpserver.expect_ordered_request("/api/login", "POST").respond_with_json({"access": "old", "refresh": "r"})
    authorized = {"Authorization": "Bearer old"}
    httpserver.expect_ordered_request("/api/orders/", headers=authorized).respond_with_json(REFUSED, 401)
    httpserver.expect_ordered_request("/api/refresh", "POST", json={"refresh": "r"}).respond_with_json(NEW)
    authorized = {"Authorization": "Bearer new"}
    httpserver.expect_ordered_request("/api/orders/", headers=authorized).respond_with_json([7])
    client = UpstreamClient("up")
    client.login(username="bob", password="right")
    assert client.get("orders/").json() == [7]
    httpserver.check_assertions()
