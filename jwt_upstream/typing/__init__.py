"""The types of what projects write, in settings and calls; they import nothing else of the app and no Django."""

from __future__ import annotations

from .calls import CallOptions, StoredCredential
from .options import Options, RuleSettings, Secret, StepSettings
from .settings import AccountsSettings, ParameterSettings, UpstreamSettings

__all__ = [
    "AccountsSettings",
    "CallOptions",
    "Options",
    "ParameterSettings",
    "RuleSettings",
    "Secret",
    "StepSettings",
    "StoredCredential",
    "UpstreamSettings",
]
