"""Keys to sign with: in which forms they are read, what each signs, and what is said of those that can't."""

from __future__ import annotations

import json
import pickle
from base64 import b64decode, b64encode, encodebytes, urlsafe_b64decode
from collections.abc import Callable
from hashlib import sha256
from struct import pack
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from jwt_upstream.backends.signing import ALGORITHMS, SigningKey, Unsignable
from tests.support import signatures
from tests.support.signatures import certificate, certificate_pem, google_key_file, jwk, old_pem, pem, public_pem

CLAIMS = {"iss": "us", "aud": "them"}


@pytest.mark.parametrize("algorithm", signatures.ALGORITHMS)
@pytest.mark.parametrize("form", [pem, jwk])
def test_signature(algorithm: str, form: Callable[[str], str]) -> None:
    """What is signed with a key, given as PEM or as a JWK, is verified with its public half."""
    text = form(algorithm)
    token = SigningKey.parse(text).sign(CLAIMS, {"kid": "k1"}, algorithm)
    assert jwt.decode(token, public_pem(algorithm), [algorithm], audience="them") == CLAIMS
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "typ": "JWT", "kid": "k1"}


#: Made when they are needed, since each process of a test run makes keys of its own.
_FORMS: dict[str, tuple[Callable[[], str], str]] = {
    "RSA": (lambda: pem("RS256"), "RS256"),
    "RSA of old": (lambda: old_pem("RS256"), "RS256"),
    "P-256": (lambda: pem("ES256"), "ES256"),
    "P-256 of old": (lambda: old_pem("ES256"), "ES256"),
    "P-384": (lambda: pem("ES384"), "ES384"),
    "P-521": (lambda: pem("ES512"), "ES512"),
    "Ed25519": (lambda: pem("EdDSA"), "EdDSA"),
    "Ed448": (lambda: pem("Ed448"), "EdDSA"),
    "service account": (google_key_file, "RS256"),
    "of the environment": (lambda: pem("RS256").replace("\n", "\\n"), "RS256"),
    "space around it": (lambda: f"\n{pem('RS256')}\n\n", "RS256"),
    "with a BOM": (lambda: f"\ufeff{jwk('ES256')}", "ES256"),
    "OpenSSH": (lambda: _of_openssh(), "EdDSA"),
    "JWK of PS256": (lambda: jwk(alg="PS256"), "PS256"),
    "JWK to decrypt with": (lambda: jwk(alg="RSA-OAEP"), "RS256"),
    "shared": (lambda: '{"kty": "oct", "k": "c2VjcmV0", "kid": "k"}', "HS256"),
}


def _of_openssh() -> str:
    text: bytes = signatures.private_key("EdDSA").private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return text.decode()


def _of_openssh_with_a_passphrase() -> str:
    # As ssh-keygen writes it but for the key itself: to encrypt one, cryptography needs bcrypt.
    public = signatures.private_key("EdDSA").public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    options = _field(bytes(16)) + pack(">I", 16)
    head = [b"aes256-ctr", b"bcrypt", options]
    parts = [b"openssh-key-v1\0", *map(_field, head), pack(">I", 1)]
    content = b"".join([*parts, _field(b64decode(public.split()[1])), _field(bytes(144))])
    kind = "OPENSSH PRIVATE KEY"
    return f"-----BEGIN {kind}-----\n{encodebytes(content).decode()}-----END {kind}-----\n"


def _field(content: bytes) -> bytes:
    return pack(">I", len(content)) + content


@pytest.mark.parametrize("form", _FORMS)
def test_usual_algorithm(form: str) -> None:
    """Without a wish it is the usual algorithm for the kind of key, whatever form the key is given in."""
    text, algorithm = _FORMS[form]
    assert SigningKey.parse(text()).algorithm() == algorithm


def test_name_of_the_key() -> None:
    """A JWK says what it is called, and Google's file says whose it is."""
    assert SigningKey.parse(jwk(kid="k7")).key_id == "k7"
    assert SigningKey.parse(json.dumps({**json.loads(jwk()), "kid": None})).key_id == ""
    key = SigningKey.parse(google_key_file())
    assert (key.key_id, key.email) == ("0123abcd", "shop@shop-1.iam.gserviceaccount.com")


def test_parsed_once() -> None:
    """A text is parsed once, since a key that is kept elsewhere is read anew for each login."""
    assert SigningKey.parse(pem()) is SigningKey.parse(pem())


def test_shared_secret() -> None:
    """Any text is a secret for an algorithm of HMAC, and for no other."""
    token = SigningKey.parse(signatures.SECRET, "HS512").sign(CLAIMS, {}, "HS512")
    assert jwt.decode(token, signatures.SECRET.strip(), ["HS512"], audience="them") == CLAIMS
    with pytest.raises(ValueError, match="for a shared secret set signing_algorithm to 'HS256'"):
        SigningKey.parse(signatures.SECRET)


@pytest.mark.parametrize("is_chain", [False, True])
def test_certificate(is_chain: bool) -> None:
    """The certificate that stands beside the key is named by both thumbprints, in a chain as well."""
    others = certificate_pem("RS256", 1) if is_chain else ""
    key = SigningKey.parse(others + pem() + certificate_pem())
    thumbprints = {name: urlsafe_b64decode(f"{text}=") for name, text in key.thumbprints.items()}
    expected = {"x5t": certificate().fingerprint(SHA1()), "x5t#S256": certificate().fingerprint(SHA256())}
    assert thumbprints == expected


def test_fingerprint() -> None:
    """The public key's fingerprint is the one that Snowflake shows; a shared secret has none."""
    der = signatures.private_key("RS256").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert SigningKey.parse(pem()).fingerprint == f"SHA256:{b64encode(sha256(der).digest()).decode()}"
    assert SigningKey.shared("secret").fingerprint == ""


@pytest.mark.parametrize(
    ("algorithm", "wanted"),
    [("RS256", "ES256"), ("RS256", "HS256"), ("ES256", "RS256"), ("ES256", "ES384"), ("EdDSA", "ES256")],
)
def test_algorithm_for_another_key(algorithm: str, wanted: str) -> None:
    """An algorithm that is not for the key's type is refused, with those that are."""
    key = SigningKey.parse(pem(algorithm))
    with pytest.raises(ValueError, match=f"{wanted!r} is not for {key.kind}; use {ALGORITHMS[key.kind][0]}"):
        key.sign(CLAIMS, {}, wanted)


def _pem_of_a_rare_curve() -> str:
    key = ec.generate_private_key(ec.BrainpoolP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


_UNFIT: dict[str, Callable[[], str]] = {
    "is encrypted with a passphrase; write it unencrypted: openssl pkey": lambda: pem(passphrase="secret"),
    "is encrypted with a passphrase; take it off: ssh-keygen": _of_openssh_with_a_passphrase,
    "has no private key; a certificate or a public key can't sign": public_pem,
    "has no private key; a certificate or": certificate_pem,
    "can't be read as a private key; it may be damaged, or cut off": lambda: pem().replace("MII", "XII", 1),
    "has no private key": lambda: pem()[:-40],
    "begins with '{', but is not JSON": lambda: "{",
    "is JSON, but neither a JWK nor the key file of a service account": lambda: '{"installed": {}}',
    "is JSON, but neither a JWK": lambda: '{"kty": ["RSA"]}',
    "is a JWK that can't be read": lambda: '{"kty": "RSA", "n": 7}',
    "is a public key, or of a kind": lambda: json.dumps({name: json.loads(jwk())[name] for name in ("kty", "n", "e")}),
    "is a public key, or of a kind that JWTs are not signed with": _pem_of_a_rare_curve,
    "has a certificate of another key": lambda: pem() + certificate_pem("RS256", 1),
    "has a certificate that can't be read": lambda: pem() + certificate_pem().replace("MII", "XII", 1),
    "is neither PEM nor a JWK": lambda: "/etc/keys/us.pem",
}


@pytest.mark.parametrize("said", _UNFIT)
def test_key_that_cannot_sign(said: str) -> None:
    """What can't sign is told by what is wrong with it, without a line of the key."""
    text = _UNFIT[said]()
    with pytest.raises(ValueError, match=said.replace("{", r"\{")) as caught:
        SigningKey.parse(text)
    assert not [line for line in text.splitlines() if len(line) > 20 and line in str(caught.value)]


@pytest.mark.parametrize(("claims", "headers"), [({"a": {1}}, {}), ({}, {"kid": 5})])
def test_what_makes_no_jwt(claims: dict[str, Any], headers: dict[str, Any]) -> None:
    """What a JWT can't hold is refused in a sentence."""
    with pytest.raises(Unsignable, match="assertion_claims or assertion_headers make no JWT: "):
        SigningKey.parse(pem()).sign(claims, headers)


def test_nothing_shows_a_key() -> None:
    """Neither its repr nor a pickle holds it."""
    key = SigningKey.parse(pem())
    assert repr(key) == "<SigningKey: an RSA key>"
    with pytest.raises(TypeError, match="a key can't be pickled"):
        pickle.dumps(key)
