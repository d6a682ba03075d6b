"""Rails with devise-jwt."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict

_LOCKED = (
    r"^(Your account is (locked|not activated yet)\.|You have to confirm your email address before continuing\."
    r"|nil user)$"
)


class DeviseBackend(Backend):
    """devise-jwt; checked against the source of devise-jwt 0.13, warden-jwt_auth 0.12 and Devise 4.8 and 5.0.

    The token is in the response's ``Authorization`` header. It can't be refreshed: configure ``LOGIN``, or log in
    again when it expires.
    """

    login_path = "users/sign_in"
    login_fields = {"user": {"email": "{username}", "password": "{password}"}}
    revoke_path = "./sign_out"  # devise-jwt's README, "Revocation requests"; does nothing with the Null strategy
    revoke_method = "DELETE"
    revoke_headers = {"Authorization": "Bearer {access}"}
    access_paths = ("header:Authorization",)
    refresh_paths = ()
    rules = (
        # Devise's messages (config/locales/en.yml); a call gets them once its token's user was loaded, and the last if
        # there is none (warden-jwt_auth, user_decoder.rb).
        Rule(Verdict.LOCKED, json="error", status=(401,), pattern=_LOCKED),
        # Devise doesn't recognize a login whose fields have other names.
        Rule(Verdict.CONFIG, ("login",), (401,), json="error", pattern=r"^You need to sign in or sign up"),
    )
