"""What backends that know nothing of a server make of its answers, of gateways' in front of it, and of firewalls'."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_upstream.backends import (
    Backend,
)
from jwt_upstream.testing import answer

BACKEND = Backend("up", "https://up.example.com/")


def verdict(where: Any, status: int, body: Any = "", **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return BACKEND.verdict(where, answer(status, named, body)).name


#: Sentences and codes that say what is wrong with what we sent.
REFUSED = [
    *("Invalid credentials.", "invalid email or password", "Unauthorized", "unauthorised", "no", "User not found"),
    *("Token has expired", "Refresh token not found", "JWT Refresh Token Not Found", "Token is blacklisted"),
    *("Missing or invalid refresh token", "A valid refresh token is required", "Your session has timed out"),
    *("No session found", "No active account found for the given token.", "Account token has expired"),
    *("You have one more attempt before your account is locked.", "The refresh token is invalid.", "Invalid token."),
]


@pytest.mark.parametrize("said", REFUSED)
@pytest.mark.parametrize("field", ["message", "detail", "error", "msg"])
def test_refused(said: str, field: str) -> None:
    """A refusal of the token itself is one, wherever in the answer the words stand."""
    assert verdict("refresh", 401, {field: said}) == "REJECTED"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "Invalid refresh token"),
        (400, "INVALID_REFRESH_TOKEN"),
        (400, "Token has expired."),
        (422, "refresh_token_already_used"),
        (400, "Refresh has expired."),
    ],
)
def test_refused_as_bad_request(status: int, said: str) -> None:
    """Servers which call a dead refresh token a bad request are believed if they say so of the refresh token."""
    assert verdict("refresh", status, {"message": said}) == "REJECTED"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "Incorrect username or password"),
        (400, "LOGIN_BAD_CREDENTIALS"),
        (404, "Invalid username/password."),
        (404, "User not found"),
        (400, "Unable to log in with provided credentials."),
        (422, "These credentials do not match our records."),
        (401, "MFA required"),
        (401, "Two-factor token is required"),
    ],
)
def test_login_refused(status: int, said: str) -> None:
    """A wrong password is one by whatever status, and so is one that is not enough."""
    assert verdict("login", status, {"error": said}) == "REJECTED"


ABOUT_US = [
    # who calls
    (401, "Access denied due to missing subscription key. Make sure to include subscription key when making requests"),
    (401, "Invalid ApiKey"),
    (401, "No API key found in request"),
    (403, "Your IP address is not allowed"),
    (403, "CSRF Failed: CSRF token missing."),
    (401, "Missing CSRF token"),
    (403, "captcha required"),
    (401, "Invalid client secret"),
    # what we sent
    (401, "Missing Authorization Header"),
    (401, "No auth token"),
    (401, "No authorization token was found"),
    (401, "Format is Authorization: Bearer [token]"),
    (401, "Refresh token is required"),
    (401, "Refresh token not found in cookies"),
    (401, "Authentication credentials were not provided."),
    (401, "Full authentication is required to access this resource"),
    (401, "Invalid content-type. Must be application/json."),
    (403, 'Method "POST" not allowed.'),
    (401, "Tenant not found"),
    (403, "unknown realm"),
    (401, "jwt must be provided"),
    (401, "Request signature invalid"),
    (403, "Request blocked by security policy"),
    (403, "Access from your country is not allowed"),
    # where we knocked
    (403, "This action is unauthorized."),
    (403, "Missing Authentication Token"),
    (403, "Forbidden"),
    (403, "Forbidden resource"),
    (403, "Access Denied"),
    (403, "unauthorized"),
    (403, "You do not have permission to perform this action."),
    (403, "You cannot consume this service"),
    (403, "User is not authorized to access this resource with an explicit deny"),
    (401, "mfa_required"),
]


@pytest.mark.parametrize(("status", "said"), ABOUT_US)
def test_refusal_about_us(status: int, said: str) -> None:
    """A refusal of the caller, the request or the path is a matter of settings and leaves the credential alone."""
    assert verdict("refresh", status, {"message": said}) == "CONFIG"


def test_gateways_by_their_marks() -> None:
    """Gateways that mark their own answers are not taken for the token endpoint behind them."""
    body = {"message": "Unauthorized"}
    assert verdict("refresh", 401, body) == "REJECTED"
    assert verdict("refresh", 401, body, x_amzn_ErrorType="UnauthorizedException") == "CONFIG"
    assert verdict("refresh", 401, body, X_Kong_Response_Latency="1") == "CONFIG"
    assert verdict("refresh", 401, "", WWW_Authenticate='Key realm="kong"') == "CONFIG"
    assert verdict("refresh", 401, "", WWW_Authenticate="Bearer resource_metadata=https://up/x") == "CONFIG"
    assert verdict("refresh", 403, {"cloudflare_error": True, "title": "Error 1020: Access denied"}) == "CONFIG"
    assert verdict("refresh", 403, {"url": "https://geo.captcha-delivery.com/captcha/?initialCid=x"}) == "CONFIG"
    assert verdict("refresh", 403, {"blockScript": "/PXabc/captcha/captcha.js", "appId": "PXabc"}) == "CONFIG"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "Too many failed login attempts, please try again in 1 minute."),
        (403, "Out of call volume quota. Quota will be replenished in 00:10:00."),
        (403, "API rate limit exceeded for 192.0.2.1."),
        (422, "Too many login attempts. Please try again in 59 seconds."),
        (401, "Your account is locked due to multiple failed login attempts. Please try again after 5 minute(s)"),
        (401, "Your account is temporarily locked."),
        (400, "Down for maintenance"),
        (401, "Could not connect to the database"),
        (401, "Zu viele Versuche, bitte später noch einmal"),
        (401, "Internal server error"),
    ],
)
def test_busy(status: int, said: str) -> None:
    """What time heals is not given up, by whatever status it comes."""
    for where in ("login", "refresh"):
        assert verdict(where, status, {"message": said}) == "TRANSIENT"


@pytest.mark.parametrize("header", ["X-RateLimit-Remaining", "RateLimit-Remaining"])
def test_busy_by_header(header: str) -> None:
    """A refusal with no requests left is taken for a rate limit."""
    assert verdict("refresh", 403, {"message": "no"}, **{header: "0"}) == "TRANSIENT"
    assert verdict("refresh", 403, {"message": "no"}, **{header: "10"}) == "REJECTED"


STATES = [
    *("Your account is locked.", "User account is disabled.", "account_inactive", "Inactive user", "USER_DISABLED"),
    *("Account has expired", "The user bob@example.com has been suspended.", "Sorry, your account was deleted"),
]


@pytest.mark.parametrize("said", STATES)
def test_account(said: str) -> None:
    """The account's state, said in a whole sentence or code, locks the credential."""
    for status in (400, 401, 403):
        assert verdict("login", status, {"detail": said}) == verdict("refresh", status, {"detail": said}) == "LOCKED"


@pytest.mark.parametrize(
    "said",
    [
        *(
            "Account is disabled.",
            "Your account has been suspended.",
            "User is blocked",
            "Sorry. Your account was deleted",
        ),
        *("User account is disabled.", "ACCOUNT IS LOCKED!", "Account has expired"),
    ],
)
@pytest.mark.parametrize("body", ["message", "detail", "msg"])
def test_account_that_calls(said: str, body: str) -> None:
    """A 401 whose whole message says what has become of the account locks, and no other status does."""
    assert verdict("api", 401, {body: said}) == "LOCKED"
    for status in (200, 400, 403, 404, 409, 410, 422, 423):
        assert verdict("api", status, {body: said}) in {"OK", "PASS"}


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Account is locked for editing by bob."},
        {"message": "Account is disabled: order 5"},
        {"message": "The user bob@example.com has been suspended."},
        {"detail": "This account is closed."},
        {"detail": "Inactive user"},
        {"error": "account_locked", "message": "Account of bob is locked."},
        {"title": "Account is locked", "detail": "bob edits it."},
        {"message": "User not found"},
        {"message": "Invalid credentials."},
    ],
)
def test_account_of_somebody_else(body: Any) -> None:
    """A 401 that may be about somebody else's account costs a refresh, which finds out."""
    assert verdict("api", 401, body) == "EXPIRED"


@pytest.mark.parametrize(
    "said",
    [
        "E-mail is not verified.",
        "LOGIN_USER_NOT_VERIFIED",
        "Your account is not activated yet.",
        "Email not confirmed",
    ],
)
def test_unconfirmed(said: str) -> None:
    """An account that waits to be confirmed is locked, since it needs a human."""
    assert verdict("login", 400, {"detail": said}) == "LOCKED"


@pytest.mark.parametrize("said", ["Document is locked", "The account is being edited by bob", "Account locked"])
def test_other_locks(said: str) -> None:
    """A 423 is the caller's business: by RFC 4918 it is about what was asked for."""
    assert verdict("api", 423, {"detail": said}) == "PASS"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, {"message": "No API key found in request"}, "PASS"),
        (401, {"message": "Invalid API key or access token"}, "EXPIRED"),
        (401, {"msg": "Fresh token required"}, "PASS"),
        (401, {"message": "Session expired, please try again later"}, "EXPIRED"),
        (401, {"message": "Too many requests"}, "PASS"),
        (401, {"error": "Not enough or too many segments"}, "EXPIRED"),
        (401, {"msg": "Missing CSRF token"}, "PASS"),
        (403, {"message": "The access token provided has expired"}, "PASS"),
        (403, {"message": "Token expired."}, "PASS"),
        (403, {"detail": "Authentication credentials were not provided."}, "PASS"),
        (403, {"message": "Forbidden"}, "PASS"),
        (403, {"message": "invalid csrf token"}, "PASS"),
        (400, {"code": 209, "error": "Invalid session token"}, "PASS"),
        (422, {"error": "jwt expired"}, "PASS"),
        (400, {"message": "Invalid access token."}, "PASS"),
        (422, {"message": "Invalid coupon token"}, "PASS"),
        (498, {"error": "expired", "data": {"field": "code"}}, "PASS"),
        (440, {"error": "Session expired!"}, "PASS"),
        (419, {"message": "CSRF token mismatch."}, "PASS"),
    ],
)
def test_calls(status: int, body: Any, expected: str) -> None:
    """A call is repeated at a 401 that another token could help; other statuses may be about other tokens."""
    assert verdict("api", status, body) == expected


@pytest.mark.parametrize("challenge", ['Basic realm="wall"', "Negotiate", "NTLM", 'Digest realm="x"', "Key"])
def test_challenges_no_token_answers(challenge: str) -> None:
    """A 401 that asks for something else than a token does not cost a refresh, unless it takes a token too."""
    for body in ("", {"detail": "Invalid username/password."}, {"error": "Unauthorized"}):
        assert verdict("api", 401, body, WWW_Authenticate=challenge) == "PASS"
    assert verdict("api", 401, "", WWW_Authenticate=f"{challenge}, Bearer") == "EXPIRED"


@pytest.mark.parametrize("challenge", ['Basic realm="api"', "Negotiate", 'Digest realm="x"', "ApiKey"])
@pytest.mark.parametrize(
    "body",
    [
        {"detail": "Given token not valid for any token type", "code": "token_not_valid"},
        {"code": "token_not_valid"},
        {"message": "Expired JWT Token"},
        {"detail": "Signature has expired."},
        {"error": {"code": "InvalidAuthenticationToken"}},
        {"errors": ["Your session has expired"]},
    ],
)
def test_challenge_beside_words_about_a_token(challenge: str, body: Any) -> None:
    """A challenge outranks no word about the token: a server that takes several sends that of the first."""
    assert verdict("api", 401, body, WWW_Authenticate=challenge) == "EXPIRED"


def test_api_defaults() -> None:
    """Challenges tell whether another token would help."""
    assert verdict("api", 401, WWW_Authenticate='Basic realm="x"') == "PASS"
    assert verdict("api", 403, WWW_Authenticate='Bearer error="invalid_token"') == "EXPIRED"
    assert verdict("api", 403, WWW_Authenticate='Bearer error="insufficient_scope"') == "PASS"
    assert verdict("api", 500) == "PASS"
    assert verdict("api", 204) == "OK"


def test_wall_of_a_proxy_that_speaks_json() -> None:
    """A challenge for Basic only comes from a proxy's wall, in JSON too, and says nothing of the token."""
    assert verdict("refresh", 401, {"error": "Unauthorized"}, WWW_Authenticate='Basic realm="x"') == "CONFIG"


@pytest.mark.parametrize("said", ["Token is invalid or expired", "Token has expired.", "Invalid refresh token"])
def test_dead_refresh_token_beside_another_challenge(said: str) -> None:
    """Words about the token outrank the challenge of another way to authenticate, at a refresh as well."""
    assert verdict("refresh", 401, {"detail": said}, WWW_Authenticate='Basic realm="api"') == "REJECTED"


def test_wrong_password_please_try_again() -> None:
    """A phrase of politeness is no rate limit."""
    assert verdict("login", 401, {"message": "Wrong password, try again."}) == "REJECTED"
    assert verdict("login", 401, {"message": "Try again later."}) == "TRANSIENT"
