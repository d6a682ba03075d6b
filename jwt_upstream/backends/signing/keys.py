"""Keys to sign with, as providers hand them out. No message and no error that leaves this module shows one."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha1, sha256
from typing import Any, NoReturn

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

from jwt_upstream.tracebacks import without_variables

#: What each kind of key signs with (RFC 7518, RFC 8037, RFC 8812); the first is the default.
ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "an RSA key": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "a P-256 key": ("ES256",),
    "a P-384 key": ("ES384",),
    "a P-521 key": ("ES512",),
    "a secp256k1 key": ("ES256K",),
    "an Ed25519 or Ed448 key": ("EdDSA",),
    "a shared secret": ("HS256", "HS384", "HS512"),
}
_SHARED = "a shared secret"
_CURVES = {
    "secp256r1": "a P-256 key",
    "secp384r1": "a P-384 key",
    "secp521r1": "a P-521 key",
    "secp256k1": "a secp256k1 key",
}
_JWK_TYPES: Mapping[str, Any] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm, "oct": HMACAlgorithm}

_PRIVATE = re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.+?-----END \1PRIVATE KEY-----", re.DOTALL)
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Unsignable(ValueError):
    """What settings have signed makes no JWT; the message shows no key."""


class SigningKey:
    """A private key or a shared secret, what it is called at the upstream, and what it can sign.

    ``key_id`` and ``email`` are what the key's own text says of it, "" for nothing: the ``kid`` of a JWK, and what
    Google writes into the key file of a service account. Shows no key, and can't be pickled.
    """

    __slots__ = ("__key", "_stated", "email", "key_id", "kind", "thumbprints")

    def __init__(
        self,
        key: Any,
        kind: str,
        *,
        key_id: str = "",
        email: str = "",
        algorithm: str = "",
        thumbprints: Mapping[str, str] | None = None,
    ) -> None:
        self.__key, self.kind, self.key_id, self.email = key, kind, key_id, email
        self._stated = algorithm
        #: The header fields that name the certificate (RFC 7515, sections 4.1.7 and 4.1.8), if it is beside the key.
        self.thumbprints = thumbprints or {}

    def __repr__(self) -> str:
        return f"<SigningKey: {self.kind}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key can't be pickled")

    @classmethod
    @without_variables
    @lru_cache(maxsize=16)  # OpenSSL takes 30 ms to check an RSA key, and one in a file is read at each login
    def parse(cls, text: str, algorithm: str = "") -> SigningKey:
        """Return the key in a text: PEM, with its certificate or without; a JWK; or the key file of a service account.

        For an ``algorithm`` of HMAC any other text is a shared secret. Raises ValueError with what is wrong.
        """
        text = text.removeprefix("\ufeff").strip()
        if text.startswith("{"):
            return cls._of_json(text)
        if "-----BEGIN" in text:
            return cls._of_pem(text)
        if algorithm in ALGORITHMS[_SHARED]:
            return cls.shared(text)
        raise ValueError("is neither PEM nor a JWK; for a shared secret set signing_algorithm to 'HS256', say")

    @classmethod
    def shared(cls, secret: str) -> SigningKey:
        """Return the key that a shared secret is (RFC 7518, section 3.2); raises ValueError for another key."""
        try:
            return cls(HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret), _SHARED)
        except jwt.InvalidKeyError:
            raise ValueError("is a key or a certificate, and no shared secret") from None

    @classmethod
    def _of_json(cls, text: str) -> SigningKey:
        try:
            written = json.loads(text)
        except ValueError:
            raise ValueError("begins with '{', but is not JSON") from None
        if isinstance(pem := written.get("private_key"), str):
            names = {"key_id": "private_key_id", "email": "client_email"}
            return cls._of_pem(pem, **{name: _text(written, field) for name, field in names.items()})
        if (algorithm := _JWK_TYPES.get(str(written.get("kty")))) is None:
            raise ValueError("is JSON, but neither a JWK nor the key file of a service account")
        try:
            key: Any = algorithm.from_jwk(text)
        except Exception:  # PyJWT raises InvalidKeyError, and whatever a field of the wrong type leads to
            raise ValueError("is a JWK that can't be read") from None
        return cls(key, _kind_of(key), key_id=_text(written, "kid"), algorithm=_text(written, "alg"))

    @classmethod
    def _of_pem(cls, text: str, key_id: str = "", email: str = "") -> SigningKey:
        text = text.replace("\\n", "\n")  # as an environment variable often has it
        if "ENCRYPTED" in text:
            raise ValueError("is encrypted with a passphrase; write it unencrypted: openssl pkey -in KEY -out NEW")
        if (found := _PRIVATE.search(text)) is None:
            raise ValueError("has no private key; a certificate or a public key can't sign")
        try:
            load = load_ssh_private_key if found[1] == "OPENSSH " else load_pem_private_key
            key: Any = load(found[0].encode(), None)
        except Exception as error:  # cryptography's own ones, ValueError and TypeError, some of which quote
            if "password-protected" in str(error):  # of OpenSSH's own form, which says so in no word that can be read
                raise ValueError("is encrypted with a passphrase; take it off: ssh-keygen -p -N '' -f COPY") from None
            raise ValueError("can't be read as a private key; it may be damaged, or cut off") from None
        return cls(key, _kind_of(key), key_id=key_id, email=email, thumbprints=_thumbprints(text, key))

    def algorithm(self, wanted: str = "") -> str:
        """Return the algorithm to sign with: the wanted one, that of a JWK (RFC 7517, section 4.4), or the usual one.

        Raises ValueError if the wanted one is not for this kind of key.
        """
        fitting = ALGORITHMS[self.kind]
        if wanted and wanted not in fitting:
            raise ValueError(f"signing_algorithm {wanted!r} is not for {self.kind}; use {' or '.join(fitting)}")
        return wanted or (self._stated if self._stated in fitting else fitting[0])

    @without_variables
    def sign(self, claims: Mapping[str, Any], headers: Mapping[str, Any], algorithm: str = "") -> str:
        """Return a JWT (RFC 7519); raises ValueError as ``algorithm`` does, and Unsignable for what no JWT holds."""
        wanted = self.algorithm(algorithm)
        try:
            return jwt.encode(dict(claims), self.__key, wanted, {**headers, "alg": wanted})
        except (TypeError, jwt.PyJWTError) as error:
            raise Unsignable(f"assertion_claims or assertion_headers make no JWT: {error}") from None

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the public key as Snowflake has it (RSA_PUBLIC_KEY_FP); "" for a shared secret."""
        if self.kind == _SHARED:
            return ""
        public = self.__key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"SHA256:{b64encode(sha256(public).digest()).decode()}"


def _text(written: Mapping[str, Any], name: str) -> str:
    value = written.get(name)
    return "" if value is None else str(value)


def _kind_of(key: Any) -> str:
    kind = ""
    if isinstance(key, bytes):
        kind = _SHARED
    elif isinstance(key, RSAPrivateKey):
        kind = "an RSA key"
    elif isinstance(key, Ed25519PrivateKey | Ed448PrivateKey):
        kind = "an Ed25519 or Ed448 key"
    elif isinstance(key, EllipticCurvePrivateKey):
        kind = _CURVES.get(key.curve.name, "")
    if not kind:
        raise ValueError("is a public key, or of a kind that JWTs are not signed with")
    return kind


def _thumbprints(text: str, key: Any) -> dict[str, str]:
    """Return the header fields that name the key's certificate, if it stands beside the key."""
    written = _CERTIFICATE.findall(text)
    for each in written:
        try:
            certificate = x509.load_pem_x509_certificate(each.encode())
        except ValueError:
            raise ValueError("has a certificate that can't be read") from None
        if certificate.public_key() == key.public_key():
            der = certificate.public_bytes(Encoding.DER)
            # SHA-1 protects nothing here: it is how older servers look a certificate up.
            old = sha1(der, usedforsecurity=False)
            return {"x5t": _base64url(old.digest()), "x5t#S256": _base64url(sha256(der).digest())}
    if written:
        raise ValueError("has a certificate of another key")
    return {}


def _base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
