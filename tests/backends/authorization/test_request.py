"""The URL of the page on which a person logs in, of every family of servers, and the login with its code."""

from __future__ import annotations

import pickle
from base64 import urlsafe_b64encode
from dataclasses import asdict, replace
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import responses

from jwt_upstream import backends
from jwt_upstream.backends import Backend, EntraBackend, GitHubBackend, OAuth2Backend
from tests.support.exchanges import API, CLIENT, fields

BACK = "https://us.example.com/back/"
CODE: dict[str, Any] = {**CLIENT, "grant_type": "authorization_code"}
OAUTH2: dict[str, Any] = {**CODE, "authorize_path": "authorize"}


def asked(backend: Backend, redirect_uri: str = BACK) -> tuple[str, dict[str, str]]:
    """Return the endpoint and the query of the URL that a backend sends a person to."""
    url = urlsplit(backend.authorization_request(redirect_uri).url)
    return f"{url.scheme}://{url.netloc}{url.path}", dict(parse_qsl(url.query, strict_parsing=True))


def test_request() -> None:
    """It has what RFC 6749 (4.1.1) and RFC 7636 (4.3) ask for; the challenge is the hash of the verifier."""
    backend = OAuth2Backend("erp", API, **OAUTH2, scope="orders offline_access")
    request = backend.authorization_request(BACK)
    query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
    challenge = urlsafe_b64encode(sha256(request.code_verifier.encode()).digest()).decode().rstrip("=")
    assert query == {
        "response_type": "code",
        "client_id": "us",
        "redirect_uri": BACK,
        "scope": "orders offline_access",
        "state": request.state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    assert len(request.state) == len(request.code_verifier) == 43
    another = backend.authorization_request(BACK)
    assert another.state != request.state
    assert another.code_verifier != request.code_verifier
    assert backend.authorization_request(BACK, state="ours").state == "ours"


def test_nothing_of_it_is_shown() -> None:
    """Neither the repr, nor a dict or a pickle made of it, has the state, the verifier or the URL."""
    request = OAuth2Backend("erp", API, **OAUTH2).authorization_request(BACK)
    assert repr(request) == f"AuthorizationRequest(redirect_uri={BACK!r})"
    assert asdict(request) == vars(request) == {"redirect_uri": BACK}
    assert replace(request, redirect_uri="").state == request.state
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(request)


@pytest.mark.parametrize(
    ("name", "options", "endpoint", "more"),
    [
        (
            "GoogleBackend",
            {"scope": "drive"},
            "https://accounts.google.com/o/oauth2/v2/auth",
            {"scope": "drive", "access_type": "offline", "prompt": "consent"},
        ),
        ("GitHubBackend", {}, "https://github.com/login/oauth/authorize", {}),
        (
            "EntraBackend",
            {"tenant": "contoso", "scope": "User.Read offline_access"},
            "https://login.microsoftonline.com/contoso/oauth2/v2.0/authorize",
            {"scope": "User.Read offline_access"},
        ),
        ("KeycloakBackend", {"realm": "shop"}, f"{API}realms/shop/protocol/openid-connect/auth", {}),
        (
            "Auth0Backend",
            {"domain": "x.auth0.com", "audience": "orders", "scope": "offline_access"},
            "https://x.auth0.com/authorize",
            {"audience": "orders", "scope": "offline_access"},
        ),
        ("Auth0Backend", {"domain": "x.auth0.com"}, "https://x.auth0.com/authorize", {}),
        ("OktaBackend", {"domain": "x.okta.com"}, "https://x.okta.com/oauth2/default/v1/authorize", {}),
        ("SalesforceBackend", {}, f"{API}services/oauth2/authorize", {}),
        ("OryBackend", {}, f"{API}oauth2/auth", {}),
        ("DjangoOAuthToolkitBackend", {}, f"{API}o/authorize/", {}),
        ("PassportBackend", {}, f"{API}oauth/authorize", {}),
        (
            "HubSpotBackend",
            {"scope": "oauth", "optional_scope": "crm"},
            "https://app.hubspot.com/oauth/authorize",
            {"scope": "oauth", "optional_scope": "crm"},
        ),
        (
            "SlackBackend",
            {"scope": "chat:write", "user_scope": "search:read"},
            "https://slack.com/oauth/v2/authorize",
            {"scope": "chat:write", "user_scope": "search:read"},
        ),
    ],
)
def test_families(name: str, options: dict[str, str], endpoint: str, more: dict[str, str]) -> None:
    """Each family with such a login has its page and its own parameters; the rest is the standard's."""
    kind = getattr(backends, name)
    grant = {"grant_type": "authorization_code"} if issubclass(kind, OAuth2Backend) else {}
    backend: Backend = kind("up", API, **CLIENT, **grant, **options)
    assert list(backend.check()) == []
    assert backend.has_browser_login
    url, query = asked(backend)
    standard = {"response_type", "client_id", "redirect_uri", "state"}
    if name not in {"HubSpotBackend", "SlackBackend"}:
        standard |= {"code_challenge", "code_challenge_method"}
    assert url == endpoint
    assert query.keys() == standard | more.keys()
    assert query.items() >= more.items()


def test_query_of_the_endpoint_is_kept() -> None:
    """A query that the endpoint has already stays (RFC 6749, section 3.1)."""
    url, query = asked(OAuth2Backend("erp", API, **{**OAUTH2, "authorize_path": "authorize?tenant=7"}))
    assert (url, query["tenant"], query["client_id"]) == (f"{API}authorize", "7", "us")


def test_configured_redirect_uri() -> None:
    """The redirect URI in settings is used where none is given."""
    backend = OAuth2Backend("erp", API, **OAUTH2, redirect_uri="https://us.example.com/static/")
    assert asked(backend, "")[1]["redirect_uri"] == "https://us.example.com/static/"
    assert asked(backend)[1]["redirect_uri"] == BACK


@pytest.mark.parametrize(
    ("options", "redirect_uri", "said"),
    [
        (CODE, BACK, "erp: OPTIONS has no authorize_path, the page on which a person logs in"),
        ({**OAUTH2, "grant_type": "password"}, BACK, "erp: its login takes username and password, not a code"),
        ({**OAUTH2, "grant_type": "client_credentials"}, BACK, "erp: its login takes nothing that a person has"),
        (
            {**OAUTH2, "login_fields": {"code": "{code}", "pin": "{pin}"}},
            BACK,
            "erp: its login takes pin besides a code, which no browser brings",
        ),
        (
            {**OAUTH2, "login_fields": {"code": "{code}", "v": "{code_verifier}"}, "code_challenge_method": ""},
            BACK,
            "erp: its login takes code_verifier besides a code",
        ),
        ({**OAUTH2, "client_id": ""}, BACK, "erp: OPTIONS has no client_id"),
        ({**OAUTH2, "client_id": "", "client_authentication": "none"}, BACK, "erp: OPTIONS has no client_id"),
        (OAUTH2, "", "erp: the redirect URI must be an http:// or https:// URL without a fragment"),
        (OAUTH2, "/back/", "erp: the redirect URI must be"),
        (OAUTH2, "javascript:alert(1)", "erp: the redirect URI must be"),
        (OAUTH2, f"{BACK}#there", "erp: the redirect URI must be"),
    ],
)
def test_no_request(options: dict[str, Any], redirect_uri: str, said: str) -> None:
    """Where nobody can be sent anywhere, it is said why, and which option is missing."""
    with pytest.raises(ValueError, match=said):
        OAuth2Backend("erp", API, **options).authorization_request(redirect_uri)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"code_challenge_method": "plain"}, "code_challenge_method must be 'S256' or empty, not 'plain'"),
        ({"authorize_params": {"state": "x", "a": "b"}}, "authorize_params can't contain state, which the app sets"),
        ({"requires_iss": True}, "requires_iss needs issuer, with which iss is compared"),
        ({"authorize_path": "//evil.example.com/"}, "authorize_path leads to https://evil.example.com:443; if that"),
        (
            {"redirect_uri": "javascript:alert(1)"},
            "redirect_uri must be an http:// or https:// URL without a fragment",
        ),
        (
            {"redirect_uri": "//evil.example.com/"},
            "redirect_uri must be an http:// or https:// URL without a fragment",
        ),
        ({"redirect_uri": f"{BACK}#there"}, "redirect_uri must be an http:// or https:// URL without a fragment"),
        ({"issuer": "ftp://x/"}, "issuer is neither a path nor a valid http:// or https:// URL"),
    ],
)
def test_wrong_options(options: dict[str, Any], said: str) -> None:
    """A mistake in the options is found before anybody is sent anywhere."""
    (found,) = OAuth2Backend("erp", API, **{**OAUTH2, **options}).check()
    assert found.startswith(said)


def test_options_that_a_path_needs() -> None:
    """Where an option that a path contains is missing, that alone is told."""
    backend = EntraBackend("graph", API, **CODE)
    assert (list(backend.check()), list(backend.missing())) == ([], ["tenant"])
    with pytest.raises(ValueError, match="graph: OPTIONS has no tenant"):
        backend.authorization_request(BACK)


# -- the code, once it is there


def sent(backend: Backend, **given: str) -> dict[str, Any]:
    """Log in; return the fields that the token endpoint got."""
    with responses.RequestsMock() as server:
        server.post(backend.url(backend.login_path), json={"access_token": "a", "refresh_token": "r"})
        assert backend.login(given).pair is not None
        return fields(server.calls[0].request)


def test_login_with_a_code() -> None:
    """A code is sent with its verifier and redirect URI (RFC 6749, 4.1.3; RFC 7636, 4.5), without further options."""
    backend = OAuth2Backend("erp", API, **OAUTH2, client_authentication="post")
    assert sent(backend, code="c", code_verifier="v", redirect_uri=BACK) == {
        **CODE,
        "grant_type": "authorization_code",
        "code": "c",
        "code_verifier": "v",
        "redirect_uri": BACK,
    }


def test_login_with_a_static_redirect_uri() -> None:
    """The redirect URI of the options is sent where none is given with the code."""
    backend = OAuth2Backend("erp", API, **OAUTH2, redirect_uri="https://us.example.com/static/")
    assert backend.login_asks == ("code",)
    assert sent(backend, code="c")["redirect_uri"] == "https://us.example.com/static/"
    assert sent(backend, code="c", redirect_uri=BACK)["redirect_uri"] == BACK


def test_login_at_a_family_without_such_fields() -> None:
    """What belongs to a code is sent by every family, and nothing that wasn't given."""
    backend = GitHubBackend("hub", API, **CLIENT)
    assert (
        sent(backend, code="c", code_verifier="v", redirect_uri=BACK).items()
        >= {
            "code_verifier": "v",
            "redirect_uri": BACK,
        }.items()
    )
    assert sent(backend, code="c").keys() == {"code", *CLIENT}
