"""What calls take, and what their errors have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from http.cookiejar import CookieJar
from typing import Any, Protocol, TypedDict

from requests import PreparedRequest


class CallOptions(TypedDict, total=False):
    """What ``requests`` takes beside the method and the URL, and so do ``arequest``, ``aget`` and the others."""

    params: Any
    data: Any
    headers: Mapping[str, str | bytes] | None
    cookies: CookieJar | dict[str, str] | None
    files: Any
    auth: tuple[str, str] | Callable[[PreparedRequest], PreparedRequest] | None
    timeout: float | tuple[float | None, float | None] | None
    allow_redirects: bool
    proxies: dict[str, str] | None
    hooks: Mapping[str, Iterable[Callable[..., Any]] | Callable[..., Any]] | None
    stream: bool | None
    verify: bool | str | None
    cert: str | tuple[str, str] | None
    json: Any


class StoredCredential(Protocol):
    """What an error's ``credential`` has: part of ``jwt_upstream.models.Credential``, which it is.

    Settings may be read, and errors be raised, before Django has models; so the model is not named here.
    """

    @property
    def pk(self) -> Any:
        """The key of the row; None for one that is not stored."""

    @property
    def upstream(self) -> str:
        """The alias."""

    @property
    def account(self) -> str:
        """Which account at the upstream."""

    @property
    def state(self) -> str:
        """One of ``Credential.State``."""

    @property
    def needs_human(self) -> bool:
        """Whether calls fail until somebody acts."""

    @property
    def since(self) -> datetime:
        """Since when it is in its state."""

    @property
    def reason(self) -> str:
        """Why it is in its state."""

    @property
    def remedy(self) -> str:
        """What a person should do."""
