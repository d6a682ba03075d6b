"""Google's service accounts: the claims of their JWT, and what Google says of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jwt_upstream.backends import GoogleServiceAccountBackend, Verdict
from jwt_upstream.testing import answer
from tests.support.signatures import TokenEndpoint, google_key_file, pem, public_pem
from tests.support.upstream import Upstream

EMAIL = "shop@shop-1.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/drive.readonly"
PUBLIC = {"0123abcd": public_pem, "": public_pem}


def backend(server: Upstream, **options: Any) -> GoogleServiceAccountBackend:
    """Return a service account whose token endpoint is the server."""
    options = {"login_path": "token", "signing_key": google_key_file(), "scope": SCOPE, **options}
    return GoogleServiceAccountBackend("drive", server.url, **options)


def endpoint(server: Upstream) -> TokenEndpoint:
    """Return an endpoint that knows the key of the file."""
    return TokenEndpoint(server, {kid: make() for kid, make in PUBLIC.items()}, "assertion")


@pytest.mark.parametrize(
    ("options", "claims"),
    [
        ({}, {"iss": EMAIL, "scope": SCOPE}),
        ({"subject": "ann@example.com"}, {"iss": EMAIL, "scope": SCOPE, "sub": "ann@example.com"}),
        ({"scope": "", "target_audience": "https://run.app/"}, {"iss": EMAIL, "target_audience": "https://run.app/"}),
        ({"signing_key": pem, "client_email": "x@y.z", "assertion_claims": {"a": 1}}, {"iss": "x@y.z", "a": 1}),
        ({"client_email": "x@y.z"}, {"iss": "x@y.z"}),
    ],
)
def test_claims(server: Upstream, options: dict[str, Any], claims: dict[str, Any]) -> None:
    """The key file says who asks, settings say for what and on whose behalf; for an hour at most."""
    google, drive = endpoint(server), backend(server, **options)
    assert (list(drive.check()), list(drive.missing()), drive.login_asks) == ([], [], ())
    outcome = drive.login({})
    assert outcome.verdict is Verdict.OK, outcome
    (found,) = google.claims
    assert {name: found[name] for name in claims} == claims
    assert found.keys() <= {*claims, "scope", "aud", "iat", "exp"}
    assert found["exp"] - found["iat"] <= 3600
    assert google.forms[0].keys() == {"grant_type", "assertion"}
    assert google.forms[0]["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"


def test_id_token(server: Upstream) -> None:
    """Cloud Run gets the ID token that Google answers with in place of an access token."""
    google = endpoint(server)
    google.answer = {"access_token": "", "id_token": "eyJ.eyJ.sig"}
    pair = backend(server, scope="", target_audience="https://run.app/").login({}).pair
    assert pair is not None
    assert pair.access == "eyJ.eyJ.sig"


def test_what_is_missing(server: Upstream) -> None:
    """A private key alone doesn't say whose it is, and a token is for something."""
    assert list(backend(server, scope="").missing()) == ["scope"]
    assert list(backend(server, signing_key="").missing()) == ["signing_key"]
    said = "signing_key is not the JSON file that Google gives out, so client_email has to be set"
    assert list(backend(server, signing_key=pem()).check()) == [said]
    assert backend(server, signing_key=pem).login({}).reason == f"nothing was sent: {said}"
    assert list(backend(server, signing_key=pem).check()) == []


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, Verdict.CONFIG),
        ({"error": "invalid_grant", "error_description": "Invalid grant: account not found"}, Verdict.CONFIG),
        (
            {"error": "unauthorized_client", "error_description": "Client is unauthorized …"},
            Verdict.CONFIG,
        ),
        ({"error": "internal_failure", "error_description": "internal_failure"}, Verdict.TRANSIENT),
    ],
)
@pytest.mark.parametrize("where", ["login", "refresh"])
def test_refusals(server: Upstream, where: Any, said: dict[str, str], verdict: Verdict) -> None:
    """What Google says of the JWT is a matter of settings or of the domain's admin; nobody has to log in."""
    assert backend(server).verdict(where, answer(400, body=said)) is verdict


def test_disabled_account(server: Upstream) -> None:
    """A service account that was disabled is locked."""
    said = {"error": "invalid_grant", "error_description": "Robot is disabled."}
    assert backend(server).verdict("refresh", answer(400, body=said)) is Verdict.LOCKED


def test_address_is_of_settings(server: Upstream) -> None:
    """The address in the key file is not what the JWT is sent to: settings say where secrets go."""
    written = json.loads(google_key_file(token_uri="https://evil.example.com/token"))
    account = GoogleServiceAccountBackend("drive", server.url, signing_key=json.dumps(written), scope=SCOPE)
    assert account.login_request({}).url == "https://oauth2.googleapis.com/token"
