"""A refresh token that is dead is recognized however a server says so, and nothing else is taken for one."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_upstream.backends import Backend, OAuth2Backend, Verdict
from jwt_upstream.testing import answer
from tests.support.wire_cases import KINDS, made

BACKENDS = [made(Backend), made(OAuth2Backend)]
GIVES_UP = {Verdict.REJECTED, Verdict.LOCKED}
STATUSES = (200, 400, 401, 403, 404, 409, 410, 419, 422, 423, 440, 498, 500)

#: Sentences and codes of servers, tutorials and frameworks.
DEAD = [
    *("refresh_token is invalid", "The refresh token is invalid.", "The refresh token has expired"),
    *("Refresh token revoked by the user", "Invalid refresh token", "invalid refreshToken", "Invalid refresh_token"),
    *("Unauthorized: Refresh token expired", "Refresh token not found", "Refresh token does not exist"),
    *("Refresh token doesn't exist", "No such refresh token", "Refresh token was not found"),
    *("Refresh token is not in database!", "Refresh token was expired. Please make a new signin request"),
    *("Invalid or expired refresh token", "Invalid, expired or revoked refresh token", "Unknown refresh token"),
    *("Refresh token is invalid or expired", "Refresh token has been revoked", "Refresh token is blacklisted"),
    *("Refresh token has already been used", "Refresh token already used", "Refresh token reuse detected"),
    *("The provided refresh token is no longer valid", "The refresh token you sent is invalid"),
    *("Your refresh token has been revoked. Please log in again.", "Sorry, your refresh token has expired"),
    *("Invalid refresh token provided", "Invalid refresh token (expired)", "Invalid refresh token: token expired"),
    *("Bad Request: Invalid refresh token", "Refresh token expired, login required", "JWT refresh token expired"),
    *("Refresh token could not be found", "Refresh token has expired due to inactivity"),
    *("Failed to refresh: refresh token expired", "Refresh token not recognised", "Refresh token is not valid!"),
    *(
        "Refresh token has not been found",
        "Refresh token is either invalid or expired",
        "Could not find refresh token",
    ),
    *("Refresh token reuse has been detected", "The OAuth 2.0 refresh token is invalid", "Incorrect refresh token"),
    *("Refresh token 'abc' is invalid", "Refresh token (abc) not found", "Invalid or already used refresh token"),
    *("Refresh token already redeemed", "Refresh token has expired at 2026-01-01", "Refresh token rejected"),
    *("INVALID_REFRESH_TOKEN", "REFRESH_TOKEN_EXPIRED", "refresh_token_reused", "refresh_token_already_used"),
    *("RefreshTokenExpired", "InvalidRefreshTokenException", "RefreshTokenReuseException", "RefreshTokenNotFound"),
    *("RefreshTokenAlreadyUsed", "auth/refresh-token-expired", "ERR_REFRESH_TOKEN_REVOKED", "refresh.token.invalid"),
    *("error.refresh_token.expired", "invalid_or_expired_refresh_token", "E_INVALID_REFRESH_TOKEN"),
    *("Refresh-Token ist abgelaufen", "Der Refresh Token ist ungültig.", "Le refresh token est invalide"),
    *("Jeton de rafraîchissement expiré", "El refresh token ha caducado", "Refresh token inválido"),
    *("El token de actualización no es válido", "O refresh token expirou", "Il refresh token è scaduto"),
    *(
        "Refresh token is verlopen",
        "刷新令牌无效",
        "リフレッシュトークンが無効です",
        "Токен обновления недействителен",
    ),
]

#: What is about the request, the client or the server, in words that are much the same.
ALIVE = [
    *("missing refresh token in the request", "Missing refresh token", "Refresh token is required"),
    *("No refresh token provided", "No refresh token found", "refresh_token is a required field"),
    *("Refresh token not found in cookies", "Refresh token not found in request body", "Invalid refresh token header"),
    *("invalid refresh token request: client_id mismatch", "Invalid refresh token parameter"),
    *("Invalid refresh token or client id", "Refresh token is invalid for this client", "Invalid refresh token type"),
    *("Refresh token was issued to another client", "Invalid client or refresh token", "Invalid refresh token grant"),
    *("refresh token service unavailable", "Unable to verify refresh token: database timeout"),
    *("Refresh token validation failed: connection refused", "Cannot check whether refresh token is expired"),
    *("Could not check refresh token: invalid response from store", "Refresh token store not found"),
    *("Refresh token cannot be revoked while the service is in maintenance", "Too many refresh token requests"),
    *("Invalid refresh token, try again later", "Internal error: refresh token not found", "refresh"),
    *("The refresh token is invalid because the redis server is down", "refresh token rate limit exceeded"),
    *("refresh token grant is not allowed", "Refresh token rotation is enabled", "Refresh token is valid"),
    *("Refresh token: invalid scope", "Refresh token audience is invalid", "Refresh token lifetime is invalid"),
    *("refresh token expires in 3600 seconds", "Invalid token", "Refresh token used from an unknown IP"),
    *("Invalid refresh token signing key configuration", "Refresh token is invalid in this environment"),
    *("Refresh token not expired", "Refresh token is not revoked", "Refresh token must not be expired"),
    *("Refresh token mismatch", "Refresh token table not found", "Refresh token unknown host", "Refresh token found"),
    *("Please check if your refresh token has expired", "El refresh token es válido", "The request is invalid"),
    *("Invalid CSRF token, refresh the page", "CSRF token expired. Refresh page", "invalid_request"),
]

#: Where an answer may say it; the text is filled in.
PLACES: list[Any] = [
    *({"error": "{}"}, {"message": "{}"}, {"detail": "{}"}, {"errors": ["{}"]}, {"errors": [{"message": "{}"}]}),
    {"error": "unauthorized_client", "error_description": "{}"},
    {"error": "invalid_request", "error_description": "Bad request", "hint": "{}"},
    {"error": {"code": 400, "error": "invalid_request", "message": "{}"}},
    {"refresh_token": ["{}"]},
    {"success": False, "data": {"message": "{}"}},
    "{}",
]


def filled(place: Any, text: str) -> Any:
    if isinstance(place, dict):
        return {name: filled(value, text) for name, value in place.items()}
    if isinstance(place, list):
        return [filled(value, text) for value in place]
    return text if place == "{}" else place


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("backend", BACKENDS, ids=repr)
def test_dead(backend: Backend, place: Any) -> None:
    """Words about the refresh token outrank the code and the status beside them, wherever they stand."""
    missed = [
        text
        for text in DEAD
        if backend.verdict("refresh", answer(400, body=filled(place, text))) is not Verdict.REJECTED
    ]
    assert missed == []
    said = {status: backend.verdict("refresh", answer(status, body=filled(place, DEAD[0]))) for status in STATUSES}
    assert said == dict.fromkeys(STATUSES, Verdict.REJECTED)


@pytest.mark.parametrize("backend", BACKENDS, ids=repr)
def test_not_dead(backend: Backend) -> None:
    """What is missing, mistaken for another client's, or failing is no word about the refresh token."""
    asked = [(400, place) for place in PLACES]
    asked += [(status, PLACES[1]) for status in STATUSES if status not in {401, 403}]
    wrong = [
        (status, place, text)
        for text in ALIVE
        for status, place in asked
        if backend.verdict("refresh", answer(status, body=filled(place, text))) in GIVES_UP
    ]
    assert wrong == []


@pytest.mark.parametrize("status", [401, 403])
def test_other_code(status: int) -> None:
    """Nor does OAuth 2 give up the refresh token for such words with a code of its own and another status."""
    place = {"error": "invalid_request", "error_description": "{}"}
    verdicts = {
        text: made(OAuth2Backend).verdict("refresh", answer(status, body=filled(place, text))) for text in ALIVE
    }
    assert [text for text, verdict in verdicts.items() if verdict in GIVES_UP] == []


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "text",
    [
        *("missing refresh token in the request", "Refresh token is required", "No refresh token provided"),
        *("refresh_token is a required field", "invalid refresh token request: client_id mismatch"),
        *("Invalid refresh token parameter", "Refresh token is invalid for this client", "No refresh token found"),
        *("Refresh token was issued to another client", "refresh token grant is not allowed"),
        *("refresh token service unavailable", "Unable to verify refresh token: database timeout"),
        *("Cannot check whether refresh token is expired", "Refresh token validation failed: connection lost"),
        *("Could not check refresh token: invalid response from store", "Too many refresh token requests"),
        "The refresh token is invalid because the redis server is down",
    ],
)
def test_refusal_that_is_none(status: int, text: str) -> None:
    """A 401 or 403, which means a dead refresh token by itself, does not with words that blame something else."""
    assert made(Backend).verdict("refresh", answer(status, body={"message": text})) not in GIVES_UP


@pytest.mark.parametrize("backend", BACKENDS, ids=repr)
@pytest.mark.parametrize("text", ["Invalid refresh token", "invalid_grant"])
def test_server_in_trouble(backend: Backend, text: str) -> None:
    """A server that is overloaded, a gateway and a page reject nothing, whatever their words."""
    answers = [answer(status, body={"error": text}) for status in (408, 425, 429, 502, 503, 504)]
    answers += [answer(status, {"Content-Type": "text/html"}, f"<p>{text}</p>") for status in STATUSES]
    assert GIVES_UP.isdisjoint(backend.verdict("refresh", response) for response in answers)


@pytest.mark.parametrize("status", STATUSES)
def test_rate_limit(status: int) -> None:
    """Nor does whoever asks for patience, or has no requests left."""
    body = {"message": "Invalid refresh token"}
    for backend in BACKENDS:
        assert backend.verdict("refresh", answer(status, {"Retry-After": "5"}, body)) is Verdict.TRANSIENT
    limited = answer(403, {"X-RateLimit-Remaining": "0"}, body)
    assert made(Backend).verdict("refresh", limited) is Verdict.TRANSIENT


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    "body", [{"error": "invalid_grant"}, {"error": {"code": "invalid_grant"}}, {"message": "invalid_grant"}]
)
def test_invalid_grant(status: int, body: Any) -> None:
    """The code of OAuth 2 for it is believed by whatever status, unless its description means something else."""
    for backend in BACKENDS:
        assert backend.verdict("refresh", answer(status, body=body)) is Verdict.REJECTED
        said = {"error": "invalid_grant", "error_description": "A transient error has occurred"}
        assert backend.verdict("refresh", answer(status, body=said)) is Verdict.TRANSIENT


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, {"message": "Session not found"}, "REJECTED"),
        (403, {"error_code": "session_not_found", "msg": "no"}, "REJECTED"),
        (400, {"error": "grant_not_found"}, "REJECTED"),
        (401, {"error": "x", "message": "Token has been revoked"}, "REJECTED"),
        (403, {"error": "x", "message": "Token is blacklisted"}, "REJECTED"),
        (410, {"error": "token_expired"}, "REJECTED"),
        (401, {"error": "x", "message": "Token reuse detected"}, "REJECTED"),
        (422, {"errors": [{"message": "Token is invalid or expired"}]}, "REJECTED"),
        (400, {"message": "Invalid or expired token."}, "REJECTED"),
        (440, {"message": "Your session has expired"}, "REJECTED"),
        (401, {"error": "invalid_client", "error_description": "JWT has expired"}, "CONFIG"),  # the client's assertion
        (400, {"message": "CSRF token has expired"}, "CONFIG"),
        (400, {"message": "The access token has expired"}, "CONFIG"),
        (400, {"error": "auth_token_expired"}, "CONFIG"),
        (404, {"message": "Tenant session not found"}, "CONFIG"),
        (404, {"message": "Not found"}, "CONFIG"),
        (500, {"message": "Token expired"}, "TRANSIENT"),
        (200, {"message": "Session expired"}, "TRANSIENT"),
    ],
)
def test_token_of_no_kind(status: int, body: Any, expected: str) -> None:
    """A token or session of no kind is the refresh token where a refusal is meant, since no other was sent."""
    for backend in BACKENDS:
        assert backend.verdict("refresh", answer(status, body=body)).name == expected


def test_challenge() -> None:
    """The code may stand in a challenge only, as it may for an access token (RFC 6750, section 3)."""
    challenge = {"WWW-Authenticate": 'Bearer realm="up", error="invalid_grant"'}
    assert {backend.verdict("refresh", answer(400, challenge)) for backend in BACKENDS} == {Verdict.REJECTED}


def test_new_pair() -> None:
    """What is said of the old refresh token beside a new pair costs nothing."""
    body = {"access_token": "a2", "refresh_token": "r2", "message": "The old refresh token has been revoked"}
    for backend in map(made, KINDS):
        if "access_token" in backend.access_paths:
            assert backend.verdict("refresh", answer(200, body=body)) is Verdict.OK
