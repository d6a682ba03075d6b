"""A small authorization server on top of the tests' upstream: codes at /authorize, tokens at /token (RFC 6749)."""

from __future__ import annotations

import itertools
from base64 import urlsafe_b64encode
from hashlib import sha256
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from tests.support.upstream import Answer, Seen, Upstream

CLIENT = {"client_id": "shop", "client_secret": "squid-Ink-77", "client_authentication": "post"}
CODE_LOGIN = {"grant_type": "authorization_code", "authorize_path": "authorize", "login_path": "token", **CLIENT}


class AuthorizationServer:
    """Gives a code to whoever comes, once for tokens, to the client with the right verifier and redirect URI.

    A code that comes a second time ends the tokens that it brought, as RFC 6749 says (4.1.2). ``returns`` is added to
    what a redirect brings, None takes something away; with ``asks`` a person has to press a button first.
    """

    def __init__(self, upstream: Upstream, settings: Any, alias: str = "drive", **options: Any) -> None:
        self.upstream = upstream
        self.returns: dict[str, str | None] = {}
        self.asks = False
        self.codes: dict[str, dict[str, str]] = {}
        self.exchanges: list[dict[str, str]] = []
        self._numbers = itertools.count(1)
        upstream.answers |= {"/authorize": self._authorize, "/allow": self._allow, "/token": self._token}
        backend = {"BACKEND": "jwt_upstream.backends.OAuth2Backend", "BASE_URL": upstream.url}
        settings.JWT_UPSTREAM = {**settings.JWT_UPSTREAM, alias: {**backend, "OPTIONS": {**CODE_LOGIN, **options}}}

    def visit(self, url: str) -> str:
        """Do as a browser: open the page, and return where it is redirected to."""
        return requests.get(url, allow_redirects=False, timeout=10).headers["Location"]

    def _authorize(self, seen: Seen) -> Answer:
        asked = dict(parse_qsl(urlsplit(seen.path).query))
        if self.asks:
            fields = "".join(f'<input type="hidden" name="{k}" value="{escape(v)}">' for k, v in asked.items())
            page = f'<!doctype html><title>Allow?</title><form action="/allow">{fields}<button>Allow</button></form>'
            return Answer(200, page.encode(), {"Content-Type": "text/html"})
        return self._allow(seen)

    def _allow(self, seen: Seen) -> Answer:
        asked = dict(parse_qsl(urlsplit(seen.path).query))
        if asked.get("response_type") != "code" or asked.get("client_id") != CLIENT["client_id"]:
            return Answer(400, {"error": "invalid_request"})
        code = f"code-{next(self._numbers)}-of-bob"
        self.codes[code] = asked
        back = {"code": code, "state": asked.get("state"), **self.returns}
        query = urlencode({name: value for name, value in back.items() if value is not None})
        return Answer(302, None, {"Location": f"{asked['redirect_uri']}?{query}"})

    def _token(self, seen: Seen) -> Answer:
        given = dict(parse_qsl(seen.body.decode()))
        self.exchanges.append(given)
        if given["grant_type"] == "refresh_token":
            is_good = given["refresh_token"] == self.upstream.refresh
            return self._issued() if is_good else Answer(400, {"error": "invalid_grant"})
        asked = self.codes.pop(given["code"], None)
        if asked is None:
            self.upstream.access, self.upstream.refresh = set(), ""
            return Answer(400, {"error": "invalid_grant", "error_description": "code is unknown or was used"})
        if given.get("redirect_uri") != asked["redirect_uri"] or not _is_verified(given, asked):
            return Answer(400, {"error": "invalid_grant", "error_description": "verifier or redirect_uri is wrong"})
        return self._issued()

    def _issued(self) -> Answer:
        pair = self.upstream.issue()
        return Answer(200, {"access_token": pair["access"], "refresh_token": pair["refresh"], "expires_in": 3600})


def _is_verified(given: dict[str, str], asked: dict[str, str]) -> bool:
    if "code_challenge" not in asked:
        return "code_verifier" not in given
    digest = urlsafe_b64encode(sha256(given.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
    return asked["code_challenge_method"] == "S256" and digest == asked["code_challenge"]
