"""The history of credentials."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from jwt_upstream.clock import host_now
from jwt_upstream.fields import AwareDateTimeField, ExactCharField
from jwt_upstream.names import full_name

from .credentials import Credential
from .incidents import Incident


class Event(models.Model):
    """An entry in a credential's history: append-only, without tokens, and kept when the credential is deleted."""

    class Kind(models.TextChoices):
        """What happened."""

        LOGGED_IN = "logged_in", _("logged in")
        LOGGED_OUT = "logged_out", _("logged out")
        REFRESHED = "refreshed", _("refreshed")
        REJECTED = "rejected", _("rejected")
        LOCKED = "locked", _("locked")
        UNREADABLE = "unreadable", _("unreadable")
        RESTORED = "restored", _("restored")
        FAILED = "failed", _("refresh failed")
        INTERRUPTED = "interrupted", _("refresh interrupted")
        REBOUND = "rebound", _("bound to other settings")
        CONFIGURED = "configured", _("configured")

    credential = models.ForeignKey(
        Credential, models.SET_NULL, verbose_name=_("credential"), null=True, related_name="events"
    )
    upstream = ExactCharField(_("upstream"), max_length=100)
    account = ExactCharField(_("account"), max_length=255)
    at = AwareDateTimeField(_("time"), default=host_now)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    state_before = models.CharField(_("state before"), max_length=20, blank=True)
    state = models.CharField(_("state"), max_length=20, blank=True)
    verdict = models.CharField(_("verdict"), max_length=20, blank=True)
    status_code = models.PositiveSmallIntegerField(_("status code"), null=True)
    seconds = models.FloatField(_("seconds"), null=True, help_text=_("How long the upstream took."))
    access_fingerprint = models.CharField(_("fingerprint of the access token"), max_length=12, blank=True)
    refresh_fingerprint = models.CharField(_("fingerprint of the refresh token"), max_length=12, blank=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    by = models.CharField(_("by"), max_length=255, blank=True, help_text=_("Who asked for it, and in which process."))

    #: The incident that this event opened or closed if that is to be told, once for all workers; not stored.
    incident: Incident | None = None

    class Meta:
        verbose_name, verbose_name_plural = _("event"), _("events")
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["upstream", "account", "-at"], name="jwt_upstream_event_history"),
            models.Index(fields=["-at", "-id"], name="jwt_upstream_event_latest"),
            models.Index(fields=["upstream", "kind", "at"], name="jwt_upstream_event_kinds"),
        ]

    def __str__(self) -> str:
        name = full_name(self.upstream, self.account)
        return f"{name} {self.get_kind_display()} {self.at:%Y-%m-%d %H:%M:%S}"
