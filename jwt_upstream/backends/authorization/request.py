"""The request to an authorization endpoint: the URL of a page on which a person logs in and consents."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit, urlunsplit

from jwt_upstream.backends.core import Requests, Verdict, filled_within, is_web_address
from jwt_upstream.tokens import OwnCopy, Unshown
from jwt_upstream.tracebacks import without_variables

from .response import SETTINGS_CHANGED, AuthorizationResponse, is_answer, read

#: What this request consists of, besides the parameters of a server's own.
_OURS = {"response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method"}
#: 256 bits, in 43 characters: the shortest verifier of RFC 7636 (section 4.1), and as good a state.
_BYTES = 32


class _InSlots(OwnCopy):
    __slots__ = ("code_verifier", "made_for", "state", "url")


@dataclass(frozen=True, init=False, eq=False)
class AuthorizationRequest(_InSlots):
    """Where to send a person's browser (``url``), and what to keep for the redirect that it comes back with.

    ``state`` must be compared with that of the redirect, and ``code_verifier`` sent with its code ("" without PKCE).
    ``made_for`` is a digest of the server, client and scope that settings named; "" fits any. None of them is in the
    repr or in ``dataclasses.asdict()``, and pickling raises TypeError: keep them where nobody else can read them.
    """

    url: Unshown[str] = ""
    redirect_uri: str = ""
    state: Unshown[str] = ""
    code_verifier: Unshown[str] = ""
    made_for: Unshown[str] = ""

    def __init__(self, url: str, redirect_uri: str, state: str, code_verifier: str, made_for: str = "") -> None:
        given = {"url": url, "redirect_uri": redirect_uri, "state": state, "code_verifier": code_verifier}
        for name, value in {**given, "made_for": made_for}.items():
            object.__setattr__(self, name, value)

    @without_variables
    def is_answered_by(self, redirected: str) -> bool:
        """Tell whether a redirect has this request's ``state``; any other is no reason to forget the request."""
        return is_answer(redirected, self.state)

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AuthorizationRequest holds secrets and can't be pickled")


del AuthorizationRequest.url, AuthorizationRequest.state
del AuthorizationRequest.code_verifier, AuthorizationRequest.made_for


class Authorization(Requests):
    """The part of a backend that sends a person to an authorization endpoint, and reads what comes back from there."""

    authorize_path: str = ""
    redirect_uri: str = ""
    authorize_params: Mapping[str, str] = {}
    code_challenge_method: str = "S256"
    issuer: str = ""
    requires_iss: bool = False

    @property
    def has_browser_login(self) -> bool:
        """Tell whether a login takes a code, and it is known where a browser gets one."""
        return bool(self.authorize_path) and "code" in self.login_asks

    @without_variables
    def authorization_request(self, redirect_uri: str = "", *, state: str = "") -> AuthorizationRequest:
        """Return where to send a person; nothing is sent, and nothing kept.

        ``redirect_uri`` is where the browser comes back to, the option of that name by default; ``state`` is a new
        random one unless it is given. Raises ValueError if this backend has no browser login, or the URI isn't a web
        address without a fragment.
        """
        redirect_uri = redirect_uri or self.redirect_uri
        if problem := self._no_authorization(redirect_uri):
            raise ValueError(f"{self.alias}: {problem}")
        state = state or secrets.token_urlsafe(_BYTES)
        verifier = secrets.token_urlsafe(_BYTES) if self.code_challenge_method else ""
        query = {**self._authorize_params(), "state": state, **self._challenge(verifier)}
        query |= {"response_type": "code", "client_id": self.client_id, "redirect_uri": redirect_uri}
        url = _with_query(self._authorize_url, query)
        return AuthorizationRequest(url, redirect_uri, state, verifier, self._made_for)

    @without_variables
    def authorization_response(self, request: AuthorizationRequest, redirected: str) -> AuthorizationResponse:
        """Read the URL that a browser was redirected to; sends nothing.

        ``redirected`` may be the whole URL, its path with the query, or the query alone. The code is there only if
        ``state`` and ``iss`` are as they must be, and settings name what they named when ``request`` was made.
        """
        if request.made_for not in {"", self._made_for}:
            return AuthorizationResponse(Verdict.REJECTED, SETTINGS_CHANGED)
        secret = [request.state, request.code_verifier]
        return read(redirected, request.state, self._issuer, self._authorize_url, self.requires_iss, secret)

    def login_body(self, credentials: Mapping[str, str]) -> dict[str, Any]:
        """Return the fields of a login's body; with a code they have its verifier and redirect URI, if given."""
        fields = super().login_body(credentials)
        # Both belong to the code (RFC 6749, section 4.1.3; RFC 7636, section 4.5), whatever ``login_fields`` are.
        own = ["redirect_uri"] * self.has_browser_login + ["code_verifier"] * ("code" in self.login_asks)
        return fields | {name: credentials[name] for name in own if credentials.get(name)}

    def _no_authorization(self, redirect_uri: str) -> str:
        if not self.authorize_path:
            return "OPTIONS has no authorize_path, the page on which a person logs in"
        if "code" not in self.login_asks:
            asks = " and ".join(self.login_asks) or "nothing that a person has"
            return f"its login takes {asks}, not a code from a browser; see grant_type in OPTIONS"
        known = {"code", "redirect_uri"} | ({"code_verifier"} if self.code_challenge_method else set())
        if more := ", ".join(name for name in self.login_asks if name not in known):
            return f"its login takes {more} besides a code, which no browser brings; see login_fields in OPTIONS"
        if missing := ", ".join(self.missing()) or ("" if self.client_id else "client_id"):
            return f"OPTIONS has no {missing}"
        if not _may_lead_back(redirect_uri):
            return "the redirect URI must be an http:// or https:// URL without a fragment"
        return ""

    def _authorize_params(self) -> dict[str, str]:
        own = {name: filled_within(text, self._texts) for name, text in self.authorize_params.items()}
        return {name: text for name, text in {"scope": self._texts.get("scope"), **own}.items() if text}

    def _challenge(self, verifier: str) -> dict[str, str]:
        if not verifier:
            return {}
        # Section 4.2 of RFC 7636: BASE64URL(SHA256(ASCII(code_verifier))), without padding.
        digest = urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")
        return {"code_challenge": digest, "code_challenge_method": self.code_challenge_method}

    @property
    def _made_for(self) -> str:
        # A code and its verifier go to nobody else than the server that the person has seen.
        named = [self._authorize_url, self.url(self.login_path), self.login_asks, self.binding]
        return sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()

    @property
    def _authorize_url(self) -> str:
        return self.endpoint(self.authorize_path)

    @property
    def _issuer(self) -> str:
        return self.endpoint(self.issuer) if self.issuer else ""

    def _check_requests(self) -> Iterable[str]:
        yield from super()._check_requests()
        if self.code_challenge_method not in {"S256", ""}:
            yield f"code_challenge_method must be 'S256' or empty, not {self.code_challenge_method!r}"
        if ours := sorted(_OURS & self.authorize_params.keys()):
            yield f"authorize_params can't contain {', '.join(ours)}, which the app sets"
        if self.redirect_uri and not _may_lead_back(self.redirect_uri):
            yield "redirect_uri must be an http:// or https:// URL without a fragment"
        if self.requires_iss and not self.issuer:
            yield "requires_iss needs issuer, with which iss is compared"
        for name in ("authorize_path", "issuer"):
            if all(self._texts[option] for option in self._located_by(name)):
                yield from self._check_path(name, getattr(self, name))


def _may_lead_back(redirect_uri: str) -> bool:
    return is_web_address(redirect_uri) and "#" not in redirect_uri


def _with_query(url: str, query: Mapping[str, str]) -> str:
    # A query that the endpoint has already must be retained (RFC 6749, section 3.1).
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, urlencode(query)])), fragment=""))
