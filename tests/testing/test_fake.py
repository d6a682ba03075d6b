"""A fake upstream besides its states: canned answers, counts, what is unexpected, and tests without a database."""

from __future__ import annotations

import asyncio
import io
import unittest
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import httpx
import httpx2
import pytest
import requests
import requests_mock
import responses
from asgiref.sync import async_to_sync, sync_to_async
from django.core import mail
from django.test import SimpleTestCase, override_settings

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.httpx_auth import AsyncUpstreamClient, UpstreamAuth, UpstreamTransport
from jwt_upstream.models import Credential
from jwt_upstream.testing import Call, FakeUpstream, UnexpectedRequest, answer, logged_in
from jwt_upstream.testing.credentials import has_database
from tests.support.signatures import pem

API = "https://crm.example.com/api/"


@pytest.fixture
def crm(fake_upstream: Any) -> Any:
    """A fake "crm", in a test without a database unless it asks for one."""
    return fake_upstream("crm")


def get(path: str = "orders/", **kwargs: Any) -> requests.Response:
    return UpstreamClient("crm").get(path, **kwargs)


# -- canned answers


def test_status_headers_and_body(crm: Any) -> None:
    """One answer is for all calls of its method and path, whatever their query."""
    crm.answer("GET", "orders/", body="no", status=404, headers={"X-Reason": "none"})
    for query in ({}, {"page": "2"}):
        response = get(params=query)
        assert (response.status_code, response.reason, response.text) == (404, "Not Found", "no")
        assert response.headers["X-Reason"] == "none"


def test_answers_in_order(crm: Any) -> None:
    """Answers, errors and functions are used in order, the last one for all further calls."""

    def echo(call: Call) -> Any:
        return call.json()

    crm.answer("POST", "orders/", answer(503), requests.ConnectTimeout("no"), lambda _: answer(201), echo)
    assert UpstreamClient("crm").post("orders/").status_code == 503
    with pytest.raises(requests.ConnectTimeout):
        UpstreamClient("crm").post("orders/")
    assert UpstreamClient("crm").post("orders/").status_code == 201
    for number in (1, 2):
        assert UpstreamClient("crm").post("orders/", json={"n": number}).json() == {"n": number}


def test_query(crm: Any) -> None:
    """An answer for one query comes before that for any, and the order of its fields doesn't matter."""
    crm.answer("GET", "orders/", json="any")
    crm.answer("GET", "orders/?page=2&size=5", json="second")
    assert [get("orders/?size=5&page=2").json(), get("orders/?page=3").json()] == ["second", "any"]
    assert [call.query for call in crm.calls] == [{"size": "5", "page": "2"}, {"page": "3"}]


def test_later_answer_replaces_an_earlier_one(crm: Any) -> None:
    """What is said last of a path counts."""
    crm.answer("get", "orders/", json=1)
    crm.answer("GET", "orders/", json=2)
    assert get().json() == 2


@pytest.mark.parametrize("body", [b"a=1", "a=1", io.BytesIO(b"a=1"), {"a": "1"}])
def test_what_is_sent(crm: Any, body: Any) -> None:
    """A call is recorded with its body and headers, whatever the caller's body was."""
    crm.answer("POST", "orders/")
    UpstreamClient("crm").post("orders/", data=body, headers={"X-A": "b"})
    (call,) = crm.calls
    assert (str(call), call.url, call.body, call.headers["X-A"]) == ("POST orders/", f"{API}orders/", b"a=1", "b")
    assert call.headers["Authorization"] == "Bearer crm-access-1"
    assert "access" not in repr(call)


def test_generator(db: None, crm: Any) -> None:
    """A body that is sent in pieces is put together."""
    crm.answer("POST", "orders/")
    UpstreamClient("crm").post("orders/", data=iter([b"a", b"b"]))
    assert crm.calls[0].body == b"ab"


@pytest.mark.parametrize("wrong", [{"in_order": [{"a": 1}]}, {"in_order": [answer(200)], "json": 1}])
def test_no_answer(crm: Any, wrong: dict[str, Any]) -> None:
    """What is no answer, or two kinds at once, is an error where it is written."""
    with pytest.raises(TypeError, match="json"):
        crm.answer("GET", "orders/", *wrong.pop("in_order"), **wrong)


def test_redirect_to_another_host(crm: Any) -> None:
    """A file on another host is answered for too, and gets no token."""
    file = "https://files.example.net/7"
    crm.answer("GET", "file/", answer(302, {"Location": file}))
    crm.answer("GET", file, body=b"%PDF")
    assert get("file/").content == b"%PDF"
    assert [("Authorization" in call.headers) for call in crm.calls] == [True, False]
    assert crm.calls[1].path == file


def test_stream(crm: Any) -> None:
    """An answer may be read as it comes."""
    crm.answer("GET", "orders/", body=b"0123456789")
    with get(stream=True) as response:
        assert list(response.iter_content(4)) == [b"0123", b"4567", b"89"]


# -- what is unexpected


def test_unexpected_call() -> None:
    """A call without an answer fails, and so does the test if the code under test swallows that."""
    with (
        pytest.raises(AssertionError, match="crm: calls without a canned answer: GET orders/"),
        FakeUpstream("crm"),
        pytest.raises(UnexpectedRequest, match="crm: no canned answer for GET orders/; there is none at all"),
    ):
        get()


def test_failed_test_tells_its_own_failure() -> None:
    """What a test fails of is not hidden by what was unexpected besides."""
    with pytest.raises(ZeroDivisionError), FakeUpstream("crm"):
        with suppress(UnexpectedRequest):
            get()
        raise ZeroDivisionError


def test_unused_answer() -> None:
    """If that is wanted, a canned answer that nobody asked for is an error."""
    unused = f"crm: canned answers that no call has got: GET {API}orders/"
    with pytest.raises(AssertionError, match=unused), FakeUpstream("crm", all_used=True) as crm:
        crm.answer("GET", "orders/")


# -- one or more, and beside other doubles


def test_one_at_a_time(crm: Any) -> None:
    """Two fakes of one upstream would contradict each other; one of an unknown one is an error at once."""
    with pytest.raises(RuntimeError, match="there is a fake upstream 'crm' already"), FakeUpstream("crm"):
        pass
    with pytest.raises(UpstreamNotConfigured), FakeUpstream("nope"):
        pass
    assert repr(crm) == "<FakeUpstream crm>"


def test_several(fake_upstream: Any) -> None:
    """Each upstream has answers of its own."""
    for alias in ("crm", "erp"):
        fake_upstream(alias).answer("GET", "me/", json=alias)
    assert [UpstreamClient(alias).get("me/").json() for alias in ("crm", "erp")] == ["crm", "erp"]


@responses.activate
def test_beside_responses(db: None, crm: Any) -> None:
    """Another upstream may be answered for by responses."""
    crm.answer("GET", "me/", json="crm")
    responses.get("https://erp.example.com/api/me/", json="erp")
    logged_in("erp")
    assert [UpstreamClient(alias).get("me/").json() for alias in ("crm", "erp")] == ["crm", "erp"]


def test_beside_requests_mock(db: None, crm: Any) -> None:
    """Another upstream may be answered for by requests-mock; it has all sessions as long as it is on."""
    crm.answer("GET", "me/", json="crm")
    logged_in("erp")
    with requests_mock.Mocker() as mocker:
        mocker.get("https://erp.example.com/api/me/", json="erp")
        assert UpstreamClient("erp").get("me/").json() == "erp"
    assert UpstreamClient("crm").get("me/").json() == "crm"


def test_nothing_is_left() -> None:
    """After the test calls go where they went before, and no token is left in the process."""
    client = UpstreamClient("crm")
    with FakeUpstream("crm") as crm:
        crm.answer("GET", "orders/")
        client.get("orders/")
    assert UpstreamClient.stand_ins == {}
    assert httpx2.HTTPTransport.handle_request.__module__.startswith("httpx2")
    with pytest.raises(RuntimeError, match="Database access not allowed"):
        client.get("orders/")


# -- the network, and time


def test_down_and_slow(crm: Any) -> None:
    """Both fail at once, until the upstream is up again."""
    crm.answer("GET", "orders/", json=[])
    for state, error in ((crm.down, requests.ConnectionError), (crm.slow, requests.ReadTimeout)):
        state()
        with pytest.raises(error, match=f"crm is {state.__name__}, says its fake"):
            get()
    crm.logged_in()
    assert get().json() == []


def test_refresh_ahead_and_logout(db: None, settings: Any) -> None:
    """A token that is past its expiry is refreshed before the call; a logout is counted where one is told of it."""
    signed = {"client_id": "us", "client_authentication": "private_key_jwt", "signing_key": lambda: pem("ES256")}
    options = {"OPTIONS": {"revoke_path": "logout", "revoke_fields": {"token": "{token}"}, **signed}}
    settings.JWT_UPSTREAM = {"crm": {**settings.JWT_UPSTREAM["crm"], **options}}
    with FakeUpstream("crm") as crm:
        crm.answer("GET", "orders/")
        crm.logged_in(expires_in=0)
        get()
        assert (crm.refreshes, len(crm.calls)) == (1, 1)
        crm.logged_in(expires_in=None)
        assert Credential.objects.get().pair.access_expires_at is None
        UpstreamClient("crm").logout()
        assert crm.logouts == 1


def test_login_of_several_steps(db: None, settings: Any) -> None:
    """A login of two requests is one login, and what the first one keeps is there for the second."""
    options = {
        "login_steps": [{"path": "first", "keep": {"ticket": "ticket"}}],
        "login_fields": {"ticket": "{ticket}", "password": "{password}"},
    }
    settings.JWT_UPSTREAM = {"crm": {"BASE_URL": API, "OPTIONS": options}}
    with FakeUpstream("crm") as crm:
        UpstreamClient("crm").login(password="x")
        assert crm.logins == 1


# -- without a database


def test_no_database(crm: Any) -> None:
    """A test that may not use the database calls with a token all the same, also after settings have changed."""
    crm.answer("GET", "orders/", json=[7])
    assert not has_database()
    assert get().json() == [7]
    with override_settings(JWT_UPSTREAM_CACHE_SECONDS=1):
        assert get().json() == [7]


@pytest.mark.parametrize("state", ["expired", "rejected", "locked", "misconfigured", "needs_login"])
def test_state_that_needs_one(crm: Any, state: str) -> None:
    """A state that concerns the row says that it needs the database."""
    with pytest.raises(RuntimeError, match=rf"crm: {state}\(\) changes the account's row"):
        getattr(crm, state)()


def test_real_database(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of Django's test environment no row is written: it might be a real one's."""
    monkeypatch.delattr(mail, "outbox")
    with FakeUpstream("crm"):
        assert not Credential.objects.exists()


class DjangosSimpleTestCase(SimpleTestCase):
    """Run by the test below."""

    def runTest(self) -> None:
        crm = self.enterContext(FakeUpstream("crm"))
        crm.answer("GET", "orders/", json=[7])
        assert get().json() == [7]


def test_simple_test_case(django_db_blocker: Any, django_db_setup: None) -> None:
    """Django's SimpleTestCase, which forbids the database in its own way, is served as well."""
    result = unittest.TestResult()
    with django_db_blocker.unblock():
        # As a suite, since it is forbidden for the whole class.
        unittest.defaultTestLoader.loadTestsFromTestCase(DjangosSimpleTestCase).run(result)
        assert not Credential.objects.exists()
    assert (result.testsRun, result.failures, result.errors) == (1, [], [])


# -- as a decorator


def test_decorator(db: None) -> None:
    """A decorated test, awaited or not, has an upstream that begins anew each time."""
    crm = FakeUpstream("crm")

    @crm
    def one() -> int:
        crm.answer("GET", "orders/")
        return get().status_code + len(crm.calls)

    @crm
    async def two() -> int:
        crm.answer("GET", "orders/")
        return (await UpstreamClient("crm").aget("orders/")).status_code + len(crm.calls)

    assert (one(), one(), async_to_sync(two)()) == (201, 201, 201)
    assert one.__name__ == "one"


def test_what_is_not_decorated() -> None:
    """A class and a generator are refused: no test of a class was found, and a generator began after the end."""

    class Tests(unittest.TestCase):
        pass

    def generator() -> Iterator[None]:
        yield

    for one in (Tests, generator):
        with pytest.raises(TypeError, match="decorates functions and methods that are tests: for a class"):
            FakeUpstream("crm")(one)


# -- awaited, and by httpx


async def _aget(url: str) -> int:
    return (await UpstreamClient("crm").aget(url)).status_code


def _awaited(kind: Any, **given: Any) -> Callable[[str], int]:
    async def call(url: str) -> int:
        async with kind(**_made(given)) as client:
            return int((await client.get(url)).status_code)

    return async_to_sync(call)


def _waiting(kind: Any, **given: Any) -> Callable[[str], int]:
    def call(url: str) -> int:
        with kind(**_made(given)) as client:
            return int(client.get(url).status_code)

    return call


def _made(given: dict[str, Any]) -> dict[str, Any]:
    return {name: made("crm") for name, made in given.items()}


CALLERS: dict[str, Callable[[str], int]] = {
    "aget": async_to_sync(_aget),
    "AsyncUpstreamClient": _awaited(partial(AsyncUpstreamClient, "crm")),
}
for module in (httpx, httpx2):
    CALLERS[f"{module.__name__} transport"] = _waiting(module.Client, transport=UpstreamTransport)
    CALLERS[f"{module.__name__} auth"] = _waiting(module.Client, auth=UpstreamAuth)
    CALLERS[f"{module.__name__} async transport"] = _awaited(module.AsyncClient, transport=UpstreamTransport)
    CALLERS[f"{module.__name__} async auth"] = _awaited(module.AsyncClient, auth=UpstreamAuth)


@pytest.fixture(params=CALLERS)
def caller(request: pytest.FixtureRequest) -> Callable[[str], int]:
    """One way to call after the other."""
    return CALLERS[request.param]


def test_every_way_to_call_without_a_database(crm: Any, caller: Callable[[str], int]) -> None:
    """Whoever sends the call, it is answered."""
    crm.answer("GET", "orders/", status=202)
    assert caller(f"{API}orders/") == 202
    assert [str(call) for call in crm.calls] == ["GET orders/"]


def test_every_way_to_call_refreshes(db: None, crm: Any, caller: Callable[[str], int]) -> None:
    """A token that is refused is replaced, and the call repeated."""
    crm.answer("GET", "orders/", status=202)
    crm.expired()
    assert caller(f"{API}orders/") == 202
    assert (crm.refreshes, len(crm.calls)) == (1, 2)


def test_every_way_to_call_fails(crm: Any, caller: Callable[[str], int]) -> None:
    """What goes wrong has the class of the client's own library."""
    for state, errors in (
        (crm.down, (requests.ConnectionError, httpx.ConnectError, httpx2.ConnectError)),
        (crm.slow, (requests.ReadTimeout, httpx.ReadTimeout, httpx2.ReadTimeout)),
    ):
        state()
        with pytest.raises(errors, match="says its fake"):
            caller(f"{API}orders/")


def test_token_in_a_query_over_httpx(db: None, settings: Any, crm: Any) -> None:
    """A token that is sent in the query is refused and replaced as well; the call's path is without it."""
    options = {"api_headers": {}, "api_query": {"key": "{access}"}}
    settings.JWT_UPSTREAM = {"crm": {**settings.JWT_UPSTREAM["crm"], "OPTIONS": options}}
    crm.answer("GET", "orders/", status=202)
    crm.expired()
    with httpx2.Client(transport=UpstreamTransport("crm")) as client:
        assert client.get(f"{API}orders/").status_code == 202
    assert (crm.refreshes, [str(call) for call in crm.calls]) == (1, ["GET orders/", "GET orders/"])


def test_other_errors_over_httpx(crm: Any) -> None:
    """An error of requests for which httpx has no name is one of its transport."""
    crm.answer("GET", "orders/", requests.exceptions.ContentDecodingError("no"))
    with pytest.raises(httpx2.TransportError), httpx2.Client(transport=UpstreamTransport("crm")) as client:
        client.get(f"{API}orders/")


def test_other_hosts_over_httpx(crm: Any) -> None:
    """Requests to hosts that nobody fakes go on to the network."""
    with pytest.raises(httpx2.ConnectError), httpx2.Client() as client:
        client.get("http://127.0.0.1:1/")

    async def call() -> None:
        async with httpx2.AsyncClient() as client:
            await client.get("http://127.0.0.1:1/")

    with pytest.raises(httpx2.ConnectError):
        async_to_sync(call)()


def test_several_at_one_origin_over_httpx(settings: Any, fake_upstream: Any) -> None:
    """Where two upstreams have one host, a request is for the one whose path it has."""
    crm = settings.JWT_UPSTREAM["crm"]
    settings.JWT_UPSTREAM = {"crm": crm, "mail": {**crm, "BASE_URL": f"{API}mail/"}}
    for alias in ("mail", "crm"):
        fake_upstream(alias).answer("GET", "me/", json=alias)
    with httpx2.Client(transport=UpstreamTransport("mail")) as client:
        assert client.get(f"{API}mail/me/").json() == "mail"
    with httpx2.Client(transport=UpstreamTransport("crm")) as client:
        assert client.get(f"{API}me/").json() == "crm"


def test_state_in_a_coroutine(db: None) -> None:
    """In a coroutine an upstream can be faked, and a state that needs the database be had by sync_to_async()."""

    async def run() -> None:
        with FakeUpstream("crm") as crm:
            crm.answer("GET", "orders/")
            with pytest.raises(RuntimeError, match=r"sync_to_async\(\)"):
                crm.expired()
            await sync_to_async(crm.expired)()
            async with AsyncUpstreamClient("crm") as client:
                await client.get("orders/")
            assert crm.refreshes == 1

    async_to_sync(run)()


def test_event_loop_alone() -> None:
    """Without Django's threads, too, an awaited call is answered."""

    async def run() -> int:
        with ExitStack() as stack:
            stack.enter_context(FakeUpstream("crm")).answer("GET", "orders/")
            async with AsyncUpstreamClient("crm") as client:
                return int((await client.get("orders/")).status_code)

    assert asyncio.run(run()) == 200
