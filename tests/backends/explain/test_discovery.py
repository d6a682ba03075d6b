"""Reading what a server says of itself: where it is looked for, and what is not believed."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from jwt_upstream.backends.explain import NotDiscovered, discover
from tests.support.metadata import AUTH0, ENTRA, KEYCLOAK, OAUTH_TOOLKIT
from tests.support.upstream import Answer, Upstream

OPENID, OAUTH = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"


def metadata(upstream: Upstream, path: str = "", **more: Any) -> Answer:
    """Answer with the metadata of an issuer at this upstream."""
    issuer = f"{upstream.url.rstrip('/')}{path}"
    return Answer(200, {"issuer": issuer, "token_endpoint": f"{issuer}/token", **more})


def not_found(upstream: Upstream) -> None:
    """Answer 404 wherever no other answer is given."""
    for path in (OPENID, OAUTH):
        for answered in (path, f"/realms/shop{path}", f"{path}/realms/shop"):
            upstream.answers.setdefault(answered, Answer(404))


def refused(url: str) -> str:
    with pytest.raises(NotDiscovered) as caught:
        discover(url)
    return str(caught.value)


@pytest.mark.parametrize(
    "place",
    [f"/realms/shop{OPENID}", f"{OAUTH}/realms/shop", f"{OPENID}/realms/shop", f"/realms/shop{OAUTH}"],
)
def test_places(upstream: Upstream, place: str) -> None:
    """A document is found below the issuer (OpenID Connect) and between its host and path (RFC 8414)."""
    upstream.answers[place] = metadata(upstream, "/realms/shop", scopes_supported=["a", 5, "b"])
    not_found(upstream)
    found = discover(f"{upstream.url}realms/shop")
    assert found.document == f"{upstream.url.rstrip('/')}{place}"
    assert (found.token_endpoint, found.scopes_supported) == (f"{upstream.url}realms/shop/token", ("a", "b"))
    assert (found.revocation_endpoint, found.grant_types_supported) == ("", ())
    seen = upstream.seen[-1]
    assert (seen.method, seen.headers.get("Authorization")) == ("GET", None)


@pytest.mark.parametrize("place", [f"realms/shop{OPENID}", f"{OAUTH[1:]}/realms/shop"])
def test_address_of_the_document(upstream: Upstream, place: str) -> None:
    """The address of a document is understood as well; what counts is the issuer that is in it."""
    upstream.answers[f"/{place}"] = metadata(upstream, "/realms/shop")
    not_found(upstream)
    assert discover(f"{upstream.url}{place}").issuer == f"{upstream.url}realms/shop"
    upstream.answers[f"/{place}"] = metadata(upstream, "/realms/other")
    assert "/realms/other', not" in refused(f"{upstream.url}{place}")


@responses.activate
def test_slash_at_the_end() -> None:
    """Auth0's issuer ends with a slash, which people leave out."""
    responses.get(f"https://example.eu.auth0.com{OPENID}", json=AUTH0)
    for url in ("https://example.eu.auth0.com", "https://example.eu.auth0.com/"):
        assert discover(url).issuer == "https://example.eu.auth0.com/"


@responses.activate
def test_issuer_of_another_tenant() -> None:
    """The common document of Entra has no issuer; it is said what to ask for."""
    issuer = "https://login.microsoftonline.com/{tenantid}/v2.0"
    responses.get(f"https://login.microsoftonline.com/common/v2.0{OPENID}", json={**ENTRA, "issuer": issuer})
    said = refused("https://login.microsoftonline.com/common/v2.0")
    assert "ask with the id of your tenant in place of {tenantid}" in said


def test_redirects_within_the_origin(upstream: Upstream) -> None:
    """A redirect within the origin is followed, a few times."""
    upstream.answers[OPENID] = Answer(301, b"", {"Location": f"{OPENID}/"})
    upstream.answers[f"{OPENID}/"] = metadata(upstream)
    assert discover(upstream.url).token_endpoint == f"{upstream.url}token"
    upstream.answers[f"{OPENID}/"] = Answer(301, b"", {"Location": OPENID})
    not_found(upstream)
    assert "more than 3 redirects" in refused(upstream.url)


@pytest.mark.parametrize("target", ["http://127.0.0.2/", "https://[::", "//localhost/"])
def test_redirects_elsewhere(upstream: Upstream, target: str) -> None:
    """Nothing is read at another origin."""
    with Upstream() as other:
        location = target.replace("localhost", f"127.0.0.1:{other.url.rsplit(':', 1)[1]}")
        upstream.answers[OPENID] = upstream.answers[OAUTH] = Answer(302, b"", {"Location": location})
        other.answers["/"] = metadata(upstream)
        assert "redirects to another origin, where nothing is read" in refused(upstream.url)
        assert other.seen == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(404), "HTTP 404"),
        (Answer(500, b"oops"), "HTTP 500"),
        (Answer(200, b"<!doctype html><title>App", {"Content-Type": "text/html"}), "a web page, not a JSON object"),
        (Answer(200, b"\xff\xfe nonsense"), "not a JSON object"),
        (Answer(200, b'{"issuer": '), "not a JSON object"),
        (Answer(200, ["issuer"]), "not a JSON object"),
        (Answer(200, b"issuer=x", {"Content-Type": "application/x-www-form-urlencoded"}), "not a JSON object"),
        (Answer(200, {}), "states no issuer"),
        (Answer(200, {"issuer": 5}), "states no issuer"),
        (Answer(200, {"issuer": "https://\x1b[2J"}), "states no issuer"),
        (Answer(200, {"issuer": "https://evil.example.com"}), "its issuer is 'https://evil.example.com', not 'http"),
        (Answer(200, b" " * 1_100_000), "the answer is larger than 1048576 bytes"),
    ],
    ids=lambda value: str(value.body)[:40] if isinstance(value, Answer) else None,
)
def test_what_is_no_document(upstream: Upstream, answer: Answer, said: str) -> None:
    """What is no document of this issuer is told for each place, and nothing is made of it."""
    upstream.answers[OPENID] = upstream.answers[OAUTH] = answer
    text = refused(upstream.url)
    assert text.count(said) == 2
    assert f"{upstream.url[:-1]}{OPENID}: " in text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"token_endpoint": None}, "has no token_endpoint: this server issues no tokens to programs"),
        ({"token_endpoint": "http://sso.example.com/token"}, "its token_endpoint is no https:// URL"),
        ({"token_endpoint": "/token"}, "its token_endpoint is no https:// URL"),
        ({"token_endpoint": 7}, "its token_endpoint is no https:// URL"),
        ({"token_endpoint": "https://us:pw@sso.example.com/"}, "its token_endpoint is no https:// URL"),
        ({"token_endpoint": "https://sso.example.com/a b"}, "its token_endpoint is no https:// URL"),
        ({"revocation_endpoint": "http://sso.example.com/"}, "its revocation_endpoint is no https:// URL"),
        ({"device_authorization_endpoint": "file:///etc/passwd"}, "its device_authorization_endpoint is no https://"),
    ],
)
def test_endpoints(upstream: Upstream, more: dict[str, Any], said: str) -> None:
    """An endpoint must be https, or on this machine."""
    upstream.answers[OPENID] = upstream.answers[OAUTH] = metadata(upstream, **more)
    assert said in refused(upstream.url)


@pytest.mark.parametrize(
    "url",
    [
        "sso.example.com",
        "http://sso.example.com",
        "https://",
        "https://us:s3cret@sso.example.com",
        "https://sso.example.com/?a=s3cret",
        "https://sso.example.com/#a",
        "https://sso.example.com/\n",
        f"https://sso.example.com/{'x' * 3000}",
        "",
    ],
)
def test_urls(url: str) -> None:
    """What is no issuer is refused before anything is sent, and not repeated, since it may hold a password."""
    assert refused(url) == "it takes an https:// URL (http:// on this machine only) without user and query"


def test_server_that_is_away() -> None:
    """Why there is no answer is told."""
    assert "Connection refused" in refused("http://127.0.0.1:9/")


@responses.activate
def test_lists() -> None:
    """Only texts that can be printed are taken out of lists, and not too many."""
    scopes = ["a", {}, "b\n", "x" * 3000, *(str(number) for number in range(600))]
    responses.get(f"{KEYCLOAK['issuer']}{OPENID}", json={**KEYCLOAK, "scopes_supported": scopes})
    found = discover(KEYCLOAK["issuer"])
    assert (found.scopes_supported[:2], len(found.scopes_supported)) == (("a", "0"), 497)
    responses.get(f"{OAUTH_TOOLKIT['issuer']}{OPENID}", json={**OAUTH_TOOLKIT, "scopes_supported": "read"})
    assert discover(str(OAUTH_TOOLKIT["issuer"])).scopes_supported == ()
