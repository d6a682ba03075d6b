"""FastAPI in the shape of its tutorial, "OAuth2 with Password, Bearer with JWT tokens": no refresh token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException, status
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from serving import serve_asgi

KEY = "a server that only tests talk to, on loopback"

app = FastAPI()
scheme = OAuth2PasswordBearer(tokenUrl="token")
users: dict[str, str] = {}
disabled: set[str] = set()
lives = {"access": 3600.0}


@app.post("/token")
async def token(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, Any]:
    """Issue an access token."""
    if users.get(form.username) != form.password:
        raise HTTPException(
            status.HTTP_401_UNAUTHORIZED, "Incorrect username or password", headers={"WWW-Authenticate": "Bearer"}
        )
    end = datetime.now(UTC) + timedelta(seconds=lives["access"])
    return {
        "access_token": jwt.encode({"sub": form.username, "exp": end}, KEY, algorithm="HS256"),
        "token_type": "bearer",
    }


async def current_user(given: Annotated[str, Depends(scheme)]) -> str:
    """Return the token's user."""
    refusal = HTTPException(
        status.HTTP_401_UNAUTHORIZED, "Could not validate credentials", headers={"WWW-Authenticate": "Bearer"}
    )
    try:
        username = jwt.decode(given, KEY, algorithms=["HS256"])["sub"]
    except jwt.InvalidTokenError:
        raise refusal from None
    if username not in users:
        raise refusal
    return str(username)


async def active_user(username: Annotated[str, Depends(current_user)]) -> str:
    """Return the token's user, unless it is disabled."""
    if username in disabled:
        raise HTTPException(status_code=400, detail="Inactive user")
    return username


@app.get("/me")
async def me(username: Annotated[str, Depends(active_user)]) -> dict[str, str]:
    """Say who is asking."""
    return {"username": username}


if __name__ == "__main__":
    serve_asgi(
        app,
        {
            "create": users.__setitem__,
            "lock": disabled.add,
            "unlock": disabled.discard,
            "delete": users.__delitem__,
            "change_password": users.__setitem__,
            "lifetimes": lambda access, refresh: lives.update(access=access),
        },
    )
