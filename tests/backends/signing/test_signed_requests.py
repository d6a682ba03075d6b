"""What is signed, with what, and what it says; each is verified by a real endpoint that knows the public key."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from jwt_upstream.backends import Backend, KeycloakBackend, OAuth2Backend, SelfSignedBackend, Step, Verdict
from jwt_upstream.backends.explain import previews, shown_settings
from jwt_upstream.backends.oauth2 import JWT_BEARER, TOKEN_EXCHANGE
from jwt_upstream.clock import Clock, dated_by
from jwt_upstream.tokens import TokenPair
from tests.support import signatures
from tests.support.signatures import (
    SECRET,
    TokenEndpoint,
    certificate,
    certificate_pem,
    google_key_file,
    jwk,
    pem,
    public_pem,
)
from tests.support.upstream import Answer, Upstream

PAIR = TokenPair("access", "refresh")
NOTHING: dict[str, str] = {}


def client(server: Upstream, **options: Any) -> Backend:
    """Return a client that gets tokens for itself."""
    given = {"client_id": "us", "client_authentication": "private_key_jwt", "grant_type": "client_credentials"}
    return OAuth2Backend("up", server.url, **{**given, **options})


# -- the client's own


@pytest.mark.parametrize("algorithm", signatures.ALGORITHMS)
def test_private_key_jwt(server: Upstream, algorithm: str) -> None:
    """The client authenticates by a JWT with the claims of OpenID Connect Core, whatever the kind of its key."""
    endpoint = TokenEndpoint(server, {"k1": public_pem(algorithm)})
    backend = client(server, signing_key=pem(algorithm), key_id="k1", signing_algorithm=algorithm, scope="read")
    assert list(backend.check()) == []
    before = int(time.time())
    outcome = backend.login(NOTHING)
    assert outcome.verdict is Verdict.OK, outcome
    (claims,) = endpoint.claims
    assert {name: claims[name] for name in ("iss", "sub", "aud")} == {
        "iss": "us",
        "sub": "us",
        "aud": f"{server.url}token",
    }
    assert before - 11 <= claims["iat"] == claims["nbf"] <= before - 9
    assert before + 60 <= claims["exp"] <= before + 61
    assert len(claims["jti"]) == 36
    assert endpoint.headers == [{"alg": algorithm, "typ": "JWT", "kid": "k1"}]
    assert endpoint.forms[0].keys() == {
        "grant_type", "scope", "client_id", "client_assertion_type", "client_assertion",
    }  # fmt: skip
    assert endpoint.forms[0]["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert "Authorization" not in server.seen[0].headers


@pytest.mark.parametrize("algorithm", ["", "HS256", "HS384", "HS512"])
def test_client_secret_jwt(server: Upstream, algorithm: str) -> None:
    """The client's secret signs in place of being sent."""
    endpoint = TokenEndpoint(server, {"": SECRET})
    options = {"client_authentication": "client_secret_jwt", "signing_algorithm": algorithm}
    backend = client(server, client_secret=SECRET, **options)
    assert list(backend.check()) == []
    assert backend.login(NOTHING).verdict is Verdict.OK
    assert endpoint.headers == [{"alg": algorithm or "HS256", "typ": "JWT"}]
    assert SECRET.strip() not in str(endpoint.forms)


@pytest.mark.parametrize("kept", [str, lambda key: lambda: key, lambda key: ["call:nowhere.at_all", key]])
def test_refresh_and_revocation(server: Upstream, kept: Callable[[str], Any]) -> None:
    """A refresh and a logout are authenticated likewise, wherever the key is kept, each by a JWT of its own."""
    endpoint = TokenEndpoint(server, {"": public_pem()})
    endpoint.answer = {"access_token": "a2", "refresh_token": "r2"}
    backend = client(server, grant_type="password", signing_key=kept(pem()), revoke_path="./revoke")
    server.answers["/revoke"] = server.answers["/token"]
    assert backend.refresh(PAIR).verdict is Verdict.OK
    told = backend.revoke(PAIR)
    assert told is not None
    assert told.verdict is Verdict.OK
    assert [seen.path for seen in server.seen] == ["/token", "/revoke"]
    first, second = endpoint.claims
    assert first["jti"] != second["jti"]
    assert endpoint.forms[0]["refresh_token"] == endpoint.forms[1]["token"] == "refresh"


def test_issuer_as_audience(server: Upstream) -> None:
    """A server that wants its issuer in ``aud`` gets it."""
    endpoint = TokenEndpoint(server, {"": public_pem()})
    endpoint.audience = "https://id.example.com/realms/shop"
    backend = client(server, signing_key=pem())
    assert backend.login(NOTHING).verdict is Verdict.CONFIG
    backend = client(server, signing_key=pem(), assertion_audience=endpoint.audience)
    assert backend.login(NOTHING).verdict is Verdict.OK


def test_certificate(server: Upstream) -> None:
    """With its certificate beside the key, the header says which one it is, as Entra wants it."""
    endpoint = TokenEndpoint(server, {"": public_pem()})
    backend = client(server, signing_key=pem() + certificate_pem(), signing_algorithm="PS256")
    assert backend.login(NOTHING).verdict is Verdict.OK
    digests = {"x5t": certificate().fingerprint(SHA1()), "x5t#S256": certificate().fingerprint(SHA256())}
    expected = {name: urlsafe_b64encode(digest).decode().rstrip("=") for name, digest in digests.items()}
    assert endpoint.headers == [{"alg": "PS256", "typ": "JWT", **expected}]


def test_further_headers(server: Upstream) -> None:
    """The header has what settings add, but None; the ``kid`` in settings counts more than that of a JWK."""
    endpoint = TokenEndpoint(server, {"k1": public_pem(), "k2": public_pem()})
    headers = {"typ": "client+jwt", "crit": None}
    for options, kid in ({}, "k1"), ({"key_id": "k2"}, "k2"):
        backend = client(server, signing_key=jwk(kid="k1"), assertion_headers=headers, **options)
        assert backend.login(NOTHING).verdict is Verdict.OK
        assert endpoint.headers[-1] == {"alg": "RS256", "typ": "client+jwt", "kid": kid}


@pytest.mark.parametrize(("ahead", "verdict"), [(-9, Verdict.OK), (55, Verdict.OK), (-15, Verdict.CONFIG)])
def test_clock_of_the_upstream(server: Upstream, ahead: int, verdict: Verdict) -> None:
    """A server's clock may be some seconds behind or nearly a minute ahead."""
    endpoint = TokenEndpoint(server, {"": public_pem()})
    endpoint.ahead = ahead
    assert client(server, signing_key=pem()).login(NOTHING).verdict is verdict


def test_wider_limits(server: Upstream) -> None:
    """Options allow for a clock that is far off."""
    endpoint = TokenEndpoint(server, {"": public_pem()})
    backend = client(server, signing_key=pem(), clock_skew=300, assertion_lifetime=400)
    for endpoint.ahead in (-290, 390):
        assert backend.login(NOTHING).verdict is Verdict.OK


def test_one_clock_for_all_hosts(server: Upstream) -> None:
    """What is signed during a refresh is dated by the database's clock, as what comes of it is."""
    endpoint = TokenEndpoint(server, {"": public_pem()})
    endpoint.ahead = 7200
    with dated_by(Clock(time.time() + 7200)):
        assert client(server, signing_key=pem()).refresh(PAIR).verdict is Verdict.OK


# -- where the key is kept


def test_key_in_a_file_that_is_replaced(server: Upstream, tmp_path: Path) -> None:
    """A key in a file is read anew when the server refuses what it signs."""
    endpoint = TokenEndpoint(server, {"": public_pem()})
    (tmp_path / "key").write_text(pem())
    backend = client(server, signing_key=f"file:{tmp_path}/key")
    assert (list(backend.check()), list(backend.unreadable_secrets())) == ([], [])
    assert backend.login(NOTHING).verdict is Verdict.OK
    (tmp_path / "key").write_text(pem("RS256", 1))
    endpoint.keys[""] = public_pem("RS256", 1)
    assert backend.login(NOTHING).verdict is Verdict.OK
    assert len(endpoint.forms) == 3


@pytest.mark.parametrize("grant_type", ["client_credentials", JWT_BEARER])
def test_rotation(server: Upstream, grant_type: str) -> None:
    """Of several keys the first that the server accepts is used, and from then on before the others."""
    is_grant = grant_type == JWT_BEARER
    endpoint = TokenEndpoint(server, {"": public_pem("RS256", 1)}, "assertion" if is_grant else "client_assertion")
    options = {"client_authentication": "none"} if is_grant else {}
    keys = [jwk("ES256"), lambda: pem("RS256", 1), pem()]
    backend = client(server, signing_key=keys, grant_type=grant_type, **options)
    assert (list(backend.check()), list(backend.unreadable_secrets())) == ([], [])
    assert [backend.login(NOTHING).verdict for _ in range(2)] == [Verdict.OK] * 2
    assert len(endpoint.forms) == 3


def test_rotation_of_both(server: Upstream) -> None:
    """A secret and a key may be rotated at the same time: each pair of them is tried."""
    endpoint = TokenEndpoint(server, {"": public_pem()}, "assertion")
    verify = server.answers["/token"]
    assert callable(verify)
    server.answers["/token"] = lambda seen: (
        verify(seen) if b"client_secret=new" in seen.body else Answer(401, {"error": "invalid_client"})
    )
    options = {"client_secret": ["old", "new"], "signing_key": [pem("RS256", 1), pem()]}
    backend = client(server, grant_type=JWT_BEARER, client_authentication="post", **options)
    assert backend.login(NOTHING).verdict is Verdict.OK
    assert [form["client_secret"] for form in endpoint.forms] == ["new", "new"]
    assert len(server.seen) == 4
    assert backend.login(NOTHING).verdict is Verdict.OK
    assert len(server.seen) == 5


@pytest.mark.parametrize("options", [{"assertion_headers": {"kid": 5}}, {"assertion_claims": {"a": {1}}}])
def test_options_that_make_no_jwt(server: Upstream, options: dict[str, Any]) -> None:
    """What PyJWT refuses is our settings' fault, which the reason says."""
    backend = client(server, grant_type=JWT_BEARER, client_authentication="none", signing_key=pem(), **options)
    outcome = backend.refresh(PAIR)
    assert (outcome.verdict, server.seen) == (Verdict.CONFIG, [])
    assert outcome.reason.startswith("nothing was sent: assertion_claims or assertion_headers make no JWT: ")


@pytest.mark.parametrize("how", ["plain", "file", "call"])
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("public", "signing_key has no private key; a certificate or a public key can't sign"),
        ("encrypted", "signing_key is encrypted with a passphrase"),
        ("nonsense", "signing_key is neither PEM nor a JWK"),
        ("ES256", "signing_algorithm 'RS256' is not for a P-256 key; use ES256"),
    ],
)
def test_unfit_key(server: Upstream, tmp_path: Path, how: str, written: str, said: str) -> None:
    """A key that can't sign is told of, by the check where that may read it, and nothing is sent."""
    texts = {"public": public_pem(), "encrypted": pem(passphrase="x"), "nonsense": "s3cr3t", "ES256": pem("ES256")}
    (tmp_path / "key").write_text(texts[written])
    key: Any = {"plain": texts[written], "file": f"file:{tmp_path}/key", "call": lambda: texts[written]}[how]
    backend = client(server, signing_key=key, signing_algorithm="RS256")
    problems = {"plain": backend.check(), "file": backend.unreadable_secrets(), "call": ()}[how]
    assert [problem for problem in problems if said not in problem] == []
    outcome = backend.login(NOTHING)
    assert outcome.verdict is Verdict.CONFIG
    assert outcome.reason.startswith(f"nothing was sent: {said}")
    assert server.seen == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"signing_algorithm": "none"}, "signing_algorithm can't be 'none', but one of "),
        ({"assertion_lifetime": 0.5}, "assertion_lifetime must be at least 1"),
        ({"assertion_claims": {"a": {1}}}, "assertion_claims or assertion_headers make no JWT: Object of type set"),
        ({"assertion_claims": {"iss": 5}}, "assertion_claims['iss'] must be a string"),
        ({"assertion_headers": {"kid": 5}}, "assertion_headers['kid'] must be a string"),
        ({"assertion_headers": {"alg": "ES256"}}, "assertion_headers can't contain alg, which signing_algorithm says"),
        (
            {"client_authentication": "client_secret_jwt", "client_secret": "ssh-rsa AAAA"},
            "client_secret is a key or a certificate, and no shared secret",
        ),
        ({"signing_key": []}, "option 'signing_key' must be a string, a callable or a list of these"),
        ({"signing_key": 7}, "option 'signing_key' must be a string"),
        ({"assertion_file": 7}, "option 'assertion_file' must be a string"),
        (
            {"client_authentication": "client_secret_jwt", "client_secret": "s", "signing_algorithm": "RS256"},
            "signing_algorithm 'RS256' is not for a shared secret; use HS256 or HS384 or HS512",
        ),
        ({"grant_type": JWT_BEARER, "client_authentication": "basic"}, "client_authentication 'basic' needs a client"),
        (
            {"api_headers": {"X": "{signing_key}"}, "signing_key": "call:a.b"},
            "calls and authorize_params can't contain a signing_key",
        ),
    ],
)
def test_wrong_options(server: Upstream, options: dict[str, Any], problem: str) -> None:
    """The check tells of options that can't work."""
    found = list(client(server, **{"client_authentication": "none", **options}).check())
    assert [each for each in found if each.startswith(problem)], found


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"signing_key": ""}, ["signing_key"]),
        ({"client_id": "", "signing_key": pem}, ["client_id"]),
        ({"client_authentication": "client_secret_jwt"}, ["client_secret"]),
        ({"client_authentication": "assertion_file"}, ["assertion_file"]),
        ({"client_authentication": "assertion_file", "client_id": ""}, ["assertion_file"]),
        ({"client_authentication": "none", "grant_type": JWT_BEARER}, ["signing_key"]),
        ({"client_authentication": "none", "grant_type": JWT_BEARER, "assertion_file": "/a"}, []),
        ({"client_authentication": "none", "login_headers": {"X": "JWT {assertion}"}}, ["signing_key"]),
    ],
)
def test_missing_options(server: Upstream, options: dict[str, Any], names: list[str]) -> None:
    """What is needed to sign is named if it is not there, and nothing is sent."""
    backend = client(server, **options)
    assert list(backend.missing()) == names
    if names:
        assert backend.login(NOTHING).reason.startswith(f"nothing was sent: OPTIONS has no {names[0]}")
        assert server.seen == []


# -- the JWT as a grant


def test_jwt_bearer(server: Upstream) -> None:
    """The grant's JWT says for whom and for what; the scope is sent as well if it is an option."""
    endpoint = TokenEndpoint(server, {"": public_pem()}, "assertion")
    claims = {"sub": "bob@{client_id}.example.com", "scope": ["a", "{client_id}"], "nbf": None, "deep": {"n": 1}}
    options: dict[str, Any] = {"grant_type": JWT_BEARER, "client_authentication": "none", "assertion_claims": claims}
    backend = client(server, signing_key=pem(), scope="read", **options)
    assert list(backend.check()) == []
    assert (backend.login_asks, backend.needs_refresh_token, backend.is_unattended) == ((), False, True)
    for outcome in backend.login(NOTHING), backend.refresh(PAIR):
        assert outcome.verdict is Verdict.OK
    for found in endpoint.claims:
        assert found.keys() == {"iss", "sub", "aud", "scope", "deep", "iat", "exp", "jti"}
        assert (found["iss"], found["sub"]) == ("us", "bob@us.example.com")
        assert (found["scope"], found["deep"]) == (["a", "us"], {"n": 1})
    assert endpoint.forms[0].keys() == {"grant_type", "assertion", "scope"}


def test_refused_grant(server: Upstream) -> None:
    """A refused JWT is a matter of settings, and of no credential: nobody has to log in when they are right again."""
    TokenEndpoint(server, {"": public_pem("RS256", 1)}, "assertion")
    options = {"grant_type": JWT_BEARER, "client_authentication": "none", "signing_key": pem()}
    outcome = client(server, **options).refresh(PAIR)
    assert outcome.verdict is Verdict.CONFIG
    assert "InvalidSignatureError" in outcome.reason


def test_unknown_kid(server: Upstream) -> None:
    """What the server says of a key that it doesn't know is passed on, without the JWT."""
    TokenEndpoint(server, {"k1": public_pem()})
    outcome = client(server, signing_key=pem(), key_id="k2").login(NOTHING)
    assert (outcome.verdict, outcome.status_code, outcome.pair) == (Verdict.CONFIG, 400, None)
    assert "KeyError" in outcome.reason


def test_assertion_that_is_quoted(server: Upstream) -> None:
    """A server that quotes the JWT in its refusal doesn't get it into the reason."""
    server.answers["/token"] = lambda seen: Answer(
        400, {"error": "invalid_client", "error_description": seen.body.decode()}
    )
    outcome = client(server, signing_key=pem()).login(NOTHING)
    assert "eyJ" not in outcome.reason
    assert "client_id=us" in outcome.reason


@pytest.mark.parametrize("where", ["login", "refresh"])
def test_any_request(server: Upstream, where: str) -> None:
    """Any server's requests for tokens may contain a JWT of ours: in a header, the query or the body."""
    server.answers["/token"] = Answer(200, {"token": "issued"})
    given: dict[str, Any] = {"fields": {"proof": "{assertion}"}, "query": {"j": "{assertion}"}}
    given["headers"] = {"X-Proof": "JWT {assertion}"}
    options = {f"{which}_{name}": value for which in ("login", "refresh") for name, value in given.items()}
    backend = Backend(
        "up", server.url, login_path="token", refresh_path="", signing_key=pem(), client_id="us", **options
    )
    assert list(backend.check()) == []
    assert backend.login_asks == ()
    assert (backend.login(NOTHING) if where == "login" else backend.refresh(PAIR)).verdict is Verdict.OK
    (seen,) = server.seen
    proofs = [seen.json()["proof"], seen.path.partition("=")[2], seen.headers["X-Proof"].removeprefix("JWT ")]
    for proof in proofs:
        assert signatures.verify(proof, public_pem(), f"{server.url}token")["iss"] == "us"


@pytest.mark.parametrize("written", [dict, Step])
def test_step_of_a_login(server: Upstream, written: Any) -> None:
    """A step before the last request may be the one that needs the JWT, and tokens are bound to its claims."""
    endpoint = TokenEndpoint(server, {"": public_pem()}, "assertion")
    server.answers["/use"] = Answer(200, {"token": "final"})
    step = written(
        path="token", fields={"assertion": "{assertion}"}, body_format="form", keep={"first": "access_token"}
    )
    options: dict[str, Any] = {"login_steps": [step], "login_path": "use", "client_id": "us"}
    options |= {"login_fields": {"first": "{first}"}, "refresh_repeats_login": True, "assertion_claims": {"a": 1}}
    backend = Backend("up", server.url, signing_key=pem(), assertion_audience=endpoint.audience, **options)
    assert (list(backend.check()), backend.login_asks, backend.is_unattended) == ([], (), True)
    assert backend.login(NOTHING).verdict is Verdict.OK
    assert server.seen[-1].json() == {"first": "issued"}
    assert backend.binding["claims"] == '{"a": 1}'


def test_value_of_a_login() -> None:
    """Without a key and without a file ``{assertion}`` is asked for like any other value of a login."""
    backend = Backend("up", "https://up.example.com/", login_fields={"assertion": "{assertion}"})
    assert backend.login_asks == ("assertion",)


# -- JWTs of the platform

FILE_JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQifQ"


def test_file_authenticates_the_client(server: Upstream, tmp_path: Path) -> None:
    """The JWT in the file stands for the client; it is read anew for each request."""
    server.answers["/token"] = Answer(200, {"access_token": "issued"})
    path = tmp_path / "token"
    options = {"client_authentication": "assertion_file", "assertion_file": str(path)}
    path.write_text(f"{FILE_JWT}.one\n")
    backend = client(server, **options)
    assert (list(backend.check()), list(backend.unreadable_secrets()), list(backend.missing())) == ([], [], [])
    for number in ("one", "two"):
        path.write_text(f"{FILE_JWT}.{number}\n")
        assert backend.login(NOTHING).verdict is Verdict.OK
        assert f"client_assertion={FILE_JWT}.{number}" in server.seen[-1].body.decode().split("&")
    assert b"client_id=us" in server.seen[-1].body
    assert list(client(server, **options, client_id="").missing()) == []


@pytest.mark.parametrize(
    ("grant_type", "more"),
    [
        (JWT_BEARER, {}),
        (TOKEN_EXCHANGE, {"subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}),
    ],
)
def test_file_as_a_grant(server: Upstream, tmp_path: Path, grant_type: str, more: dict[str, str]) -> None:
    """The JWT in the file is exchanged for a token, by either grant."""
    field = "assertion" if grant_type == JWT_BEARER else "subject_token"
    endpoint = TokenEndpoint(server, {"": public_pem()}, field)
    token = jwt.encode(
        {"aud": endpoint.audience, "iat": 1, "exp": 9999999999}, signatures.private_key("RS256"), "RS256"
    )
    (tmp_path / "token").write_text(token)
    options = {"assertion_file": str(tmp_path / "token"), "login_fields": {"audience": "shop"}}
    backend = client(server, grant_type=grant_type, client_authentication="none", **options)
    assert backend.login(NOTHING).verdict is Verdict.OK
    assert endpoint.forms == [{"grant_type": grant_type, field: token, "audience": "shop", **more}]


def test_file_as_a_grant_of_a_signed_client(server: Upstream, tmp_path: Path) -> None:
    """The file's JWT is the grant while our own key authenticates the client."""
    endpoint = TokenEndpoint(server, {"": public_pem()})
    (tmp_path / "token").write_text(f"{FILE_JWT}.one")
    backend = client(server, grant_type=TOKEN_EXCHANGE, signing_key=pem(), assertion_file=str(tmp_path / "token"))
    assert backend.login(NOTHING).verdict is Verdict.OK
    assert endpoint.forms[0]["subject_token"] == f"{FILE_JWT}.one"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "can't be read from"), ("", "it is empty"), ("no token", "assertion_file holds no JWT")],
)
def test_unfit_file(server: Upstream, tmp_path: Path, content: str | None, said: str) -> None:
    """A file that is missing, empty or holds no JWT is told of, by the check too, and nothing is sent."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    backend = client(server, client_authentication="assertion_file", assertion_file=str(path))
    (problem,) = backend.unreadable_secrets()
    outcome = backend.login(NOTHING)
    assert outcome.verdict is Verdict.CONFIG
    assert said in problem
    assert said in outcome.reason
    assert server.seen == []


# -- what is shown


def test_preview(server: Upstream, tmp_path: Path) -> None:
    """upstream_probe shows where a JWT is sent, and signs nothing."""
    shown = previews(client(server, signing_key=lambda: 1 / 0, assertion_claims={"sub": "bob"}))
    assert "client_assertion={client_assertion}" in shown["login"].body
    grant = client(server, grant_type=JWT_BEARER, client_authentication="none", assertion_file="/no/such/file")
    assert "&assertion={assertion}" in previews(grant)["refresh"].body
    assert not [preview.problem for preview in shown.values() if preview.problem]


def test_settings_without_key(server: Upstream) -> None:
    """Neither the key nor the file's path of a key that is kept elsewhere is among the settings that are shown."""
    for key in pem(), google_key_file(), [pem(), lambda: pem()]:
        backend = client(server, signing_key=key)
        shown = f"{dict(shown_settings(backend))} {backend!r} {backend._secrets!r} {previews(backend)}"
        assert "PRIVATE" not in shown
        assert "[…]" in shown


def test_fitting_options_of_a_class(server: Upstream) -> None:
    """The classes for servers take them like any other option."""
    endpoint = TokenEndpoint(server, {"": public_pem()})
    server.answers["/realms/shop/protocol/openid-connect/token"] = server.answers["/token"]
    endpoint.audience = f"{server.url}realms/shop/protocol/openid-connect/token"
    options = {"client_id": "us", "client_authentication": "private_key_jwt", "grant_type": "client_credentials"}
    backend = KeycloakBackend("up", server.url, realm="shop", signing_key=pem(), **options)
    assert backend.login(NOTHING).verdict is Verdict.OK


# -- tokens that need no endpoint


def test_self_signed(server: Upstream) -> None:
    """The token is made here; it says what settings say, and when it expires."""
    claims = {"aud": "appstoreconnect-v1", "sub": "{public_key_fingerprint}"}
    backend = SelfSignedBackend(
        "up", server.url, client_id="issuer", signing_key=pem("ES256"), assertion_claims=claims
    )
    assert list(backend.check()) == []
    now = int(time.time())
    for outcome in backend.login(NOTHING), backend.refresh(PAIR):
        pair = outcome.pair
        assert pair is not None
        found = signatures.verify(pair.access, public_pem("ES256"), "appstoreconnect-v1")
        assert found.keys() == {"iss", "aud", "sub", "iat", "exp"}
        assert (found["iss"], found["sub"][:7]) == ("issuer", "SHA256:")
        assert now + 600 <= found["exp"] <= now + 601
        assert pair.access_expires_at is not None
        assert pair.access_expires_at.timestamp() == found["exp"]
    assert server.seen == []
    assert previews(backend).keys() == {"api"}
    assert [name for name, _ in shown_settings(backend) if name.endswith(" URL")] == []


def test_self_signed_that_cannot_be(server: Upstream) -> None:
    """Without a key, with one that is unfit or several, and of claims that JSON can't hold, no token is made."""
    outcome = SelfSignedBackend("up", server.url).login(NOTHING)
    assert (outcome.verdict, outcome.reason) == (Verdict.CONFIG, "no token was made: OPTIONS has no signing_key")
    outcome = SelfSignedBackend("up", server.url, signing_key=pem(), assertion_claims={"a": {1}}).login(NOTHING)
    assert (outcome.verdict, outcome.reason.partition(":")[0]) == (Verdict.CONFIG, "no token was made")
    outcome = SelfSignedBackend("up", server.url, signing_key=lambda: public_pem()).login(NOTHING)
    assert outcome.reason.startswith("no token was made: signing_key has no private key")
    backend = SelfSignedBackend("up", server.url, signing_key=[pem(), pem("RS256", 1)])
    assert list(backend.check()) == ["signing_key must be a single key, since no answer says which of several works"]
