"""An upstream that quotes what it is sent, and everything that can go wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import jwt
from django.db import OperationalError, ProgrammingError, connection
from requests import PreparedRequest

from jwt_upstream.backends import Backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.support.device import CODES
from tests.support.signatures import pem, private_key
from tests.support.upstream import Answer, Seen, Upstream

BACKEND = f"{__name__}.LeakyBackend"


class Given:
    """The secrets in play; no variable of a test holds one of them, since reports show the test's variables too."""

    __slots__ = ()
    username = "bob@example.com"
    password = 'hun+er2 "Zebra" / <ä>'
    client_secret = "squid&Ink=77 %"
    key = "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBieXRlcyE="
    device_code = "dev-Kk+77 /zz"
    code, state, code_verifier = "c0d-Kk+77 /zz", "st4-Kk+77 /zz", "ver-Kk+77 /zz"
    signing_key = pem("ES256")
    encrypted_key = pem("ES256", passphrase="pass-Word 9/ö")
    #: What every JWT begins with that is signed with the key.
    signed = jwt.encode({}, private_key("ES256"), "ES256", {"kid": "k-1"}).partition(".")[0]
    access = [f"acc-{number}-Qq~9" for number in range(12)]
    refresh = [f"eyJref{number}.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{'s' * 30}" for number in range(12)]
    #: What ``upstream_login --tokens-stdin`` reads.
    tokens = json.dumps({"access": access[0], "refresh": refresh[0]})
    spoilt_tokens = json.dumps({"access": f"{access[0]}\n{refresh[0]}", "refresh": refresh[0]})

    def __repr__(self) -> str:
        return "<Given>"

    @property
    def codes(self) -> list[str]:
        return [self.device_code, self.code, self.state, self.code_verifier]

    @property
    def secrets(self) -> list[str]:
        plain = [self.password, self.client_secret, self.key, *self.codes, self.signed]
        keys = [self.signing_key.splitlines()[1], self.encrypted_key.splitlines()[2]]
        return [*plain, *keys, *self.access, *self.refresh]


GIVEN = Given()


class LeakyBackend(Backend):
    """A project's own: OAuth's fields, every secret in the body and the client's in a header as well."""

    login_path = "token"
    refresh_path = "token"
    login_fields = {"grant_type": "password", "username": "{username}", "password": "{password}"}
    refresh_fields = {"grant_type": "refresh_token", "refresh": "{refresh}", "access": "{access}"}
    revoke_path = "revoke"
    test_path = "orders/"
    device_path = "device"
    authorize_path = "authorize"
    revoke_fields = {"token": "{token}", "refresh": "{refresh}", "access": "{access}"}
    login_headers = {"X-Proof": "JWT {assertion}"}
    refresh_headers = {"X-Proof": "JWT {assertion}"}
    client_authentication = "basic"
    api_headers = {"Authorization": "Bearer {access}", "X-Client": "{client_id}"}


class _Bug(LeakyBackend):
    """Has a bug in the method that its subclass names."""


def _broken(name: str) -> type[Backend]:
    def method(self: Backend, *args: Any, **kwargs: Any) -> Any:
        given = (args, kwargs)
        raise RuntimeError(f"a bug in {name}", len(given))

    return type(f"Breaks{name.title().replace('_', '')}", (_Bug,), {name: method, "__module__": __name__})


#: The methods that a project's own backend may override.
METHODS = [
    "login",
    "login_body",
    "login_request",
    "refresh",
    "refresh_body",
    "refresh_request",
    "revoke",
    "revoke_body",
    "revoke_request",
    "device_request",
    "device_login_request",
    "authorization_request",
    "authorization_response",
    "authorize",
    "token_pair",
    "assertion",
    "claims",
    "signed",
    "verdict",
    "reason",
    "outcome",
    "check",
    "url",
]
for _name in METHODS:
    globals()[_broken(_name).__name__] = _broken(_name)


def quoting(status: int, error: str) -> Callable[[Seen], Answer]:
    """Answer with an error that quotes the request, as it came and decoded."""

    def answer(seen: Seen) -> Answer:
        quoted = f"{seen.body.decode()} {seen.headers.get('Authorization')} {seen.headers.get('X-Proof')}"
        return Answer(status, {"error": error, "error_description": quoted, "message": quoted}, {"X-Quoted": quoted})

    return answer


class Site:
    """The upstream with its settings, logged in."""

    def __init__(self, server: Upstream, settings: Any) -> None:
        self.server, self.settings = server, settings
        self._number = 0
        server.issue = self.issue  # type: ignore[method-assign]
        self.reset()

    def reset(self) -> None:
        """Have good settings, answer well, and be logged in with a new pair."""
        self.settings.JWT_UPSTREAM_WAIT_SECONDS = self.settings.JWT_UPSTREAM_SETTLE_SECONDS = 0.2
        self.settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [GIVEN.key]
        self.configure()
        self.server.answers.clear()
        self.server.answers["/token"] = lambda _: Answer(200, self.issue())
        self.server.answers["/orders/"] = self._orders
        self.server.answers["/revoke"] = Answer(200, {})
        self.server.answers["/device"] = Answer(200, {**CODES, "device_code": GIVEN.device_code, "expires_in": 20})
        Credential.objects.all().delete()
        UpstreamClient("up").adopt(TokenPair(*self._pair()))

    def configure(self, **changes: Any) -> None:
        options = {"client_id": "us", "client_secret": GIVEN.client_secret, "signing_key": GIVEN.signing_key}
        options |= {"key_id": "k-1", **changes.pop("options", {})}
        written = {"BACKEND": BACKEND, "BASE_URL": self.server.url, "OPTIONS": options, **changes}
        self.settings.JWT_UPSTREAM = {"up": written, "drive": written}
        if isinstance(written["OPTIONS"], dict):
            code = {"code": "{code}", "verifier": "{code_verifier}"}
            self.settings.JWT_UPSTREAM["drive"] = {**written, "OPTIONS": {"login_fields": code, **written["OPTIONS"]}}
            own: dict[str, Any] = {"api_headers": {**LeakyBackend.api_headers, "X-Region": "{region}"}}
            own |= {**written["OPTIONS"], "client_secret": "{client_secret}"}
            accounts = {"parameters": ["region"], "secrets": ["client_secret"]}
            self.settings.JWT_UPSTREAM["shop"] = {**written, "OPTIONS": own, "ACCOUNTS": accounts}

    def _orders(self, seen: Seen) -> Answer:
        return Answer(200 if seen.token in self.server.access else 401, [1, 2])

    def issue(self) -> dict[str, Any]:
        access, refresh = self._pair()
        return {"access_token": access, "refresh_token": refresh, "expires_in": 3600}

    def _pair(self) -> tuple[str, str]:
        self._number = (self._number + 1) % len(GIVEN.access)
        access, refresh = GIVEN.access[self._number], GIVEN.refresh[self._number]
        self.server.access, self.server.refresh = {access}, refresh
        return access, refresh


Fault = Callable[[Site], Any]


def _answering(answer: Answer | Callable[[Seen], Answer], **answers: Any) -> Fault:
    def fault(site: Site) -> Any:
        site.server.answers.update({"/token": answer, "/orders/": answer, "/revoke": answer})
        return nullcontext()

    return fault


def _configured(**changes: Any) -> Fault:
    def fault(site: Site) -> Any:
        site.configure(**changes)
        return nullcontext()

    return fault


def _keys(*keys: str) -> Fault:
    def fault(site: Site) -> Any:
        site.settings.JWT_UPSTREAM_ENCRYPTION_KEYS = list(keys)
        return nullcontext()

    return fault


def _database(error: type[Exception], words: tuple[str, ...]) -> Fault:
    @contextmanager
    def fault(site: Site) -> Iterator[None]:
        def refuse(execute: Any, sql: str, params: Any, many: bool, context: Mapping[str, Any]) -> Any:
            if sql.startswith(words) and "jwt_upstream" in sql:
                raise error("the database says no")
            return execute(sql, params, many, context)

        with connection.execute_wrapper(refuse):
            yield

    return fault


def _timeout(site: Site) -> Any:
    site.configure(options={"timeout": 0.03, "deadline": 0.03})
    slow = Answer(200, {}, delay=0.06)
    site.server.answers.update({"/token": slow, "/orders/": slow, "/revoke": slow})
    return nullcontext()


def _no_codes(site: Site) -> Any:
    site.server.answers["/device"] = quoting(400, "unauthorized_client")
    return nullcontext()


def _refused_keys(site: Site) -> Any:
    site.configure(options={"signing_key": [GIVEN.signing_key, lambda: GIVEN.signing_key]})
    return _answering(quoting(401, "invalid_client"))(site)


def _spoilt(request: PreparedRequest) -> None:
    raise AssertionError


FAULTS: dict[str, Fault] = {
    "nobody listens": _configured(BASE_URL="http://127.0.0.1:1/"),
    "timeout": _timeout,
    "500": _answering(quoting(500, "server_error")),
    "400 invalid_grant": _answering(quoting(400, "invalid_grant")),
    "401 invalid_client": _answering(quoting(401, "invalid_client")),
    "no codes for a device login": _no_codes,
    "401 locked": _answering(lambda _: Answer(401, {"message": "Account is disabled."})),
    "not JSON": _answering(lambda seen: Answer(200, b'{"access_token": ' + seen.body)),
    "wrong types": _answering(lambda seen: Answer(200, {"access_token": [seen.body.decode()], "refresh_token": {}})),
    "token with a line break": _answering(lambda seen: Answer(200, {"access_token": f"a\n{GIVEN.access[0]}"})),
    "no such option": _configured(options={"client_secrte": GIVEN.client_secret}),
    "option of a wrong type": _configured(options={"client_secret": [GIVEN.client_secret]}),
    "signing key of a wrong type": _configured(options={"signing_key": {"pem": GIVEN.signing_key}}),
    "signing key that is encrypted": _configured(options={"signing_key": GIVEN.encrypted_key}),
    "signing key that is damaged": _configured(options={"signing_key": lambda: GIVEN.signing_key[:-60]}),
    "signing key of another algorithm": _configured(options={"signing_algorithm": "RS256"}),
    "signing keys that are refused": _refused_keys,
    "header that can't be sent": _configured(options={"headers": {"X-Key": f"{GIVEN.client_secret}\n"}}),
    "no such backend": _configured(BACKEND="jwt_upstream.backends.NoBackend"),
    "backend that is none": _configured(BACKEND="django.utils.timezone.now"),
    "bad URL": _configured(BASE_URL=f"http://us:{GIVEN.password}@[/"),
    "LOGIN that does not fit": _configured(LOGIN={"pin": GIVEN.password}),
    "settings that are a list": _configured(OPTIONS=[GIVEN.client_secret]),
    "certificate that is missing": _configured(BASE_URL="https://127.0.0.1:1/", options={"verify": "/no/such.pem"}),
    "wrong encryption key": _keys("YW5vdGhlciBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE="),
    "bad encryption key": _keys(f"{GIVEN.key}x", GIVEN.key),
    "database that is away": _database(OperationalError, ("SELECT", "UPDATE", "INSERT")),
    "database that can't be written": _database(OperationalError, ("UPDATE", "INSERT")),
    "table that is missing": _database(ProgrammingError, ("UPDATE", "INSERT")),
    **{f"bug in {name}": _configured(BACKEND=f"{__name__}.{_broken(name).__name__}") for name in METHODS},
}
