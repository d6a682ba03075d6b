"""The servers that the live tests run against, and what is known of each: its settings and what it does when.

A new one is a file in ``servers`` and an entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

import pytest


class Effect(Enum):
    """What becomes of a call and its credential."""

    SERVED = auto()  # the call got its answer, with the token that was there
    RENEWED = auto()  # it got its answer, after one refresh
    PASSED = auto()  # the upstream's refusal went to the caller; the credential is as it was
    REJECTED = auto()
    LOCKED = auto()
    UNAVAILABLE = auto()  # try later; the credential is as it was
    LOGIN_REJECTED = auto()


SERVED, RENEWED, PASSED = Effect.SERVED, Effect.RENEWED, Effect.PASSED
REJECTED, LOCKED, UNAVAILABLE, LOGIN_REJECTED = (
    Effect.REJECTED,
    Effect.LOCKED,
    Effect.UNAVAILABLE,
    Effect.LOGIN_REJECTED,
)


@dataclass(frozen=True)
class Effects:
    """What an event at the upstream leads to in the next call, the next refresh and the next login."""

    call: Effect
    refresh: Effect | None
    login: Effect | None = LOGIN_REJECTED


@dataclass(frozen=True, eq=False, repr=False)
class Product:
    """A server: the program that runs it, the settings that speak to it, and what it answers to what happens.

    ``events`` holds the orders that it knows (locked, deleted, changed_password, revoked), each with its effects.
    """

    name: str
    program: str
    backend: str
    arguments: tuple[str, ...] = ()
    base: str = ""
    page: str = "me"
    options: Mapping[str, Any] = field(default_factory=dict)
    #: Whether a refresh brings another refresh token; None: there is no refresh token.
    rotates: bool | None = None
    #: What a refresh with a refresh token leads to that was used already.
    reuse: Effect | None = None
    #: What a call leads to whose token has ended without our knowing, and whose refresh token is good.
    expired: Effect = RENEWED
    #: What a call leads to whose token the upstream never issued.
    forged: Effect = RENEWED
    #: Whether the ends of the access and of the refresh token are known, by a lifetime in the answer or a claim.
    states_end: bool = True
    #: Whether a refresh token that has ended is refused.
    refresh_ends: bool = True
    #: The shortest life in seconds that the server gives to a token; None: all live as long as it likes.
    shortest: float | None = 1
    #: What a call leads to with the tokens of a session that was logged out; None: the server is not told of logouts.
    logged_out: Effect | None = None
    #: Whether tokens come from elsewhere (a browser's flow), not from a login.
    adopts: bool = False
    events: Mapping[str, Effects] = field(default_factory=dict)

    def __repr__(self) -> str:
        return self.name


BACKENDS = "jwt_upstream.backends."

SIMPLEJWT = Product(
    "djangorestframework-simplejwt",
    "drf_simplejwt.py",
    f"{BACKENDS}SimpleJWTBackend",
    base="api/",
    page="me/",
    rotates=False,
    reuse=RENEWED,
    logged_out=SERVED,
    events={
        "locked": Effects(LOCKED, LOCKED),
        # 5.5.1 answers a refresh for a deleted user with status 500.
        "deleted": Effects(LOCKED, UNAVAILABLE),
        "changed_password": Effects(SERVED, RENEWED),
        "revoked": Effects(SERVED, REJECTED, None),
    },
)
OAUTH_TOOLKIT = Product(
    "django-oauth-toolkit",
    "oauth_toolkit.py",
    f"{BACKENDS}DjangoOAuthToolkitBackend",
    page="me/",
    options={"client_id": "app", "client_secret": "its secret: 100%"},
    rotates=True,
    reuse=REJECTED,
    logged_out=REJECTED,
    events={
        # Its validator looks at is_active when the password is given, and never again.
        "locked": Effects(SERVED, RENEWED),
        "deleted": Effects(REJECTED, REJECTED),
        "changed_password": Effects(SERVED, RENEWED),
        "revoked": Effects(REJECTED, REJECTED, None),
    },
    # It minds the age of a refresh token only when cleartokens is run.
    refresh_ends=False,
)

#: How an API of its own that passes on GetUser's refusals says that the token of a call is dead.
GET_USER = {
    "where": "api",
    "status": 400,
    "json": "message",
    "pattern": r"^(Access Token has (expired|been revoked)|Invalid (Access )?Token$|Could not verify signature)",
    "verdict": "EXPIRED",
}

PRODUCTS = [
    SIMPLEJWT,
    replace(
        SIMPLEJWT,
        name="djangorestframework-simplejwt, rotating",
        arguments=("rotating",),
        rotates=True,
        reuse=REJECTED,
        # 5.5.1 refreshes after a change of the password, but refuses the tokens that it gives.
        events={**SIMPLEJWT.events, "changed_password": Effects(PASSED, RENEWED)},
    ),
    OAUTH_TOOLKIT,
    # The same server, its page behind the view class that answers 403 without a word.
    replace(
        OAUTH_TOOLKIT,
        name="django-oauth-toolkit, ProtectedResourceView",
        page="plain/me/",
        options={**OAUTH_TOOLKIT.options, "expired_statuses": [403]},
    ),
    Product(
        "Flask-JWT-Extended",
        "flask_jwt.py",
        f"{BACKENDS}FlaskJWTExtendedBackend",
        rotates=False,
        reuse=RENEWED,
        events={
            "locked": Effects(LOCKED, LOCKED),
            "deleted": Effects(LOCKED, LOCKED),
            "changed_password": Effects(SERVED, RENEWED),
            "revoked": Effects(REJECTED, REJECTED, None),
        },
    ),
    Product(
        "FastAPI, its OAuth2 tutorial",
        "fastapi_tutorial.py",
        f"{BACKENDS}FastAPIBackend",
        expired=REJECTED,
        forged=REJECTED,
        events={
            # Its 400 "Inactive user" may be said of any user that a call is about.
            "locked": Effects(PASSED, REJECTED, None),
            "deleted": Effects(REJECTED, REJECTED),
            "changed_password": Effects(SERVED, REJECTED),
        },
    ),
    Product(
        "fastapi-users",
        "fastapi_users_app.py",
        f"{BACKENDS}FastAPIBackend",
        options={"login_path": "auth/jwt/login"},
        expired=REJECTED,
        forged=REJECTED,
        events={
            # A 401 says it of every user and token that is not good.
            "locked": Effects(REJECTED, REJECTED),
            "deleted": Effects(REJECTED, REJECTED),
            "changed_password": Effects(SERVED, REJECTED),
        },
    ),
    Product(
        "drf-jwt",
        "drf_jwt.py",
        f"{BACKENDS}DRFJWTBackend",
        page="me/",
        rotates=False,
        reuse=RENEWED,
        expired=REJECTED,
        forged=REJECTED,
        events={
            "locked": Effects(LOCKED, LOCKED),
            "deleted": Effects(LOCKED, LOCKED),
            "changed_password": Effects(SERVED, RENEWED),
        },
    ),
    Product(
        "PocketBase",
        "pocketbase_binary.py",
        f"{BACKENDS}PocketBaseBackend",
        page="api/collections/users/records",
        rotates=False,
        reuse=RENEWED,
        expired=PASSED,
        forged=PASSED,
        refresh_ends=False,
        shortest=10,
        events={
            "locked": Effects(SERVED, LOCKED, LOCKED),
            "deleted": Effects(PASSED, REJECTED),
            "changed_password": Effects(PASSED, REJECTED),
        },
    ),
    Product(
        "@fastify/jwt",
        "node/fastify_jwt.mjs",
        f"{BACKENDS}NestJSBackend",
        options={"login_path": "login", "refresh_path": "refresh"},
        rotates=True,
        reuse=RENEWED,
        events={
            "locked": Effects(SERVED, REJECTED),
            "deleted": Effects(SERVED, REJECTED),
            "changed_password": Effects(SERVED, RENEWED),
        },
    ),
    Product(
        "NestJS",
        "node/nest_passport.mjs",
        f"{BACKENDS}NestJSBackend",
        page="auth/profile",
        rotates=True,
        reuse=REJECTED,
        events={
            "locked": Effects(LOCKED, LOCKED, LOCKED),
            "deleted": Effects(REJECTED, REJECTED),
            "changed_password": Effects(SERVED, RENEWED),
            "revoked": Effects(SERVED, REJECTED, None),
        },
    ),
    Product(
        "oidc-provider",
        "node/oidc_provider.mjs",
        f"{BACKENDS}OAuth2Backend",
        options={"client_id": "app", "client_secret": "its secret: 100%", "revoke_path": "token/revocation"},
        rotates=True,
        reuse=REJECTED,
        logged_out=REJECTED,
        states_end=False,
        adopts=True,
        events={
            "locked": Effects(REJECTED, REJECTED, None),
            "deleted": Effects(REJECTED, REJECTED, None),
            "revoked": Effects(REJECTED, REJECTED, None),
        },
    ),
    Product(
        "Doorkeeper",
        "doorkeeper.rb",
        f"{BACKENDS}OAuth2Backend",
        options={
            "login_path": "oauth/token",
            "client_id": "app",
            "client_secret": "its secret: 100%",
            # Its Basic takes the secret as it stands, not form-urlencoded as RFC 6749 says.
            "client_authentication": "post",
        },
        rotates=True,
        reuse=REJECTED,
        refresh_ends=False,
        events={
            "locked": Effects(PASSED, RENEWED),
            "deleted": Effects(PASSED, RENEWED),
            "changed_password": Effects(SERVED, RENEWED),
            "revoked": Effects(REJECTED, REJECTED, None),
        },
    ),
    Product(
        "Cognito, as moto plays it",
        "cognito.py",
        f"{BACKENDS}CognitoBackend",
        # Its API passes on what GetUser says of the token that came with the call.
        options={"login_path": "./", "region": "us-east-1", "rules": [GET_USER]},
        rotates=False,
        reuse=RENEWED,
        shortest=None,
        events={
            # moto refreshes for a disabled user, and breaks (500) over a deleted one.
            "locked": Effects(PASSED, RENEWED, LOCKED),
            "deleted": Effects(PASSED, UNAVAILABLE),
            "changed_password": Effects(SERVED, RENEWED),
            "revoked": Effects(REJECTED, REJECTED, None),
        },
    ),
]


def knowing(**what: Any) -> list[Product]:
    """Return the products of which these attributes are known, or are what is given."""
    return [
        product
        for product in PRODUCTS
        if all(
            getattr(product, name) is not None if value is ... else getattr(product, name) == value
            for name, value in what.items()
        )
    ]


def products(chosen: list[Product]) -> pytest.MarkDecorator:
    """Run a test against these servers."""
    return pytest.mark.parametrize("server", chosen, ids=[product.name for product in chosen], indirect=True)
