"""The URL that a browser is redirected to: what it must have, what it may not have, and what errors mean."""

from __future__ import annotations

import copy
import pickle
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import urlencode

import pytest

from jwt_upstream.backends import AuthorizationResponse, GoogleBackend, KeycloakBackend, OAuth2Backend, Verdict
from tests.backends.authorization.test_request import BACK, OAUTH2
from tests.support.exchanges import API

STATE = "st4te-st4te"


def answered(query: str, **options: Any) -> AuthorizationResponse:
    """Read a redirect with this query."""
    backend = OAuth2Backend("erp", API, **OAUTH2, **options)
    return backend.authorization_response(backend.authorization_request(BACK, state=STATE), query)


GOOD = f"code=c0de&state={STATE}"


@pytest.mark.parametrize("redirected", [f"{BACK}?{GOOD}", f"/back/?{GOOD}", f"?{GOOD}", GOOD, f" {BACK}?{GOOD}#_=_\n"])
def test_code(redirected: str) -> None:
    """The whole URL, its path or the query alone bring the code, with white space and a fragment, too."""
    response = answered(redirected)
    assert (response.verdict, response.reason, response.code) == (Verdict.OK, "", "c0de")


def test_nothing_of_it_is_shown() -> None:
    """Neither the repr, nor a dict or a pickle made of it, has the code; a copy is the response itself."""
    response = answered(GOOD)
    assert copy.deepcopy(response) is response
    assert "c0de" not in f"{response!r} {asdict(response)} {vars(response)}"
    assert replace(response, reason="why").code == "c0de"
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(response)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("code=c0de", "the redirected URL has no state, so it may be another login's"),
        ("code=c0de&state=", "the redirected URL has no state"),
        ("code=c0de&state=other", "the redirected URL belongs to another login, since its state is another"),
        ("code=c0de&state=st4te-st4t\xe9", "the redirected URL belongs to another login"),
        ("error=access_denied&state=other", "the redirected URL belongs to another login"),
        (f"state={STATE}", "the redirected URL has neither a code nor an error"),
        (f"code=&state={STATE}", "the redirected URL has neither a code nor an error"),
        (f"{GOOD}&code=other", "the redirected URL has more than one code"),
        (f"{GOOD}&state={STATE}", "the redirected URL has more than one state"),
        ("", "this is not the whole URL that the browser was redirected to"),
        ("c0de", "this is not the whole URL"),
        (f"{BACK}#{GOOD}", "this is not the whole URL"),
        ("http://[::1?" + GOOD, "the redirected URL can't be read"),
        ("&".join(["a=b"] * 200), "the redirected URL can't be read"),
        ("a" * 20_000, "the redirected URL is too long"),
    ],
)
def test_no_answer_to_this_login(query: str, said: str) -> None:
    """What isn't the answer to this login brings no code, and a sentence that shows nothing of it."""
    response = answered(query)
    assert (response.verdict, response.code) == (Verdict.REJECTED, "")
    assert response.reason.startswith(said)
    assert "c0de" not in response.reason
    assert STATE not in response.reason


# -- which server it comes from (RFC 9207)


@pytest.mark.parametrize(
    ("options", "iss", "is_right"),
    [
        ({}, "https://api.example.com", True),
        ({}, "https://api.example.com/realms/shop", True),
        ({}, "https://evil.example.com", False),
        ({}, "http://api.example.com", False),
        ({}, "nonsense", False),
        ({}, "", False),
        ({}, None, True),
        ({}, "https://[", False),
        ({"issuer": "https://api.example.com/a"}, "https://api.example.com/a", True),
        ({"issuer": "https://api.example.com/a"}, "https://api.example.com/a/", False),
        ({"issuer": "https://api.example.com/a"}, "https://api.example.com/b", False),
        ({"issuer": "https://api.example.com/a"}, None, True),
        ({"issuer": "https://api.example.com/a", "requires_iss": True}, None, False),
        ({"issuer": "https://api.example.com/a", "requires_iss": True}, "https://api.example.com/a", True),
    ],
)
def test_issuer(options: dict[str, Any], iss: str | None, is_right: bool) -> None:
    """A redirect of another server than the one that was asked is refused, and its code goes nowhere."""
    response = answered(GOOD + ("" if iss is None else "&" + urlencode({"iss": iss})), **options)
    assert (response.verdict is Verdict.OK, bool(response.code)) == (is_right, is_right)
    if not is_right:
        assert response.reason.startswith(
            ("the redirected URL has no iss", "the redirected URL comes from another server: its iss")
        )


def test_issuers_of_families() -> None:
    """Google's issuer is known, and Keycloak's is that of the realm."""
    for backend, iss in (
        (GoogleBackend("up", API, client_id="us"), "https://accounts.google.com"),
        (
            KeycloakBackend("up", API, client_id="us", realm="shop", grant_type="authorization_code"),
            f"{API}realms/shop",
        ),
    ):
        request = backend.authorization_request(BACK, state=STATE)
        for given, verdict in ((iss, Verdict.OK), (f"{iss}/other", Verdict.REJECTED)):
            redirected = f"{GOOD}&{urlencode({'iss': given})}"
            assert backend.authorization_response(request, redirected).verdict is verdict


# -- errors


@pytest.mark.parametrize(
    ("error", "verdict", "said"),
    [
        ("access_denied", Verdict.REJECTED, "access was denied, by the person or by the server (access_denied)"),
        ("login_required", Verdict.REJECTED, "the server wants the person to log in there first (login_required)"),
        ("interaction_required", Verdict.REJECTED, "the server wants to ask the person something"),
        ("consent_required", Verdict.REJECTED, "the server wants the person's consent"),
        ("account_selection_required", Verdict.REJECTED, "the server wants the person to choose an account"),
        ("server_error", Verdict.TRANSIENT, "the server failed (server_error)"),
        ("temporarily_unavailable", Verdict.TRANSIENT, "the server is overloaded or in maintenance"),
        ("invalid_request", Verdict.CONFIG, "the server doesn't understand the request; see authorize_params"),
        ("unauthorized_client", Verdict.CONFIG, "this client may not get a code"),
        ("unsupported_response_type", Verdict.CONFIG, "the server gives no codes"),
        ("invalid_scope", Verdict.CONFIG, "the scope in OPTIONS is unknown or not allowed to this client"),
        ("redirect_uri_mismatch", Verdict.CONFIG, "the redirect URI is not registered at the server"),
        ("application_suspended", Verdict.CONFIG, "the server has suspended the application"),
        ("whatever", Verdict.REJECTED, "the server refused (whatever)"),
    ],
)
def test_errors(error: str, verdict: Verdict, said: str) -> None:
    """Each error of the authorization endpoint is explained, and says who can mend it."""
    response = answered(f"error={error}&state={STATE}")
    assert (response.verdict, response.code) == (verdict, "")
    assert response.reason.startswith(said)


def test_description_of_an_error() -> None:
    """The server's own words are told as one printable line, without what it was sent."""
    words = f"No\r\n\x1b[31mway: {STATE} {'t' * 40}"
    response = answered(urlencode({"error": "access_denied", "error_description": words, "state": STATE}))
    assert response.reason == (
        "access was denied, by the person or by the server (access_denied: No [31mway: […] […])"
    )
