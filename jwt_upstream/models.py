"""The models: credentials, their history, and incidents."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import F
from django.dispatch import Signal
from django.utils.translation import gettext_lazy as _

from jwt_upstream.clock import Clock, host_now
from jwt_upstream.fields import AwareDateTimeField, EncryptedTextField, ExactCharField
from jwt_upstream.names import command
from jwt_upstream.tokens import TokenPair

__all__ = [
    "Credential",
    "Event",
    "Incident",
]

#: What a reason says of a user that was deleted, in English and in the other languages of ``LexikBackend``.
_DELETED = re.compile(
    r"(user|account|benutzer|gebruiker|utilisateur|usuário|utilizador|użytkownik)[^;]{0,60}"
    r"(not[ _](be )?found|no longer exist|(not|n't) exist|deleted|être trouvé|nicht gefunden|non trovato"
    r"|niet worden gevonden|nie istnieje|não encontrado)|no se encontró el nombre|error loading the user|nil user",
    re.IGNORECASE,
)

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
    worked_at = AwareDateTimeField(null=True, editable=False, help_text=_("When a refresh or a login last worked."))
    generation = models.PositiveBigIntegerField(default=0, editable=False)

    state = models.CharField(max_length=20, choices=State, default=State.LOGGED_OUT, editable=False)
    reason = models.CharField(max_length=500, blank=True, editable=False)
    since = AwareDateTimeField(default=host_now, editable=False)
    failed_fingerprint = models.CharField(max_length=12, blank=True, editable=False)
    failed_login = models.CharField(max_length=12, blank=True, editable=False)
    unreadable_since = AwareDateTimeField(null=True, editable=False)

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
            models.Index(fields=["upstream", "worked_at"], name="jwt_upstream_worked"),
        ]

    def __str__(self) -> str:
        return f"{self.upstream}/{self.account}"

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Insert all columns of a new row, but update only the upstream and the account of an existing one."""
        if self._state.adding:
            super().save(*args, update_fields=update_fields, **kwargs)
            return
        update_fields = {"upstream", "account"} & set(update_fields or {"upstream", "account"})
        super().save(*args, update_fields=update_fields, **kwargs)
        if update_fields:
            own = self.incidents.using(self._state.db).filter(is_open=True).exclude(account="")
            own.update(**{name: getattr(self, name) for name in update_fields})

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
        log_in = command("upstream_login", self.upstream, self.account)
        if self.state == self.State.LOCKED and _DELETED.search(self.reason):
            created = "have the user created again at the upstream, then try again in the admin"
            return f"{created}, or log in with another: {log_in}"
        if self.state == self.State.LOCKED:
            return f"have the account unlocked at the upstream, then try again in the admin, or log in: {log_in}"
        if self.state == self.State.UNREADABLE:
            return f"put the old key back into JWT_UPSTREAM_ENCRYPTION_KEYS, or log in: {log_in}"
        if self.failed_login:
            return f"correct LOGIN in the settings, or log in: {log_in}"
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

    #: The incident that this event opened or closed if that is to be told, once for all workers; not stored.
    incident: Incident | None = None

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["upstream", "account", "-at"], name="jwt_upstream_event_history"),
            models.Index(fields=["-at", "-id"], name="jwt_upstream_event_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.upstream}/{self.account} {self.kind} {self.at:%Y-%m-%d %H:%M:%S}"


class Incident(models.Model):
    """A credential or a whole upstream in trouble, from the first sign until it works again; kept after that.

    There is at most one open incident of each credential, and one of each upstream, whose account is "". Causes that
    alternate are one incident: ``kind`` and ``reason`` are the latest. The times at which admins were told are written
    before they are told, so that of all workers only one tells.
    """

    class Kind(models.TextChoices):
        """What is wrong: the first four with one credential, the others with the upstream."""

        REJECTED = "rejected", _("rejected")
        LOCKED = "locked", _("locked")
        UNREADABLE = "unreadable", _("unreadable")
        FAILING = "failing", _("failing")
        DOWN = "down", _("down")
        MISCONFIGURED = "misconfigured", _("misconfigured")

    #: The kinds that no attempt of ours can end.
    NEEDS_HUMAN = frozenset({Kind.REJECTED, Kind.LOCKED, Kind.UNREADABLE})

    upstream = ExactCharField(max_length=100)
    account = ExactCharField(max_length=255, blank=True, help_text=_("Empty if it is the whole upstream's."))
    credential = models.ForeignKey(
        Credential, models.SET_NULL, null=True, related_name="incidents", help_text=_("The only one concerned, if so.")
    )
    kind = models.CharField(max_length=20, choices=Kind)
    reason = models.CharField(max_length=500, blank=True)
    url = models.CharField(_("URL"), max_length=500, blank=True, help_text=_("What was asked, if it is known."))
    concerns = models.CharField(max_length=500, blank=True, help_text=_("Whom it concerned when it was told."))
    generation = models.PositiveBigIntegerField(default=0, help_text=_("Of the tokens that failed last."))
    since = AwareDateTimeField(default=host_now, help_text=_("When the trouble began."))
    opened_at = AwareDateTimeField(default=host_now)
    notified_at = AwareDateTimeField(null=True, help_text=_("When admins were told of it."))
    closed_at = AwareDateTimeField(null=True)
    recovery_notified_at = AwareDateTimeField(null=True, help_text=_("When admins were told that it is over."))
    # NULL rather than False, since NULLs are all different: MariaDB has no unique constraint for some of the rows.
    is_open = models.BooleanField(null=True, default=True)

    class Meta:
        ordering = [F("is_open").desc(nulls_last=True), "-opened_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["upstream", "account", "is_open"], name="jwt_upstream_one_open_incident")
        ]

    def __str__(self) -> str:
        return f"{self.subject} {self.kind} since {self.since:%Y-%m-%d %H:%M:%S}"

    @property
    def subject(self) -> str:
        """The upstream, or the upstream and account, that is in trouble."""
        return f"{self.upstream}/{self.account}" if self.account else self.upstream
