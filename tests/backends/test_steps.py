"""Logins of several steps, token requests by GET, and logins that a refresh repeats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses

from jwt_upstream.backends import Backend, OAuth2Backend, Outcome, Step, Verdict
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import LoginRejected, UpstreamMisconfigured
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Answer, Upstream

GIVEN = {"username": "bob", "password": "hunter2-Zebra"}
#: A nonce, a ticket for it, and the tenant's token for that.
STEPS: dict[str, Any] = {
    "login_steps": [
        {"path": "nonce", "method": "GET", "keep": {"challenge": "data.nonce"}},
        {
            "path": "tickets?for={challenge}",
            "fields": {"user": "{username}", "proof": "{sha256:{challenge}{password}}"},
            "headers": {"X-Challenge": "c={challenge}"},
            "body_format": "form",
            "keep": {"ticket": "ticket", "tenant": "tenants.0.id"},
        },
    ],
    "login_path": "tenants/{tenant}/login",
    "login_fields": {"ticket": "{ticket}", "tenant": "{tenant}"},
}


@pytest.fixture
def server() -> Iterator[Upstream]:
    with Upstream() as server:
        server.answers["/nonce"] = Answer(200, {"data": {"nonce": "n/1"}})
        server.answers["/tickets"] = Answer(200, {"ticket": "secret-Ticket-1", "tenants": [{"id": 12}]})
        server.answers["/tenants/12/login"] = Answer(200, {"access_token": "a1", "refresh_token": "r1"})
        yield server


def log_in(server: Upstream, **options: Any) -> Outcome:
    backend = Backend("up", server.url, **{**STEPS, **options})
    assert list(backend.check()) == []
    return backend.login(GIVEN)


def test_steps(server: Upstream) -> None:
    """Each step is made of what those before it have kept, in paths, fields and headers; numbers stay numbers."""
    backend = Backend("up", server.url, **STEPS)
    assert backend.login_asks == ("username", "password")
    outcome = backend.login(GIVEN)
    assert (outcome.verdict, outcome.pair) == (Verdict.OK, TokenPair("a1", "r1"))
    nonce, ticket, login = server.seen
    assert (nonce.method, nonce.path, nonce.body) == ("GET", "/nonce", b"")
    assert (ticket.path, ticket.headers["X-Challenge"]) == ("/tickets?for=n%2F1", "c=n/1")
    assert parse_qs(ticket.body.decode())["user"] == ["bob"]
    assert len(parse_qs(ticket.body.decode())["proof"][0]) == 64
    assert (login.path, login.json()) == ("/tenants/12/login", {"ticket": "secret-Ticket-1", "tenant": 12})


@pytest.mark.parametrize(
    ("path", "answer", "verdict", "reason"),
    [
        ("/nonce", Answer(500, {}), Verdict.TRANSIENT, "step 1 of 3: HTTP 500"),
        ("/nonce", Answer(503, {}), Verdict.TRANSIENT, "step 1 of 3: HTTP 503"),
        ("/tickets", Answer(401, {"error": "Bad credentials"}), Verdict.REJECTED, "step 2 of 3: HTTP 401: Bad creden"),
        ("/tickets", Answer(423, {}), Verdict.LOCKED, "step 2 of 3: HTTP 423"),
        ("/tickets", Answer(404, {}), Verdict.CONFIG, "step 2 of 3: HTTP 404"),
        (
            "/tickets",
            Answer(200, {"tickets": "x", "tenants": []}),
            Verdict.TRANSIENT,
            "step 2 of 3: HTTP 200; no ticket at ticket, tenant at tenants.0.id; the answer holds tickets, tenants",
        ),
        ("/tenants/12/login", Answer(401, {}), Verdict.REJECTED, "step 3 of 3: HTTP 401"),
        ("/tenants/12/login", Answer(200, {}), Verdict.TRANSIENT, "step 3 of 3: HTTP 200; no access token at access"),
    ],
)
def test_step_that_fails(server: Upstream, path: str, answer: Answer, verdict: Verdict, reason: str) -> None:
    """Each step is judged by the usual verdicts, and the reason says which it was."""
    server.answers[path] = answer
    outcome = log_in(server, locked_statuses=[423])
    assert (outcome.verdict, outcome.reason[: len(reason)]) == (verdict, reason)
    assert server.seen[-1].route == path


def test_secrets_of_steps(server: Upstream) -> None:
    """What a step has kept is quoted in no reason, nor is a password."""
    server.answers["/tenants/12/login"] = Answer(400, {"error": "no good: secret-Ticket-1, hunter2-Zebra"})
    assert log_in(server).reason == "step 3 of 3: HTTP 400: no good: […], […]"
    server.answers["/tickets"] = Answer(400, {"error": "no good: hunter2-Zebra"})
    assert log_in(server).reason == "step 2 of 3: HTTP 400: no good: […]"


@pytest.mark.slow
def test_deadline_of_all_steps(server: Upstream) -> None:
    """All steps together have one deadline, which each of them alone would keep."""
    for path in ("/nonce", "/tickets"):
        server.answers[path] = Answer(200, {"data": {"nonce": "1"}, "ticket": "t", "tenants": [{"id": 1}]}, delay=0.5)
    outcome = log_in(server, deadline=0.8)
    assert (outcome.verdict, outcome.reason[:12]) == (Verdict.TRANSIENT, "step 2 of 3:")


def test_rule_that_lets_a_step_pass(server: Upstream) -> None:
    """A rule may say what a step's success means; what upstream_probe explains is the answer that ended the login."""
    server.answers["/tickets"] = Answer(200, {"ticket": "t", "tenants": [{"id": 12}], "status": "MFA"})
    rule = {"where": "login", "json": "status", "pattern": "^MFA$", "verdict": "REJECTED"}
    backend, seen = Backend("up", server.url, **STEPS, rules=[rule]), []
    backend.recorder = lambda where, response: seen.append((where, response.json()["status"]))
    assert (backend.login(GIVEN).verdict, seen) == (Verdict.REJECTED, [("login", "MFA")])


def test_step_in_a_class(server: Upstream) -> None:
    """A project's own backend may have steps as objects."""

    class OwnBackend(Backend):
        login_steps = (Step("nonce", "GET", keep={"nonce": "data.nonce"}),)
        login_path = "tenants/12/login"
        login_fields = {"nonce": "{nonce}"}

    assert OwnBackend("up", server.url).login({}).verdict is Verdict.OK
    assert server.seen[1].json() == {"nonce": "n/1"}
    assert "nonce" not in repr(OwnBackend.login_steps[0])


# -- addresses that an answer names

FOUND: dict[str, Any] = {
    "login_steps": [{"path": "https://up.example.com/find", "method": "GET", "keep": {"endpoint": "url"}}],
    "login_path": "{endpoint}/token",
}


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("https://id.example.com/oauth", "https://id.example.com/oauth/token"),
        ("https://ID.example.com/", "https://ID.example.com/token"),
        ("https://id.example.com:443", "https://id.example.com:443/token"),
        ("https://up.example.com/x", "https://up.example.com/x/token"),
        ("x y", "https://up.example.com/x%20y/token"),
        *(
            (address, "")
            for address in (
                "https://evil.net",
                "http://id.example.com",
                "https://id.example.com.evil.net",
                "https://xexample.com",
                "https://example.com",
                "https://id.example.com:8443",
                "https://bob@id.example.com",
                "https://id.example.com@evil.net",
                "https://evil.net/?https://id.example.com",
                "https://evil.net#.example.com",
                "https://evil.net\\.example.com",
                "https://[::1",
                "ftp://id.example.com",
            )
        ),
    ],
)
def test_address_of_an_answer(address: str, asked: str) -> None:
    """A password goes to an address that an answer names only if settings name its host; nothing else is asked."""
    backend = Backend("up", "https://up.example.com/", **FOUND, base_url_hosts=["*.example.com"])
    assert (list(backend.check()), backend.login_asks) == ([], ("username", "password"))
    with responses.RequestsMock() as mock:
        mock.get("https://up.example.com/find", json={"url": address})
        if asked:
            mock.post(asked, json={"token": "a1"})
        outcome = backend.login(GIVEN)
        assert len(mock.calls) == 1 + bool(asked)
    if not asked:
        reason = (
            "step 2 of 2: nothing was sent: an answer named an address to ask next that is at none of base_url_hosts"
        )
        assert (outcome.verdict, outcome.reason) == (Verdict.CONFIG, reason)


# -- GET and PUT


def test_requests_by_get(server: Upstream) -> None:
    """With the method GET, or the format "query", the fields go into the query, in which no secret is logged."""
    for path in ("/login", "/refresh"):
        server.answers[path] = Answer(200, {"token": "a2"})
    options: dict[str, Any] = {"login_method": "GET", "refresh_method": "GET", "login_query": {"v": "2"}}
    backend = Backend("up", server.url, **options)
    assert backend.login(GIVEN).pair == backend.refresh(TokenPair("a1", "r1")).pair == TokenPair("a2")
    login, refresh = server.seen
    assert (login.method, login.body, refresh.method) == ("GET", b"", "GET")
    assert login.path == "/login?username=bob&password=hunter2-Zebra&v=2"
    assert refresh.path == "/refresh?refresh_token=r1"
    backend = Backend("up", server.url, body_format="query", refresh_method="PUT", refresh_format="form")
    backend.login(GIVEN)
    backend.refresh(TokenPair("a1", "r1"))
    login, refresh = server.seen[2:]
    assert (login.method, login.body, urlsplit(login.path).query) == (
        "POST",
        b"",
        "username=bob&password=hunter2-Zebra",
    )
    assert (refresh.method, refresh.body) == ("PUT", b"refresh_token=r1")


def test_refused_get(server: Upstream) -> None:
    """The URL that a failure names has no query."""
    server.answers["/login"] = Answer(404, {})
    outcome = Backend("up", server.url, login_method="GET").login(GIVEN)
    assert outcome.asked == f"GET {server.url}login"


# -- basic


@pytest.mark.parametrize(
    ("how", "header"), [("basic", "Basic dXM6cCUyQnclMjUlM0E="), ("basic_plain", "Basic dXM6cCt3JTo=")]
)
def test_basic(how: str, header: str) -> None:
    """Basic is form-encoded as RFC 6749 says, or plain as most servers read it."""
    backend = OAuth2Backend("up", "https://up/", client_id="us", client_secret="p+w%:", client_authentication=how)
    headers: Any = backend.login_request(GIVEN).headers
    assert headers["Authorization"] == header


@pytest.mark.parametrize(
    ("secret", "how", "status", "is_told"),
    [
        ("p+w", "basic", 401, True),
        ("pw", "basic", 401, False),
        ("p+w", "basic_plain", 401, False),
        ("p+w", "post", 401, False),
        ("p+w", "basic", 500, False),
    ],
)
def test_secret_that_servers_read_differently(
    server: Upstream, secret: str, how: str, status: int, is_told: bool
) -> None:
    """A refused client whose secret has reserved characters is told that there is another way to send it."""
    server.answers["/token"] = Answer(status, {"error": "invalid_client"})
    options = {"client_id": "us", "client_secret": secret, "client_authentication": how}
    reason = OAuth2Backend("up", server.url, **options).login(GIVEN).reason
    assert ("try client_authentication 'basic_plain'" in reason) is is_told
    assert secret not in reason


# -- logins that ask for nothing


def test_refresh_repeats_login(server: Upstream, settings: Any, transactional_db: None) -> None:
    """Where a login asks for nothing, a refresh is another login, with all of its steps."""
    options = {
        "login_steps": [{"path": "nonce", "method": "GET", "keep": {"nonce": "data.nonce"}}],
        "login_fields": {"key": "{api_key}", "nonce": "{nonce}"},
        "refresh_paths": [],
        "refresh_repeats_login": True,
        "api_key": "k",
    }
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": server.url, "OPTIONS": options}}
    server.answers["/login"] = lambda seen: Answer(200, {"token": server.issue()["access"]})
    client = UpstreamClient("up")
    client.login()
    server.expire()
    assert client.get("orders/").json()["token"] == "access-2"
    assert [each.route for each in server.seen] == ["/nonce", "/login", "/orders/", "/nonce", "/login", "/orders/"]
    assert server.calls("/login")[1].json() == {"key": "k", "nonce": "n/1"}


def test_client_credentials_by_steps(server: Upstream) -> None:
    """With client credentials a refresh takes the steps, too."""
    server.answers["/token"] = Answer(200, {"access_token": "a1"})
    server.answers["/session"] = Answer(200, {"access_token": "s1"})
    step = {
        "path": "token",
        "fields": {"grant_type": "client_credentials"},
        "body_format": "form",
        "client_authentication": "basic_plain",
        "keep": {"first": "access_token"},
    }
    options = {"login_steps": [step], "login_path": "session", "login_headers": {"X-First": "{first}"}}
    backend = OAuth2Backend(
        "up", server.url, grant_type="client_credentials", client_id="us", client_secret="s", **options
    )
    assert (list(backend.check()), backend.login_asks) == ([], ())
    assert backend.login({}).pair == backend.refresh(TokenPair("old")).pair == TokenPair("s1")
    assert [(each.path, each.headers.get("X-First")) for each in server.seen] == [
        ("/token", None),
        ("/session", "a1"),
    ] * 2


# -- what a login keeps, through a client


def test_nothing_stored(server: Upstream, settings: Any, transactional_db: None) -> None:
    """If a step fails, or names a forbidden address, nothing is stored, and the error says what to do."""
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": server.url, "OPTIONS": STEPS}}
    server.answers["/tickets"] = Answer(401, {})
    with pytest.raises(LoginRejected, match="login failed: step 2 of 3: HTTP 401"):
        UpstreamClient("up").login(**GIVEN)
    server.answers["/find"] = lambda seen: Answer(200, {"url": "https://evil.net"})
    options = {**FOUND, "login_steps": [{**FOUND["login_steps"][0], "path": "find"}]}
    settings.JWT_UPSTREAM = {"up": {"BASE_URL": server.url, "OPTIONS": options}}
    with pytest.raises(UpstreamMisconfigured, match="at none of base_url_hosts"):
        UpstreamClient("up").login(**GIVEN)
    assert not Credential.objects.exists()
