"""The types of what projects write, in settings and calls; they import nothing else of the app and no Django."""

from __future__ import annotations

from .calls import CallOptions, StoredCredential
from .options import Options, RuleSettings, Secret, StepSettings
from .settings import UpstreamSettings

__all__ = ["CallOptions", "Options", "RuleSettings", "Secret", "StepSettings", "StoredCredential", "UpstreamSettings"]
