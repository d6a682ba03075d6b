"""Client secrets that are kept elsewhere, replaced or rotated: which of them the token endpoint is asked with."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from requests import Response

from jwt_upstream.backends import (
    Backend,
    GitHubBackend,
    HubSpotBackend,
    OAuth2Backend,
    SlackBackend,
    Step,
    Verdict,
    Where,
)
from jwt_upstream.backends.device import DeviceCode
from jwt_upstream.backends.explain import previews, shown_settings
from jwt_upstream.tokens import Secrets, TokenPair
from tests.support.upstream import Answer, Seen, Upstream

URL = "https://up.example.com/"
PAIR = TokenPair("access", "refresh")


class Endpoint:
    """A token endpoint that accepts some client secrets, and notes those that it was asked with."""

    def __init__(self, server: Upstream, *accepted: str) -> None:
        self.accepted, self.asked = set(accepted), list[str]()
        self.refusal = Answer(401, {"error": "invalid_client", "error_description": "Bad client credentials"})
        server.answers["/token"] = self.answer
        self.url = server.url

    def answer(self, seen: Seen) -> Answer:
        secret = parse_qs(seen.body.decode()).get("client_secret", [""])[0]
        self.asked.append(secret)
        return Answer(200, {"access_token": "new", "refresh_token": "r2"}) if secret in self.accepted else self.refusal

    def backend(self, secret: Any, **options: Any) -> Backend:
        options = {"client_id": "we", "client_authentication": "post", "login_path": "token", **options}
        return OAuth2Backend("up", self.url, client_secret=secret, **options)


@pytest.fixture
def endpoint(server: Upstream) -> Endpoint:
    """One that accepts "good" and "better"."""
    return Endpoint(server, "good", "better")


def test_file_that_is_replaced(endpoint: Endpoint, tmp_path: Path) -> None:
    """A secret in a file is read once; when it is refused and the file has another one, that is tried at once."""
    (tmp_path / "secret").write_text("good\n")
    backend = endpoint.backend(f"file:{tmp_path}/secret")
    assert list(backend.check()) == []
    for _ in range(2):
        assert backend.refresh(PAIR).verdict is Verdict.OK
    (tmp_path / "secret").write_text("better\n")
    assert backend.refresh(PAIR).verdict is Verdict.OK
    endpoint.accepted = {"better"}
    assert backend.refresh(PAIR).verdict is Verdict.OK
    assert backend.login({"username": "bob", "password": "x"}).verdict is Verdict.OK
    assert endpoint.asked == ["good", "good", "good", "good", "better", "better"]


def test_secret_that_is_refused(endpoint: Endpoint) -> None:
    """A secret that is the same when it is read anew is sent once, and not quoted."""
    endpoint.refusal = Answer(401, {"error": "invalid_client", "error_description": "not wrong-1"})
    backend = endpoint.backend(["wrong-1", lambda: "wrong-2"])
    outcome = backend.refresh(PAIR)
    assert (outcome.verdict, outcome.status_code, endpoint.asked) == (Verdict.CONFIG, 401, ["wrong-1", "wrong-2"])
    assert "wrong" not in f"{outcome} {backend!r} {backend._secrets} {backend._secrets._elsewhere}"


class Signing(OAuth2Backend):
    """A project's own, whose methods need the client's secret."""

    def reason(self, response: Response, secrets: Iterable[str] = ()) -> str:
        """Say which secret it has."""
        return f"HTTP {response.status_code} to {len(self.client_secret)} characters"

    def token_pair(self, where: Where, response: Response, now: datetime | None = None) -> TokenPair:
        """Take the secret for the token."""
        return TokenPair(self.client_secret)


def test_methods_that_read_answers(endpoint: Endpoint) -> None:
    """What reads an answer has the secret that the request was sent with, as what builds the request has."""
    options = {"client_id": "we", "client_authentication": "post", "revoke_path": "token", "device_path": "token"}
    backend = Signing("up", endpoint.url, client_secret=["wrong", "good"], **options)
    assert getattr(backend.refresh(PAIR).pair, "access", "") == "good"
    endpoint.accepted = set()
    code = DeviceCode("", "", "", 1.0, 1.0, Secrets(device_code="of a device"))
    asked = (backend.login({"username": "bob", "password": "x"}), backend.revoke(PAIR), backend.begin_device_login())
    assert {outcome.reason for outcome in (*asked, backend.poll_device_login(code)) if outcome} == {
        "HTTP 401 to 4 characters"
    }


@pytest.mark.parametrize("own", [{}, {"password": "bob's"}])
def test_rotation(endpoint: Endpoint, own: dict[str, str]) -> None:
    """Of several the first that works is used, and then before the others, whatever else an account has of its own."""
    backend = endpoint.backend(["new", "good", "old"])
    backend.own_account_secrets = Secrets(own)
    assert list(backend.check()) == []
    for _ in range(2):
        assert backend.refresh(PAIR).verdict is Verdict.OK
    assert endpoint.asked == ["new", "good", "good"]
    endpoint.accepted = {"new"}
    assert [backend.refresh(PAIR).verdict for _ in range(2)] == [Verdict.OK, Verdict.OK]
    assert endpoint.asked[3:] == ["good", "new", "new"]


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [
        (GitHubBackend, Answer(200, {"error": "incorrect_client_credentials"})),
        (SlackBackend, Answer(200, {"ok": False, "error": "bad_client_secret"})),
        (HubSpotBackend, Answer(400, {"status": "BAD_CLIENT_SECRET"})),
        (OAuth2Backend, Answer(200, {"error": "invalid_client_secret"})),  # Zoho's
        (OAuth2Backend, Answer(403, {"error": "access_denied"})),  # Auth0's
    ],
)
def test_refusals_of_each_server(endpoint: Endpoint, kind: type[Backend], refusal: Answer) -> None:
    """A client is refused in the words of its server, also with 200, whatever else it asks for."""
    endpoint.refusal = refusal
    options = {"client_id": "we", "client_authentication": "post", "login_path": "token"}
    backend = kind("up", endpoint.url, client_secret=["old", "good"], **options)
    assert backend.login(dict.fromkeys(backend.login_asks, "x")).verdict is Verdict.OK
    assert endpoint.asked == ["old", "good"]


@pytest.mark.parametrize(
    "refusal",
    [
        Answer(400, {"error": "invalid_grant"}),
        Answer(400, {"error": "invalid_scope"}),
        Answer(200, {"error": "invalid_request"}),
        Answer(503, b"busy"),
        Answer(404, b"no such page"),
        Answer(200, {"access_token": "new"}),
    ],
)
def test_answers_that_are_not_about_the_secret(endpoint: Endpoint, refusal: Answer) -> None:
    """No second secret is tried after an answer that says nothing of the first: the token may have been spent."""
    endpoint.refusal = refusal
    endpoint.backend(["wrong", "good"]).refresh(PAIR)
    assert endpoint.asked == ["wrong"]


def test_secret_that_cannot_be_read(endpoint: Endpoint, tmp_path: Path) -> None:
    """Nothing is sent without the secret, and the reason says where it should be; once it is there it is used."""
    backend = endpoint.backend(f"file:{tmp_path}/secret")
    for outcome in (backend.refresh(PAIR), backend.login({"username": "bob", "password": "x"})):
        assert outcome.verdict is Verdict.CONFIG
        assert outcome.reason.startswith(
            f"nothing was sent: client_secret can't be read from '{tmp_path}/secret': No s"
        )
    assert endpoint.asked == []
    (tmp_path / "secret").write_text("good")
    assert backend.refresh(PAIR).verdict is Verdict.OK


def test_one_of_several_cannot_be_read(endpoint: Endpoint, tmp_path: Path) -> None:
    """A secret that can't be read is passed over; if the others are refused, that is what is told."""
    missing = f"file:{tmp_path}/secret"
    assert endpoint.backend([missing, "good"]).refresh(PAIR).verdict is Verdict.OK
    outcome = endpoint.backend([missing, "wrong"]).refresh(PAIR)
    assert (outcome.status_code, outcome.reason) == (401, "HTTP 401: Bad client credentials")


def test_deadline(endpoint: Endpoint) -> None:
    """All attempts together take as long as one may: nothing is sent after a callable that was slower."""

    def slow() -> str:
        time.sleep(0.2)  # what a vault that hangs does
        return "good"

    outcome = endpoint.backend(slow, deadline=0.1).refresh(PAIR)
    assert (outcome.verdict, endpoint.asked) == (Verdict.TRANSIENT, [])
    assert "took too long to read client_secret" in outcome.reason


def test_logout(endpoint: Endpoint, server: Upstream) -> None:
    """A logout is told with the secret that works; without a path there is nothing to tell."""
    assert endpoint.backend(["wrong", "good"], revoke_path="").revoke(PAIR) is None
    outcome = endpoint.backend(["wrong", "good"], revoke_path="token").revoke(PAIR)
    assert outcome is not None
    assert (outcome.verdict, endpoint.asked) == (Verdict.OK, ["wrong", "good"])


def vault() -> str:
    """What a project's own function may do."""
    return "good"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (vault, ""),
        (f"call:{__name__}.vault", ""),
        (["new", vault], ""),
        (5, "option 'client_secret' must be a string"),
        ([], "must be a string, a callable or a list of these, none of them empty"),
        (["new", ""], "must be a string, a callable or a list of these, none of them empty"),
        (["new", 5], "must be a string, a callable or a list of these, none of them empty"),
    ],
)
def test_check(written: Any, problem: str) -> None:
    """What is neither a text, nor kept elsewhere, nor a list of these is a mistake in the settings."""
    found = list(OAuth2Backend("up", URL, client_secret=written).check())
    assert [problem in sentence for sentence in found] == ([True] if problem else [])


def test_headers_of_calls() -> None:
    """Calls don't read secrets, so their headers can't have one that is kept elsewhere, nor can a page's address."""
    options: dict[str, Any] = {"api_headers": {"X-Key": "{client_secret}"}, "client_secret": "plain"}
    assert list(Backend("up", URL, **options).check()) == []
    for where in ("api_headers", "authorize_params"):
        (problem,) = Backend("up", URL, client_secret=vault, **{where: {"X-Key": "{client_secret}"}}).check()
        assert "calls and authorize_params can't contain a client_secret that is kept elsewhere" in problem


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": "file:/run/secrets/crm"},
        {"api_key": "call:shop.vault.crm"},
        {"headers": {"X-Key": "file:/run/secrets/crm"}},
        {"login_steps": [{"path": "first", "fields": {"keys": ["call:shop.vault.crm"]}}]},
        {"login_steps": [Step("first", fields={"keys": ["call:shop.vault.crm"]})]},
    ],
)
def test_options_that_are_sent_as_they_are_written(options: dict[str, Any]) -> None:
    """Where a secret is kept is sent in its place by no option: what none is read from is a mistake."""
    (problem,) = Backend("up", URL, **options).check()
    assert f"option {next(iter(options))!r} says where a secret is kept, but only client_secret" in problem
    assert list(Backend("up", URL, login_fields={"scope": "call:read file:write"}).check()) == []


def test_unreadable_secrets(tmp_path: Path) -> None:
    """What a file or a dotted path has wrong can be asked for without a call."""
    written = ["plain", vault, f"file:{tmp_path}/none", "call:nowhere.at_all"]
    backend = OAuth2Backend("up", URL, client_secret=written)
    assert [sentence.partition(" from")[0] for sentence in backend.unreadable_secrets()] == [
        "client_secret can't be read",
        "client_secret can't be got",
    ]


def test_what_is_shown() -> None:
    """What would be sent is shown with a placeholder, and the settings with nothing of where a secret is kept."""
    for written in ("file:/run/secrets/crm", vault, ["good", vault]):
        backend = OAuth2Backend("up", URL, client_id="we", client_secret=written)
        assert "good" not in f"{dict(shown_settings(backend))} {previews(backend)}"
        assert backend.own_secrets[0] in {"", "good"}
    backend = OAuth2Backend("up", URL, client_id="we", client_secret=vault, client_authentication="post")
    assert "client_secret={client_secret}" in previews(backend)["refresh"].body
