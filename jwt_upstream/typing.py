"""The types of what projects write, for type checkers and editors: settings of upstreams, arguments of calls.

A settings module may import this: it imports nothing of the app, and of Django nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from http.cookiejar import CookieJar
from typing import Any, Protocol, Required, TypeAlias, TypedDict

from requests import PreparedRequest

__all__ = ["CallOptions", "Options", "RuleSettings", "Secret", "StepSettings", "StoredCredential", "UpstreamSettings"]

#: A secret itself, "file:PATH", "call:DOTTED.PATH", or a callable that returns it.
Secret: TypeAlias = str | Callable[[], str]


class RuleSettings(TypedDict, total=False):
    """A rule in OPTIONS["rules"]: how an answer is read."""

    verdict: Required[str]
    where: str | Sequence[str]
    status: int | Sequence[int]
    header: str
    json: str | Sequence[str]
    pattern: str


class StepSettings(TypedDict, total=False):
    """A step in OPTIONS["login_steps"]: a request before the login itself."""

    path: Required[str]
    method: str
    fields: Mapping[str, Any]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body_format: str
    client_authentication: str
    keep: Mapping[str, str]


class Options(TypedDict, total=False):
    """The OPTIONS of all backends of the app; ``docs/reference/backends.rst`` says which backend has which."""

    access_paths: Sequence[str]
    api_headers: Mapping[str, str]
    api_key: str
    api_query: Mapping[str, str]
    assertion_audience: str
    assertion_claims: Mapping[str, Any]
    assertion_file: Secret | Sequence[Secret]
    assertion_headers: Mapping[str, Any]
    assertion_lifetime: float
    authorize_params: Mapping[str, str]
    authorize_path: str
    backoff: float
    backoff_max: float
    base_url_hosts: Sequence[str]
    base_url_paths: Sequence[str]
    body_format: str
    caller_authorization: str
    cert: str | tuple[str, str] | None
    client_authentication: str
    client_id: str
    client_secret: Secret | Sequence[Secret]
    client_secret_expires_at: str
    clock_skew: float
    code_challenge_method: str
    deadline: float
    device_authentication: str
    device_fields: Mapping[str, Any]
    device_login_fields: Mapping[str, Any]
    device_path: str
    expired_statuses: Sequence[int]
    expires_at_paths: Sequence[str]
    expires_in_paths: Sequence[str]
    headers: Mapping[str, str]
    issuer: str
    keep_alive: float
    keep_cookies: bool
    key_id: str
    lifetime: float
    lifetime_unit: str
    locked_statuses: Sequence[int]
    login_fields: Mapping[str, Any]
    login_headers: Mapping[str, str]
    login_method: str
    login_path: str
    login_query: Mapping[str, str]
    login_steps: Sequence[StepSettings]
    max_concurrent_refreshes: int
    message_paths: Sequence[str]
    min_refresh_interval: float
    origins: Sequence[str]
    proxies: Mapping[str, str] | None
    rate_limit_headers: Mapping[str, str]
    redirect_uri: str
    refresh_expires_at_paths: Sequence[str]
    refresh_expires_in_paths: Sequence[str]
    refresh_fields: Mapping[str, Any]
    refresh_format: str
    refresh_headers: Mapping[str, str]
    refresh_leeway: float
    refresh_lifetime: float
    refresh_method: str
    refresh_path: str
    refresh_paths: Sequence[str]
    refresh_query: Mapping[str, str]
    refresh_repeats_login: bool
    requires_iss: bool
    retries: int
    retry_after_max: float
    retry_backoff_max: float
    revoke_authentication: str
    revoke_fields: Mapping[str, Any]
    revoke_format: str
    revoke_headers: Mapping[str, str]
    revoke_method: str
    revoke_path: str
    rules: Sequence[RuleSettings]
    signing_algorithm: str
    signing_key: Secret | Sequence[Secret]
    test_path: str
    timeout: float | tuple[float, float]
    verify: bool | str
    within_base_url: bool
    # of some backends
    audience: str
    authorization_server: str
    client_email: str
    collection: str
    domain: str
    grant_type: str
    installation_id: str
    key_format: str
    optional_scope: str
    realm: str
    region: str
    scope: str
    subject: str
    target_audience: str
    tenant: str
    user_scope: str


class UpstreamSettings(TypedDict, total=False):
    """One upstream in JWT_UPSTREAM: ``JWT_UPSTREAM: dict[str, UpstreamSettings] = {"crm": {…}}``.

    A backend of your own may have other options; its settings are a plain dict then.
    """

    BACKEND: Required[str]
    BASE_URL: Required[str]
    OPTIONS: Options
    LOGIN: Mapping[str, Secret]
    NOTIFY: Sequence[str]


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
