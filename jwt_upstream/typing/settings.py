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

    A backend of your own may have other options; its settings are a plain dict then.
    """

    BACKEND: Required[str]
    BASE_URL: Required[str]
    OPTIONS: Options
    LOGIN: Mapping[str, Secret]
    NOTIFY: Sequence[str]
    ACCOUNTS: AccountsSettings
