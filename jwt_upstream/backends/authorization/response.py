"""The answer of an authorization endpoint: the URL that it redirects a browser to (RFC 6749, 4.1.2; RFC 9207)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hmac import compare_digest
from typing import NoReturn
from urllib.parse import parse_qs, urlsplit

from jwt_upstream.backends.core import Verdict, origin, shown
from jwt_upstream.tokens import OwnCopy, Unshown

#: Web servers take no longer URLs, and nobody's code is longer.
_MAX_CHARACTERS = 16 * 1024
_ONCE = ("state", "code", "iss", "error", "error_description")
#: What each error means (RFC 6749, section 4.1.2.1; OpenID Connect Core, section 3.1.2.6), and the verdict.
_ERRORS = {
    "access_denied": (Verdict.REJECTED, "access was denied, by the person or by the server"),
    "login_required": (Verdict.REJECTED, "the server wants the person to log in there first"),
    "interaction_required": (Verdict.REJECTED, "the server wants to ask the person something"),
    "consent_required": (Verdict.REJECTED, "the server wants the person's consent"),
    "account_selection_required": (Verdict.REJECTED, "the server wants the person to choose an account"),
    "server_error": (Verdict.TRANSIENT, "the server failed"),
    "temporarily_unavailable": (Verdict.TRANSIENT, "the server is overloaded or in maintenance"),
    "invalid_request": (Verdict.CONFIG, "the server doesn't understand the request; see authorize_params in OPTIONS"),
    "unauthorized_client": (Verdict.CONFIG, "this client may not get a code; see its registration at the server"),
    "unsupported_response_type": (Verdict.CONFIG, "the server gives no codes"),
    "invalid_scope": (Verdict.CONFIG, "the scope in OPTIONS is unknown or not allowed to this client"),
    # GitHub's, which redirects to the first URI that is registered.
    "redirect_uri_mismatch": (Verdict.CONFIG, "the redirect URI is not registered at the server"),
    "application_suspended": (Verdict.CONFIG, "the server has suspended the application"),
}
_UNKNOWN = (Verdict.REJECTED, "the server refused")
_AGAIN = "begin the login again"
SETTINGS_CHANGED = f"the settings name another server, client or scope than when the login was begun; {_AGAIN}"


class _InSlots(OwnCopy):
    __slots__ = ("code",)


@dataclass(frozen=True, init=False, eq=False)
class AuthorizationResponse(_InSlots):
    """What a redirect brought: a ``code`` with ``OK``, or else a ``reason``, which contains no secret.

    The verdict is ``REJECTED`` for a redirect that isn't the answer to this login, or says that a person or the server
    refused; ``CONFIG`` if settings or the registration are wrong; ``TRANSIENT`` if it may work later.
    """

    verdict: Verdict
    reason: str = ""
    code: Unshown[str] = ""

    def __init__(self, verdict: Verdict, reason: str = "", code: str = "") -> None:
        for name, value in {"verdict": verdict, "reason": reason, "code": code}.items():
            object.__setattr__(self, name, value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AuthorizationResponse holds a code and can't be pickled")


del AuthorizationResponse.code


def read(
    redirected: str, state: str, issuer: str, endpoint: str, requires_iss: bool, secrets: Iterable[str]
) -> AuthorizationResponse:
    """Return what the URL says, checked against the ``state`` that was sent and the server that it was sent to."""
    given, problem = _parameters(redirected)
    secrets = [*secrets, given.get("code", "")]  # which an error may quote
    problem = problem or _foreign(given, state) or _mixed_up(given, issuer, endpoint, requires_iss, secrets)
    if problem:
        return AuthorizationResponse(Verdict.REJECTED, problem)
    if "error" in given:
        return _refused(given, secrets)
    if not given.get("code"):
        return AuthorizationResponse(Verdict.REJECTED, f"the redirected URL has neither a code nor an error; {_AGAIN}")
    return AuthorizationResponse(Verdict.OK, code=given["code"])


def is_answer(redirected: str, state: str) -> bool:
    """Tell whether a URL has the ``state`` that was sent, whatever else it says."""
    given, problem = _parameters(redirected)
    return not (problem or _foreign(given, state))


def _parameters(redirected: str) -> tuple[dict[str, str], str]:
    text = redirected.strip()
    if len(text) > _MAX_CHARACTERS:
        return {}, "the redirected URL is too long"
    try:
        query = urlsplit(text).query or ("" if "?" in text or "/" in text else text)
        values = parse_qs(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return {}, "the redirected URL can't be read"
    # "Request and response parameters MUST NOT be included more than once" (section 3.1).
    if repeated := [name for name in _ONCE if len(values.get(name, ())) > 1]:
        return {}, f"the redirected URL has more than one {' and '.join(repeated)}"
    if not values.keys() & {*_ONCE}:
        return {}, "this is not the whole URL that the browser was redirected to, which has ?code=…&state=…"
    return {name: each[0] for name, each in values.items()}, ""


def _foreign(given: dict[str, str], state: str) -> str:
    if not given.get("state"):
        return f"the redirected URL has no state, so it may be another login's; {_AGAIN}"
    if not compare_digest(given["state"].encode(errors="replace"), state.encode()):
        return f"the redirected URL belongs to another login, since its state is another; {_AGAIN}"
    return ""


def _mixed_up(given: dict[str, str], issuer: str, endpoint: str, requires_iss: bool, secrets: Iterable[str]) -> str:
    """Say if the redirect comes from another server than the one that was asked (RFC 9207, section 2.4)."""
    iss = given.get("iss")
    if iss is None:
        return f"the redirected URL has no iss, which this server always sends; {_AGAIN}" if requires_iss else ""
    is_right = compare_digest(iss.encode(errors="replace"), issuer.encode()) if issuer else _has_origin(iss, endpoint)
    if is_right:
        return ""
    expected = f"is not {issuer}" if issuer else "is on another host than the authorization endpoint"
    return (
        f"the redirected URL comes from another server: its iss, {shown(iss, secrets)}, {expected}. If that is this "
        "server's own, set issuer in OPTIONS"
    )


def _has_origin(iss: str, endpoint: str) -> bool:
    try:
        return origin(iss) == origin(endpoint)
    except ValueError:
        return False


def _refused(given: dict[str, str], secrets: Iterable[str]) -> AuthorizationResponse:
    verdict, meaning = _ERRORS.get(given["error"], _UNKNOWN)
    description = shown(given.get("error_description", ""), secrets)
    said = shown(given["error"], secrets) + (f": {description}" if description else "")
    return AuthorizationResponse(verdict, f"{meaning} ({said})")
