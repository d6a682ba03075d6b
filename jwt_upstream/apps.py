"""Django's door: connects the mails and registers the checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.core.signals import setting_changed
from django.db.models.signals import post_delete, post_migrate, post_save
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
        # Clients must look again after what tests do: flush the database, override settings, write to the rows.
        post_migrate.connect(Changes.note, sender=self)
        setting_changed.connect(Changes.note)
        for signal in (post_save, post_delete):
            signal.connect(Changes.note, sender="jwt_upstream.Credential")
        register(checks.check_settings)
        register(checks.check_keys, Tags.security, deploy=True)
