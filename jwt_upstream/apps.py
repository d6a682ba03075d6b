"""Django's door: connects the mails and registers the checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from jwt_upstream import checks, notifications
from jwt_upstream.changes import Changes


class JwtUpstreamConfig(AppConfig):
    """The app as INSTALLED_APPS names it."""

    name = "jwt_upstream"
    verbose_name = _("JWT upstreams")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect receivers and checks by call, so that importing a module changes nothing."""
        notifications.connect()
        # A test that flushes the database ends with this signal; clients which outlive it must look again.
        post_migrate.connect(Changes.note, sender=self)
        register(checks.check_settings)
        register(checks.check_keys, Tags.security, deploy=True)
