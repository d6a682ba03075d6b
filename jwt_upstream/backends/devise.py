"""Rails with devise-jwt."""

from __future__ import annotations

from .base import Backend
from .core import Rule, Verdict


class DeviseBackend(Backend):
    """devise-jwt; checked against the source of devise-jwt 0.13, warden-jwt_auth 0.12 and Devise 4.8 and 5.0.

    The token comes in the response's ``Authorization`` header. There is no refresh: give the upstream a ``LOGIN``, or
    log in again when the token ends.
    """

    login_path = "users/sign_in"
    login_fields = {"user": {"email": "{username}", "password": "{password}"}}
    access_paths = ("header:Authorization",)
    refresh_paths = ()
    rules = (
        # Devise's texts (config/locales/en.yml); of a token they come once its user is loaded.
        Rule(
            Verdict.LOCKED,
            json="error",
            status=(401,),
            pattern=r"^Your account is (locked|not activated yet)|^You have to confirm your email|^nil user$",
        ),
        # A login that names its fields otherwise is no login to Devise.
        Rule(Verdict.CONFIG, ("login",), (401,), json="error", pattern=r"^You need to sign in or sign up"),
    )
