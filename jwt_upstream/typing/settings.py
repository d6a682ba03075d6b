"""An upstream's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Required, TypedDict

from .options import Options, Secret


class ParameterSettings(TypedDict, total=False):
    """A parameter in ACCOUNTS["parameters"]: what its values must match."""

    pattern: str


class AccountsSettings(TypedDict, total=False):
    """What each account has of its own, in ACCOUNTS."""

    parameters: Sequence[str] | Mapping[str, ParameterSettings]
    secrets: Sequence[str]
    hosts: Sequence[str]


class UpstreamSettings(TypedDict, total=False):
    """One upstream in JWT_UPSTREAM: ``JWT_UPSTREAM: dict[str, UpstreamSettings] = {"crm": {…}}``.

    A backend of your own may have other options; its settings are a plain dict then. The reference is made of the
    comments.
    """

    #: The class that speaks to the server. Example: ``"jwt_upstream.backends.KeycloakBackend"``
    BACKEND: Required[str]
    #: Where the API is. Relative paths of calls are joined to it, and the token goes to its origin only.
    #: Example: ``"https://crm.example.com/api/"``
    BASE_URL: Required[str]
    #: What differs from the class's defaults. Example: ``{"login_path": "login_check"}``
    OPTIONS: Options
    #: What an automatic login is given; off without it.
    #: Example: ``{"username": "shop", "password": "file:/run/secrets/crm"}``
    LOGIN: Mapping[str, Secret]
    #: Who gets the mails about this upstream in place of ``ADMINS``. Example: ``["crm-team@example.com"]``
    NOTIFY: Sequence[str]
    #: Which values each account has of its own, such as a subdomain or a client.
    #: Example: ``{"parameters": ["subdomain"]}``
    ACCOUNTS: AccountsSettings
