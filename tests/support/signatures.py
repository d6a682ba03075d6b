"""Keys as providers hand them out, and a token endpoint that verifies what is signed with them, as a server does."""

from __future__ import annotations

import datetime
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from tests.support.upstream import Answer, Seen, Upstream

#: At least as long as the digest of HS512, for which PyJWT would warn of a shorter one.
SECRET = "a shared secret of sixty-four characters, as RFC 7518 wants them "
_CURVES: dict[str, Any] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1, "ES256K": ec.SECP256K1}
#: One algorithm of each kind of private key.
ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "ES512", "ES256K", "EdDSA"]


def private_key(algorithm: str, number: int = 0) -> Any:
    """Return a key to sign with; others by other numbers. They are made once for all tests of a process."""
    return _made_key(algorithm, number)


@cache
def _made_key(algorithm: str, number: int) -> Any:
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm]())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm == "Ed448":
        return ed448.Ed448PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def pem(algorithm: str = "RS256", number: int = 0, *, passphrase: str = "") -> str:
    """Return a private key as PEM (PKCS #8)."""
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    key = private_key(algorithm, number)
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return text.decode()


def old_pem(algorithm: str = "RS256") -> str:
    """Return a private key as PEM in the older form (PKCS #1, SEC 1), which GitHub gives out."""
    text: bytes = private_key(algorithm).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return text.decode()


def public_pem(algorithm: str = "RS256", number: int = 0) -> str:
    """Return the public half as PEM."""
    key = private_key(algorithm, number).public_key()
    text: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def jwk(algorithm: str = "RS256", number: int = 0, **more: str) -> str:
    """Return a private key as a JWK."""
    key = private_key(algorithm, number)
    if algorithm in _CURVES:
        return json.dumps({**_jwk_of_curve(key), **more})
    kind: Any = OKPAlgorithm if algorithm == "EdDSA" else RSAAlgorithm
    return json.dumps({**json.loads(kind.to_jwk(key)), **more})


def _jwk_of_curve(key: Any) -> dict[str, str]:
    # Not by PyJWT, of which 2.8 leaves out the zeros that a number begins with (RFC 7518, section 6.2.1.2).
    length, numbers = (key.key_size + 7) // 8, key.private_numbers()
    public = numbers.public_numbers
    names = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521", "secp256k1": "secp256k1"}
    values = {"x": public.x, "y": public.y, "d": numbers.private_value}
    encoded = {name: urlsafe_b64encode(value.to_bytes(length, "big")) for name, value in values.items()}
    texts = {name: text.decode().rstrip("=") for name, text in encoded.items()}
    return {"kty": "EC", "crv": names[key.curve.name], **texts}


def certificate(algorithm: str = "RS256", number: int = 0) -> x509.Certificate:
    """Return a self-signed certificate of a key, the same one each time."""
    return _made_certificate(algorithm, number)


@cache
def _made_certificate(algorithm: str, number: int) -> x509.Certificate:
    key = private_key(algorithm, number)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "us")])
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=3650))
    return builder.sign(key, hashes.SHA256())


def certificate_pem(algorithm: str = "RS256", number: int = 0) -> str:
    """Return that certificate as PEM."""
    return certificate(algorithm, number).public_bytes(Encoding.PEM).decode()


def google_key_file(**changes: str) -> str:
    """Return the key file of a service account, with the fields that Google's has."""
    written = {
        "type": "service_account",
        "project_id": "shop-1",
        "private_key_id": "0123abcd",
        "private_key": pem(),
        "client_email": "shop@shop-1.iam.gserviceaccount.com",
        "client_id": "1234567890",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return json.dumps({**written, **changes})


class TokenEndpoint:
    """Issues a token for a request whose JWT is signed with one of the known keys and for this very endpoint.

    ``field`` is where the JWT is; ``keys`` are the public keys, or shared secrets, by ``kid`` ("" for none).
    ``claims`` and ``headers`` are those of the JWTs that were accepted, ``forms`` what was sent. ``ahead`` is by how
    many seconds its clock is.
    """

    def __init__(self, server: Upstream, keys: Mapping[str, Any], field: str = "client_assertion") -> None:
        self.server, self.keys, self.field, self.ahead = server, dict(keys), field, 0
        self.audience = f"{server.url}token"
        self.refusal = {"error": "invalid_client" if field == "client_assertion" else "invalid_grant"}
        self.claims: list[dict[str, Any]] = []
        self.headers: list[dict[str, Any]] = []
        self.forms: list[dict[str, str]] = []
        self.answer: dict[str, Any] = {"access_token": "issued", "expires_in": 3600}
        server.answers["/token"] = self._answer

    def _answer(self, seen: Seen) -> Answer:
        form = {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}
        self.forms.append(form)
        try:
            self._verify(form[self.field])
        except (jwt.PyJWTError, KeyError) as error:
            return Answer(400, {**self.refusal, "error_description": f"JWT: {type(error).__name__}"})
        self.server.access = {self.answer["access_token"]}
        return Answer(200, self.answer)

    def _verify(self, token: str) -> None:
        header = jwt.get_unverified_header(token)
        verified = verify(token, self.keys[header.get("kid", "")], self.audience, self.ahead)
        if verified.get("jti", "") in {claims.get("jti") for claims in self.claims}:
            raise jwt.InvalidTokenError("replayed")
        self.claims.append(verified)
        self.headers.append(header)


def verify(token: str, key: Any, audience: str | None = None, ahead: int = 0) -> dict[str, Any]:
    """Return the claims of a JWT as a server with a clock that is ``ahead`` by so many seconds accepts it."""
    algorithms = ["HS256", "HS384", "HS512"] if isinstance(key, str) and "BEGIN" not in key else [*ALGORITHMS, "RS512"]
    # The times are checked below, since the server's clock may be another.
    options: Any = dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat"), False)
    options |= {"verify_aud": audience is not None, "require": ["iat", "exp"]}
    claims: dict[str, Any] = jwt.decode(token, key, algorithms, audience=audience, options=options)
    now = datetime.datetime.now(datetime.UTC).timestamp() + ahead
    if now >= claims["exp"]:
        raise jwt.ExpiredSignatureError
    if now < max(claims["iat"], claims.get("nbf", 0)):
        raise jwt.ImmatureSignatureError
    return claims
