"""The models: credentials, their history, and upstreams in trouble."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.dispatch import Signal
from django.utils.translation import gettext_lazy as _

from jwt_upstream.clock import Clock, host_now
from jwt_upstream.fields import AwareDateTimeField, EncryptedTextField, ExactCharField
from jwt_upstream.tokens import TokenPair

__all__ = [
    "Credential",
    "Event",
    "Outage",
]

#: Sent after ``QuerySet.update()`` of credentials, for which Django sends no signal; invalidates the token cache.
rows_updated = Signal()


class CredentialQuerySet(models.QuerySet["Credential"]):
    """Sends ``rows_updated`` after updates, such as those of a test, so that this process reads the rows again."""

    def update(self, **columns: Any) -> int:
        """Update rows as Django does, then send ``rows_updated``."""
        try:
            return super().update(**columns)
        finally:
            rows_updated.send(Credential)


class Credential(models.Model):
    """One account at one upstream: its encrypted tokens and its state.

    Everything but the upstream and the account is written only by the compare-and-swap functions of
    ``store.transitions``: ``save()`` of an existing row leaves the rest as the database has it, so a stale instance
    can't bring back a spent token.
    """

    class State(models.TextChoices):
        """Active, or the reason why a human must act."""

        ACTIVE = "active", _("active")
        LOGGED_OUT = "logged_out", _("logged out")
        REJECTED = "rejected", _("rejected")
        LOCKED = "locked", _("locked")
        UNREADABLE = "unreadable", _("unreadable")

    upstream = ExactCharField(max_length=100, help_text=_("Alias in JWT_UPSTREAM."))
    account = ExactCharField(
        max_length=255, default="default", help_text=_("Name of the account, if there are several at the upstream.")
    )
    username = models.CharField(max_length=255, blank=True, editable=False)
    access_token = EncryptedTextField(blank=True, editable=False)
    refresh_token = EncryptedTextField(blank=True, editable=False)
    access_expires_at = AwareDateTimeField(null=True, editable=False)
    refresh_expires_at = AwareDateTimeField(null=True, editable=False)
    obtained_at = AwareDateTimeField(null=True, editable=False)
    generation = models.PositiveBigIntegerField(default=0, editable=False)

    state = models.CharField(max_length=20, choices=State, default=State.LOGGED_OUT, editable=False)
    reason = models.CharField(max_length=500, blank=True, editable=False)
    since = AwareDateTimeField(default=host_now, editable=False)
    failed_fingerprint = models.CharField(max_length=12, blank=True, editable=False)
    failed_login = models.CharField(max_length=12, blank=True, editable=False)

    failures = models.PositiveIntegerField(default=0, editable=False)
    failing_since = AwareDateTimeField(null=True, editable=False)
    failure = models.CharField(max_length=500, blank=True, editable=False)
    failure_verdict = models.CharField(max_length=20, blank=True, editable=False)
    next_attempt_at = AwareDateTimeField(null=True, editable=False)
    interrupted_at = AwareDateTimeField(null=True, editable=False)
    refresh_suppressed_until = AwareDateTimeField(null=True, editable=False)

    lease = models.CharField(max_length=100, blank=True, editable=False)
    lease_expires_at = AwareDateTimeField(null=True, editable=False)

    objects = CredentialQuerySet.as_manager()

    #: The database's clock, if the row was read with it: hosts' clocks differ, and the times of one bind the others.
    clock: Clock | None = None

    class Meta:
        ordering = ["upstream", "account"]
        constraints = [models.UniqueConstraint(fields=["upstream", "account"], name="jwt_upstream_one_per_account")]
        indexes = [
            models.Index(
                fields=["upstream", "state", "failures", "next_attempt_at", "access_expires_at"],
                name="jwt_upstream_due",
            ),
            models.Index(fields=["state", "upstream", "account"], name="jwt_upstream_state"),
        ]

    def __str__(self) -> str:
        return f"{self.upstream}/{self.account}"

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Insert all columns of a new row, but update only the upstream and the account of an existing one."""
        if not self._state.adding:
            update_fields = {"upstream", "account"} & set(update_fields or {"upstream", "account"})
        super().save(*args, update_fields=update_fields, **kwargs)

    def now(self) -> datetime:
        """Return the time by the database's clock if the row was read together with it, else by this host's."""
        return self.clock.now() if self.clock else host_now()

    @property
    def pair(self) -> TokenPair:
        """The decrypted tokens with their expiries; raises DecryptionError."""
        return TokenPair(
            self.access_token.open(), self.refresh_token.open(), self.access_expires_at, self.refresh_expires_at
        )

    @property
    def needs_human(self) -> bool:
        """Whether it can't work again before a person acts."""
        return self.state != self.State.ACTIVE

    @property
    def remedy(self) -> str:
        """What a person should do so that it works again, with the command to log in at its end."""
        account = "" if self.account == "default" else f" --account {self.account}"
        log_in = f"manage.py upstream_login {self.upstream}{account}"
        if self.state == self.State.LOCKED:
            return f"have the account unlocked at the upstream, then try again in the admin, or log in: {log_in}"
        if self.state == self.State.UNREADABLE:
            return f"put the old key back into JWT_UPSTREAM_ENCRYPTION_KEYS, or log in: {log_in}"
        return f"log in: {log_in}"

    @property
    def is_degraded(self) -> bool:
        """Whether its access token still works although refreshes fail."""
        return self.state == self.State.ACTIVE and self.failures > 0 and not self.has_expired(self.now())

    def has_expired(self, now: datetime) -> bool:
        """Tell whether the access token has expired; one with an unknown expiry has not."""
        return self.access_expires_at is not None and self.access_expires_at <= now

    def is_due(self, now: datetime, leeway: float) -> bool:
        """Tell whether to refresh: in the last ``leeway`` seconds of the lifetime, but at most in its second half."""
        if self.access_expires_at is None:
            return False
        half = (self.access_expires_at - (self.obtained_at or now)) / 2
        due_at: datetime = self.access_expires_at - min(timedelta(seconds=leeway), max(half, timedelta(0)))
        return now >= due_at

    def is_leased(self, now: datetime) -> bool:
        """Tell whether a worker holds the lease, and so is refreshing it."""
        return bool(self.lease) and self.lease_expires_at is not None and self.lease_expires_at > now


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

    credential = models.ForeignKey(Credential, models.SET_NULL, null=True, related_name="events")
    upstream = ExactCharField(max_length=100)
    account = ExactCharField(max_length=255)
    at = AwareDateTimeField(default=host_now)
    kind = models.CharField(max_length=20, choices=Kind)
    state_before = models.CharField(max_length=20, blank=True)
    state = models.CharField(max_length=20, blank=True)
    verdict = models.CharField(max_length=20, blank=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    seconds = models.FloatField(null=True, help_text=_("How long the upstream took."))
    access_fingerprint = models.CharField(max_length=12, blank=True)
    refresh_fingerprint = models.CharField(max_length=12, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    by = models.CharField(max_length=255, blank=True, help_text=_("Who asked for it, and in which process."))

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["upstream", "account", "-at"], name="jwt_upstream_event_history"),
            models.Index(fields=["-at", "-id"], name="jwt_upstream_event_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.upstream}/{self.account} {self.kind} {self.at:%Y-%m-%d %H:%M:%S}"


class Outage(models.Model):
    """An upstream that is down or misconfigured, for as long as it is; lets admins be told of it only once."""

    class Kind(models.TextChoices):
        """Whether the upstream is down, or our settings are wrong."""

        DOWN = "down", _("down")
        MISCONFIGURED = "misconfigured", _("misconfigured")

    upstream = ExactCharField(max_length=100, unique=True)
    kind = models.CharField(max_length=20, choices=Kind)
    reason = models.CharField(max_length=500, blank=True)
    since = AwareDateTimeField(default=host_now)
    notified_at = AwareDateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.upstream} {self.kind} since {self.since:%Y-%m-%d %H:%M:%S}"
