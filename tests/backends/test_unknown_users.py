"""A login with a name that the upstream doesn't know is a refused login; the same said to a refresh is a lost user."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_upstream.backends import (
    Auth0Backend,
    Backend,
    CognitoBackend,
    DRFJWTBackend,
    FirebaseBackend,
    GitHubBackend,
    LexikBackend,
    SlackBackend,
    SupabaseBackend,
)
from jwt_upstream.testing import answer
from tests.support.wire_cases import KINDS, made

UNKNOWN: list[tuple[int, Any]] = [
    (400, {"detail": "User not found."}),
    (400, {"error": "Unknown email address. Check again or try your username."}),
    (400, {"message": "Username could not be found."}),
    (400, {"message": "Email address does not exist"}),
    (400, {"message": "We couldn't find an account with that username"}),
    (400, {"non_field_errors": ["No user with this email."]}),
    (404, {"code": "ACCOUNT_NOT_FOUND"}),
    (404, {"detail": "No account found with this e-mail address."}),
    (404, {"error": "no such user"}),
    (404, {"message": "User with email bob@example.com not found"}),
    (404, {"message": "Unable to find user"}),
    (422, {"errors": [{"message": "This email is not registered"}]}),
]
OTHER: list[tuple[int, Any]] = [
    (404, {"detail": "Not found."}),
    (404, {"message": "Cannot POST /user/login"}),
    (404, {"message": "The requested URL /account/login was not found on this server."}),
    (404, {"message": "The route api/login could not be found."}),
    (404, {"message": "Tenant not found"}),
    (400, {"message": "Column 'email' not found in table users"}),
    (400, {"message": "Email is required"}),
]


def test_unknown_user() -> None:
    """Whatever words a server has for it, no backend takes it for a locked account.

    Nor for wrong settings, unless nothing else is sent.
    """
    for kind in KINDS:
        expected = "CONFIG" if made(kind).is_unattended else "REJECTED"
        for status, body in UNKNOWN:
            assert made(kind).verdict("login", answer(status, body=body)).name == expected, (kind, body)


def test_what_else_is_not_found() -> None:
    """A path, a tenant or a field that is not found is no user: the settings are wrong."""
    for kind in KINDS:
        for status, body in OTHER:
            assert made(kind).verdict("login", answer(status, body=body)).name == "CONFIG", (kind, body)


def coded(code: str) -> dict[str, Any]:
    """The body of a refusal by Firebase."""
    return {"error": {"code": 400, "message": code}}


@pytest.mark.parametrize(
    ("kind", "status", "body", "at_refresh"),
    [
        (LexikBackend, 401, {"code": 401, "message": "Username could not be found."}, "LOCKED"),
        (LexikBackend, 401, {"code": 401, "message": "Your user account no longer exists."}, "LOCKED"),
        (DRFJWTBackend, 400, {"non_field_errors": ["User doesn't exist."]}, "LOCKED"),
        (
            CognitoBackend,
            400,
            {"__type": "UserNotFoundException", "message": "Username/client id not found."},
            "LOCKED",
        ),
        (FirebaseBackend, 400, coded("USER_NOT_FOUND"), "LOCKED"),
        (FirebaseBackend, 400, coded("EMAIL_NOT_FOUND"), "CONFIG"),
        (SupabaseBackend, 403, {"error_code": "user_not_found", "msg": "User not found"}, "LOCKED"),
        (GitHubBackend, 200, {"error": "unverified_user_email"}, "LOCKED"),
        (SlackBackend, 200, {"ok": False, "error": "user_email_unverified"}, "TRANSIENT"),
        (
            Auth0Backend,
            401,
            {"error": "unauthorized", "error_description": "Please verify your email before logging in."},
            "LOCKED",
        ),
    ],
)
def test_codes(kind: type[Backend], status: int, body: Any, at_refresh: str) -> None:
    """By a server's own codes too: whoever logs in has misspelled a name, or has an address to verify."""
    response = answer(status, body=body)
    backend = made(kind)
    assert (backend.verdict("login", response).name, backend.verdict("refresh", response).name) == (
        "REJECTED",
        at_refresh,
    )
