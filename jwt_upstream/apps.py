"""The app configuration: connects the alerts and metrics, and registers the system checks."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _


class JwtUpstreamConfig(AppConfig):
    """The app as INSTALLED_APPS names it."""

    name = "jwt_upstream"
    verbose_name = _("JWT upstreams")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect receivers and checks by call, so that importing a module changes nothing."""
        # Django imports this file before there may be models, of which alerts and checks know.
        import_string("jwt_upstream.alerts.connect")()
        import_string("jwt_upstream.monitoring.apply_settings")()
        checks = import_module("jwt_upstream.checks")
        register(checks.check_settings)
        register(checks.check_tables, Tags.database)
        register(checks.check_keys, Tags.security, deploy=True)
        register(checks.check_verification, Tags.security, deploy=True)
        register(checks.check_site, deploy=True)
        register(checks.check_mail, deploy=True)
