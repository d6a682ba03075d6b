"""What calls are sent with besides a header: queries, other values of the answer, and addresses that come with it."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
import responses
from cryptography.fernet import Fernet
from django.core.management import call_command
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidURL

from jwt_upstream.backends import SalesforceBackend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import ForeignOrigin, UpstreamMisconfigured
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Answer, Seen, Upstream

OPTIONS: dict[str, Any] = {
    "api_headers": {"X-Org": "{answer.user.org}", "X-Key": "k {api_key}"},
    "api_query": {"access_token": "{access}", "tenant": "{tenant}"},
    "api_key": "key-1",
    "login_steps": [{"path": "tenants", "keep": {"tenant": "id"}}],
    "refresh_fields": {"refresh": "{refresh}", "org": "{answer.user.org}"},
}


@pytest.fixture
def server(upstream: Upstream, settings: Any) -> Upstream:
    """An upstream that takes the token in the query; its first answer has more than the tokens."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = OPTIONS
    upstream.answers["/tenants"] = Answer(200, {"id": "t&1"})
    upstream.answers["/login"] = lambda _: Answer(200, {**upstream.issue(), "user": {"org": 7}})
    upstream.answers["/orders/"] = lambda seen: guarded(upstream, seen)
    return upstream


def guarded(upstream: Upstream, seen: Seen) -> Answer:
    if any(f"access_token={token}&" in seen.path for token in upstream.access):
        return Answer(200, {})
    return Answer(401, {})


@pytest.fixture
def client(server: Upstream, transactional_db: None) -> UpstreamClient:
    client = UpstreamClient("up")
    client.login(username="bob", password="p")
    server.seen.clear()
    return client


def test_query(client: UpstreamClient, server: Upstream) -> None:
    """The token is in the query that the server gets, and in no URL that the caller gets; a 401 has it replaced."""
    response = client.get("orders/?page=2#top")
    (seen,) = server.seen
    assert (response.status_code, seen.path) == (200, "/orders/?page=2&access_token=access-1&tenant=t%261")
    assert (seen.headers["X-Org"], seen.headers["X-Key"], "Authorization" in seen.headers) == ("7", "k key-1", False)
    assert response.url == response.request.url == f"{server.url}orders/?page=2#top"
    server.expire()
    response = client.get("orders/")
    assert (response.status_code, server.seen[-1].path) == (200, "/orders/?access_token=access-2&tenant=t%261")
    assert server.calls("/refresh")[0].json() == {"refresh": "refresh-1", "org": "7"}
    shown = [response.url, *(each.url for each in response.history), repr(vars(response.raw)), repr(vars(response))]
    assert not any("access-1" in text or "access-2" in text for text in shown)


def test_stored_with_the_pair(client: UpstreamClient, server: Upstream) -> None:
    """The values are encrypted with the pair; a refresh replaces those that it brings."""
    row = Credential.objects.get()
    assert dict(row.pair.answer.items()) == {"answer.user.org": "7", "tenant": "t&1"}
    assert "t&1" not in repr(vars(row))
    server.answers["/refresh"] = lambda _: Answer(200, {**server.issue(), "user": {"org": 8}})
    client.refresh()
    assert dict(Credential.objects.get().pair.answer.items()) == {"answer.user.org": "8", "tenant": "t&1"}
    client.get("orders/")
    assert server.calls("/orders/")[0].headers["X-Org"] == "8"
    client.logout()
    assert not Credential.objects.get().answer


def test_renamed_and_encrypted_anew(client: UpstreamClient, settings: Any) -> None:
    """The values go along when a row is renamed, and are encrypted anew with the tokens."""
    row = Credential.objects.get()
    row.account = "tenant"
    row.save()
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.JWT_UPSTREAM_ENCRYPTION_KEYS]
    call_command("upstream_rekey")
    row = Credential.objects.get()
    assert (row.pair.answer["answer.user.org"], row.answer.key_number()) == ("7", 0)


def test_value_that_is_too_long(client: UpstreamClient, server: Upstream) -> None:
    """A rotated pair is stored whatever comes with it; what no header carries is as if it were missing."""
    server.answers["/refresh"] = lambda _: Answer(200, {**server.issue(), "user": {"org": "x" * 10_000}})
    client.refresh()
    row = Credential.objects.get()
    assert (row.pair.access, row.pair.answer["answer.user.org"]) == ("access-2", "7")


def test_value_that_is_missing(client: UpstreamClient, server: Upstream) -> None:
    """A login whose answer lacks a value stores nothing; an adopted pair without one is not sent."""
    server.answers["/login"] = lambda _: Answer(200, {**server.issue(), "user": {"org": {}}})
    with pytest.raises(UpstreamMisconfigured, match=r"calls need answer\.user\.org, which the answer does not hold"):
        client.login(username="bob", password="p")
    assert Credential.objects.get().pair.access == "access-1"
    client.adopt(TokenPair("access-1"))
    with pytest.raises(UpstreamMisconfigured, match=r"no \{answer\.user\.org\} came with the token; log in again"):
        client.get("orders/")
    assert not server.calls("/orders/")
    client.adopt(TokenPair("access-2", answer={"answer.user.org": "9", "tenant": "x"}))
    assert client.get("orders/").status_code == 200
    assert server.seen[-1].path == "/orders/?access_token=access-2&tenant=x"


def test_field_of_the_caller(client: UpstreamClient, server: Upstream, settings: Any) -> None:
    """A caller can't set the token's field, but have it replaced where settings say so."""
    with pytest.raises(InvalidURL, match="adds access_token to the query itself; remove yours"):
        client.get("orders/", params={"access_token": "mine"})
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = {**OPTIONS, "caller_authorization": "replace"}
    client.get("orders/?access%5Ftoken=mine&a=1", params={"tenant": "x"})
    assert server.seen[-1].path == "/orders/?a=1&access_token=access-1&tenant=t%261"


def test_redirects(client: UpstreamClient, server: Upstream) -> None:
    """A redirect that repeats the query doesn't take the token to another origin, and has it once inside."""
    with Upstream() as other:
        other.answers["/there"] = Answer(200, {})
        server.answers["/old/"] = lambda seen: Answer(302, b"", {"Location": seen.path.replace("/old/", "/orders/")})
        assert client.get("old/?a=1").status_code == 200
        assert server.seen[-1].path == "/orders/?a=1&access_token=access-1&tenant=t%261"
        query = "access_token=access-1&b=2&tenant=t%261"
        server.answers["/away"] = lambda _: Answer(307, b"", {"Location": f"{other.url}there?{query}"})
        response = client.get("away", params={"b": "2"})
        assert (response.status_code, [seen.path for seen in other.seen]) == (200, ["/there?b=2"])
        following = client.get("away", allow_redirects=False).next
        assert following
        assert following.url == f"{other.url}there?b=2"


@pytest.mark.parametrize("retries", [0, 1])
def test_logs_and_errors(
    client: UpstreamClient, settings: Any, caplog: pytest.LogCaptureFixture, retries: int
) -> None:
    """Neither the log of urllib3 nor an error of requests shows the token of a query."""
    caplog.set_level(logging.DEBUG)
    client.get("orders/")
    with Upstream() as closed:
        url = closed.url
    settings.JWT_UPSTREAM["up"] = {"BASE_URL": url, "OPTIONS": {**OPTIONS, "retries": retries}}
    client.adopt(TokenPair("access-1", answer=dict(Credential.objects.get().pair.answer.items())))
    with pytest.raises(requests.ConnectionError) as caught:
        UpstreamClient("up").get("orders/")
    assert caught.value.request
    assert caught.value.request.url == f"{url}orders/"
    assert "/orders/" in caplog.text
    texts = [caplog.text, repr(caught.value), str(caught.value), repr(caught.value.__context__)]
    assert not any("access-1" in text or "t%261" in text for text in texts)


def test_adapter_of_the_caller(client: UpstreamClient, server: Upstream) -> None:
    """An adapter that a project has mounted is given the whole URL; the response still has it without the token."""
    client.mount("http://", HTTPAdapter())
    response = client.get("orders/?page=2")
    assert server.seen[-1].path == "/orders/?page=2&access_token=access-1&tenant=t%261"
    assert response.url == f"{server.url}orders/?page=2"


def test_values_of_each_call(server: Upstream, settings: Any, transactional_db: None) -> None:
    """Headers may be made anew for each call, with digests of the time and the token."""
    headers = {"Authorization": "Basic {base64:0:{access}}", "X-Id": "{uuid}", "X-Again": "{uuid}"}
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = {"api_headers": headers}
    client = UpstreamClient("up")
    client.adopt(TokenPair("a1", "r1"))
    server.answers["/orders/"] = Answer(200, {})
    client.get("orders/")
    client.get("orders/")
    one, two = (seen.headers for seen in server.calls("/orders/"))
    assert one["Authorization"] == two["Authorization"] == "Basic " + b64encode(b"0:a1").decode()
    assert one["X-Id"] == one["X-Again"] != two["X-Id"]


# -- the address of the API

ADDRESS = "https://acme.my.salesforce.com"
TOKEN = "https://login.salesforce.com/services/oauth2/token"


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def salesforce(settings: Any, transactional_db: None, mock: responses.RequestsMock) -> UpstreamClient:
    settings.JWT_UPSTREAM = {
        "up": {
            "BACKEND": "jwt_upstream.backends.SalesforceBackend",
            "BASE_URL": "https://login.salesforce.com/services/data/v60.0/",
            "OPTIONS": {"login_path": TOKEN, "client_id": "us"},
        }
    }
    answer(mock, "a1", ADDRESS)
    client = UpstreamClient("up")
    client.login(username="bob", password="p")
    return client


def answer(mock: responses.RequestsMock, access: str, address: Any) -> None:
    mock.upsert("POST", TOKEN, json={"access_token": access, "refresh_token": "r", "instance_url": address})


def urls(mock: responses.RequestsMock) -> list[str]:
    return [str(call.request.url) for call in mock.calls if call.request.method == "GET"]


def test_address(salesforce: UpstreamClient, mock: responses.RequestsMock) -> None:
    """Calls are joined to the address that came with the token, and go nowhere else."""
    base = f"{ADDRESS}/services/data/v60.0/"
    for path in ("query?q=x", "/services/other"):
        mock.get(urljoin(base, path), json={})
    assert salesforce.get("query?q=x").url == f"{base}query?q=x"
    assert salesforce.get("/services/other").status_code == 200
    assert salesforce.get(f"{base}query?q=x").status_code == 200
    asked = urls(mock)
    for url in (
        "https://login.salesforce.com/x",
        "https://evil.net/",
        "//other.my.salesforce.com/",
        f"{ADDRESS}:8443/",
    ):
        with pytest.raises(ForeignOrigin, match=r"not on https://acme\.my\.salesforce\.com:443, the origin"):
            salesforce.get(url)
    assert urls(mock) == asked


def test_address_that_changes(salesforce: UpstreamClient, mock: responses.RequestsMock) -> None:
    """A call whose refresh brings another address is sent again to that one, and so is one prepared before."""
    old, new = f"{ADDRESS}/services/data/v60.0/", "https://acme2.my.salesforce.com/services/data/v60.0/"
    for path in ("limits", "/apex?x=1"):
        mock.get(urljoin(old, path), status=401, json=[])
        mock.get(urljoin(new, path), json={})
    prepared = salesforce.prepare_request(requests.Request("GET", "/apex?x=1"))
    foreign = requests.Request("GET", "https://login.salesforce.com/x").prepare()
    answer(mock, "a2", "https://acme2.my.salesforce.com")
    response = salesforce.get("limits")
    assert (response.status_code, response.url, response.history[0].url) == (200, f"{new}limits", f"{old}limits")
    assert salesforce.send(prepared).url == "https://acme2.my.salesforce.com/apex?x=1"
    with pytest.raises(ForeignOrigin):
        salesforce.send(foreign)


def test_redirects_at_the_address(salesforce: UpstreamClient, mock: responses.RequestsMock) -> None:
    """A redirect is inside the origin if it stays at the address that came with the token."""
    base = f"{ADDRESS}/services/data/v60.0/"
    mock.get(f"{base}old", status=302, headers={"Location": "/new"})
    mock.get(f"{ADDRESS}/new", json={})
    mock.get(f"{base}away", status=302, headers={"Location": "https://login.salesforce.com/new"})
    mock.get("https://login.salesforce.com/new", json={})
    assert salesforce.get("old").status_code == salesforce.get("away").status_code == 200
    tokens = [call.request.headers.get("Authorization") for call in mock.calls if call.request.method == "GET"]
    assert tokens == ["Bearer a1", "Bearer a1", "Bearer a1", None]


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.net",
        "https://salesforce.com.evil.net",
        "https://evilsalesforce.com",
        "http://acme.my.salesforce.com",
        "https://acme.my.salesforce.com:444",
        "https://bob@acme.my.salesforce.com",
        "https://[::1",
        "https://acme.my.salesforce.com\\@evil.net",
    ],
)
def test_forbidden_address(salesforce: UpstreamClient, mock: responses.RequestsMock, address: str) -> None:
    """A login with an address of no host in settings stores nothing; a rotated pair is kept, and sent nowhere."""
    answer(mock, "a2", address)
    with pytest.raises(UpstreamMisconfigured, match=r"the API's address that came .*base_url_hosts"):
        salesforce.login(username="bob", password="p")
    assert Credential.objects.get().pair.access == "a1"
    salesforce.refresh()
    for _ in range(2):
        with pytest.raises(UpstreamMisconfigured, match="not sent: the API's address that came with the token is"):
            salesforce.get("limits")
    assert (Credential.objects.get().pair.access, urls(mock)) == ("a2", [])


def test_no_address(salesforce: UpstreamClient, mock: responses.RequestsMock) -> None:
    """Without an address, in an answer or an adopted pair, calls go to BASE_URL."""
    mock.get("https://login.salesforce.com/services/data/v60.0/limits", json={})
    answer(mock, "a2", None)
    salesforce.login(username="bob", password="p")
    assert salesforce.get("limits").status_code == 200
    salesforce.adopt(TokenPair("a3"))
    assert salesforce.get("limits").status_code == 200


@pytest.mark.parametrize(
    ("address", "base_url"),
    [
        ("https://x.example.com", "https://x.example.com/v1/"),
        ("https://x.example.com/", "https://x.example.com/v1/"),
        ("x.example.com", "https://x.example.com/v1/"),
        ("https://x.example.com/api", "https://x.example.com/api/"),
        ("https://api.example.com/v2/", "https://api.example.com/v2/"),
        (True, "https://api.example.com/v1/"),
        ("https://ü.example.com", "https://api.example.com/v1/"),
    ],
)
def test_path_of_the_address(
    settings: Any, transactional_db: None, mock: responses.RequestsMock, address: Any, base_url: str
) -> None:
    """An address without a path has that of BASE_URL; what is no address is none. One may come from a step."""
    options = {
        "login_steps": [{"path": "find", "keep": {"there": "url"}}],
        "base_url_paths": ["url", "kept:there"],
        "base_url_hosts": ["*.example.com"],
    }
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": "https://api.example.com/v1/", "OPTIONS": options}}
    mock.post("https://api.example.com/v1/find", json={"url": address})
    mock.post("https://api.example.com/v1/login", json={"token": "a1"})
    mock.get(f"{base_url}orders/", json=[])
    client = UpstreamClient("up")
    client.login(username="bob", password="p")
    assert client.get("orders/").url == f"{base_url}orders/"


def test_salesforce() -> None:
    """Salesforce's answers name the instance; its own domains may be called."""
    assert list(SalesforceBackend("sf", "https://acme.my.salesforce.com/", client_id="us").check()) == []
