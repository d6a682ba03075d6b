"""The app configuration: connects the alerts and registers the system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.utils.translation import gettext_lazy as _

from jwt_upstream import alerts, checks


class JwtUpstreamConfig(AppConfig):
    """The app as INSTALLED_APPS names it."""

    name = "jwt_upstream"
    verbose_name = _("JWT upstreams")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect receivers and checks by call, so that importing a module changes nothing."""
        alerts.connect()
        register(checks.check_settings)
        register(checks.check_keys, Tags.security, deploy=True)
        register(checks.check_verification, Tags.security, deploy=True)
