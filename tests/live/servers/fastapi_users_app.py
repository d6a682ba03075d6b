"""fastapi-users with its JWT strategy and SQLAlchemy, as its documentation sets it up; no refresh token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.db import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from serving import serve_asgi
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

KEY = "a server that only tests talk to, on loopback"


class Base(DeclarativeBase):
    """The tables."""


class User(SQLAlchemyBaseUserTableUUID, Base):
    """A user."""


class Manager(UUIDIDMixin, BaseUserManager[User, Any]):
    """What may be done with users."""


engine = create_async_engine("sqlite+aiosqlite:///users.db")
sessions = async_sessionmaker(engine, expire_on_commit=False)
strategy = JWTStrategy(secret=KEY, lifetime_seconds=3600)


async def manager() -> AsyncIterator[Manager]:
    """Give each request a session of its own."""
    async with sessions() as session:
        yield Manager(SQLAlchemyUserDatabase(session, User))


backend = AuthenticationBackend(
    name="jwt", transport=BearerTransport(tokenUrl="auth/jwt/login"), get_strategy=lambda: strategy
)
fastapi_users = FastAPIUsers[User, Any](manager, [backend])
app = FastAPI()
app.include_router(fastapi_users.get_auth_router(backend), prefix="/auth/jwt")


@app.get("/me")
async def me(user: User = Depends(fastapi_users.current_user(active=True))) -> dict[str, str]:  # noqa: B008 -- FastAPI's way
    """Say who is asking."""
    return {"username": user.email}


async def _changed(username: str, **values: Any) -> None:
    async with sessions() as session:
        users = Manager(SQLAlchemyUserDatabase(session, User))
        await users.user_db.update(await users.get_by_email(username), values)


async def _create(username: str, password: str) -> None:
    async with sessions() as session:
        await Manager(SQLAlchemyUserDatabase(session, User)).create(
            schemas.BaseUserCreate(email=username, password=password)
        )


async def _delete(username: str) -> None:
    async with sessions() as session:
        users = Manager(SQLAlchemyUserDatabase(session, User))
        await users.delete(await users.get_by_email(username))


async def _change_password(username: str, password: str) -> None:
    async with sessions() as session:
        helper = Manager(SQLAlchemyUserDatabase(session, User)).password_helper
    await _changed(username, hashed_password=helper.hash(password))


async def _make_tables(session: AsyncSession) -> None:
    connection = await session.connection()
    await connection.run_sync(Base.metadata.create_all)
    await session.commit()


def _run(work: Coroutine[Any, Any, None]) -> None:
    # Orders come in threads without a loop; connections belong to the loop that opened them.
    async def work_and_let_go() -> None:
        await work
        await engine.dispose()

    asyncio.run(work_and_let_go())


def _set_lifetimes(access: float, refresh: float) -> None:
    strategy.lifetime_seconds = int(access)


if __name__ == "__main__":
    _run(_make_tables(sessions()))
    serve_asgi(
        app,
        {
            "create": lambda *given: _run(_create(*given)),
            "lock": lambda username: _run(_changed(username, is_active=False)),
            "unlock": lambda username: _run(_changed(username, is_active=True)),
            "delete": lambda username: _run(_delete(username)),
            "change_password": lambda *given: _run(_change_password(*given)),
            "lifetimes": _set_lifetimes,
        },
    )
