"""Flask-JWT-Extended as its documentation shows it: login, refresh, a user loader and a blocklist."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask, jsonify, request
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt_identity,
    jwt_required,
)
from serving import serve_wsgi

app = Flask(__name__)
app.config["JWT_SECRET_KEY"] = "a server that only tests talk to, on loopback"
jwt = JWTManager(app)
users: dict[str, str] = {}
locked: set[str] = set()
revoked: set[str] = set()


@app.post("/login")
def login() -> Any:
    """Issue a fresh pair."""
    given = request.get_json()
    username = given["username"]
    if username in locked or users.get(username) != given["password"]:
        return jsonify(msg="Bad username or password"), 401
    return jsonify(access_token=create_access_token(username), refresh_token=create_refresh_token(username))


@app.post("/refresh")
@jwt_required(refresh=True)
def refresh() -> Any:
    """Issue another access token for the refresh token in the Authorization header."""
    return jsonify(access_token=create_access_token(get_jwt_identity(), fresh=False))


@app.get("/me")
@jwt_required()
def me() -> Any:
    """Say who is asking."""
    return jsonify(username=get_jwt_identity())


@jwt.user_lookup_loader
def load(header: Any, claims: Any) -> str | None:
    """Find the token's user, none if it is locked or deleted."""
    username = str(claims["sub"])
    return username if username in users and username not in locked else None


@jwt.token_in_blocklist_loader
def is_revoked(header: Any, claims: Any) -> bool:
    """Tell whether a token was revoked."""
    return claims["sub"] in revoked


def lifetimes(access: float, refresh: float) -> None:
    """Set how long the tokens live that are issued from now on."""
    app.config["JWT_ACCESS_TOKEN_EXPIRES"] = timedelta(seconds=access)
    app.config["JWT_REFRESH_TOKEN_EXPIRES"] = timedelta(seconds=refresh)


if __name__ == "__main__":
    serve_wsgi(
        app,
        {
            "create": lambda username, password: users.update({username: password}),
            "lock": locked.add,
            "unlock": locked.discard,
            "delete": users.pop,
            "change_password": lambda username, password: users.update({username: password}),
            "revoke": revoked.add,
            "lifetimes": lifetimes,
        },
    )
