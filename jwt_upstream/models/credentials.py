"""The credentials: one row for each account at an upstream."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import FieldError
from django.db import models, router, transaction
from django.db.models import F
from django.dispatch import Signal
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from jwt_upstream import remedies
from jwt_upstream.clock import Clock, host_now
from jwt_upstream.fields import (
    AwareDateTimeField,
    DecryptionError,
    Encrypted,
    EncryptedTextField,
    ExactCharField,
    Misplaced,
    Unbound,
)
from jwt_upstream.names import command, full_name, says_deleted
from jwt_upstream.tokens import Secrets, TokenPair

#: What stands in the way of reading tokens, as ``remedies`` calls it, by the reason.
_UNREADABLE = {DecryptionError.reason: "lost key", Misplaced.reason: "misplaced", Unbound.reason: "unbound"}

#: Sent after ``QuerySet.update()`` of credentials, for which Django sends no signal; invalidates the token cache.
rows_updated = Signal()

#: What tokens are bound to.
_NAMES = ("upstream", "account")
_TOKENS = ("access_token", "refresh_token", "answer")
#: The columns that are encrypted.
SEALED = (*_TOKENS, "secrets")


class CredentialQuerySet(models.QuerySet["Credential"]):
    """Binds tokens to their rows, and sends ``rows_updated`` so that this process reads the rows again."""

    def update(self, **columns: Any) -> int:
        """Update rows as Django does, but one by one where they are renamed or get new tokens in plain text.

        Raises FieldError for names that only the database could compute (``F()``; ``bulk_update()`` of names).
        """
        if not all(isinstance(columns[name], str) for name in _NAMES if name in columns):
            raise FieldError("tokens are bound to the names of their row: rename by plain strings, or by save()")
        bound = {name: columns[name] for name in (*_NAMES, *SEALED) if isinstance(columns.get(name), str)}
        try:
            return self._update_each(bound, columns) if bound else super().update(**columns)
        finally:
            rows_updated.send(Credential)

    def _update_each(self, bound: dict[str, str], columns: dict[str, Any]) -> int:
        with transaction.atomic(using=self.db):
            rows = list(self.all())
            for row in rows:
                for name, value in bound.items():
                    setattr(row, name, value)
                row.save(using=self.db)
                sealed = {name: getattr(row, name) for name in bound}
                Credential._base_manager.using(self.db).filter(pk=row.pk).update(**{**columns, **sealed})
            return len(rows)


class Credential(models.Model):
    """One account at one upstream: its encrypted tokens and its state.

    Everything but the upstream and the account is written only by the compare-and-swap functions of
    ``store.transitions``: ``save()`` of an existing row leaves the rest as the database has it, so a stale instance
    can't bring back a spent token.
    """

    class State(models.TextChoices):
        """Active, or the reason why a human must act."""

        ACTIVE = "active", pgettext_lazy("state", "active")  # not as Django says it of a user
        LOGGED_OUT = "logged_out", _("logged out")
        REJECTED = "rejected", _("rejected")
        LOCKED = "locked", _("locked")
        UNREADABLE = "unreadable", _("unreadable")

    upstream = ExactCharField(_("upstream"), max_length=100, help_text=_("Alias in JWT_UPSTREAM."))
    account = ExactCharField(
        _("account"),
        max_length=255,
        default="default",
        help_text=_("Name of the account, if there are several at the upstream."),
    )
    #: What the account has of its own, as far as ACCOUNTS in settings names it; the secrets are JSON as well.
    parameters = models.JSONField(_("parameters"), default=dict, blank=True, editable=False)
    secrets = EncryptedTextField(_("secrets"), bound_to=["upstream", "account"], blank=True, editable=False)
    username = models.CharField(_("username"), max_length=255, blank=True, editable=False)
    access_token = EncryptedTextField(_("access token"), bound_to=["upstream", "account"], blank=True, editable=False)
    refresh_token = EncryptedTextField(
        _("refresh token"), bound_to=["upstream", "account"], blank=True, editable=False
    )
    answer = EncryptedTextField(_("answer"), bound_to=["upstream", "account"], blank=True, editable=False)
    access_expires_at = AwareDateTimeField(_("access token expires at"), null=True, editable=False)
    refresh_expires_at = AwareDateTimeField(_("refresh token expires at"), null=True, editable=False)
    obtained_at = AwareDateTimeField(_("obtained at"), null=True, editable=False)
    worked_at = AwareDateTimeField(
        _("last worked at"), null=True, editable=False, help_text=_("When a refresh or a login last worked.")
    )
    keep_alive_at = AwareDateTimeField(_("to be kept alive at"), null=True, editable=False)
    generation = models.PositiveBigIntegerField(_("generation"), default=0, editable=False)
    #: The binding of the tokens (see ``jwt_upstream.binding``); empty for those that fit any settings.
    obtained_for = models.JSONField(_("obtained for"), default=dict, editable=False)

    state = models.CharField(_("state"), max_length=20, choices=State, default=State.LOGGED_OUT, editable=False)
    reason = models.CharField(_("reason"), max_length=500, blank=True, editable=False)
    since = AwareDateTimeField(_("since"), default=host_now, editable=False)
    failed_fingerprint = models.CharField(_("fingerprint of what failed"), max_length=12, blank=True, editable=False)
    failed_login = models.CharField(
        _("fingerprint of the login that failed"), max_length=12, blank=True, editable=False
    )
    unreadable_since = AwareDateTimeField(_("unreadable since"), null=True, editable=False)

    failures = models.PositiveIntegerField(_("failures"), default=0, editable=False)
    failing_since = AwareDateTimeField(_("failing since"), null=True, editable=False)
    failure = models.CharField(_("failure"), max_length=500, blank=True, editable=False)
    failure_verdict = models.CharField(_("verdict of the failure"), max_length=20, blank=True, editable=False)
    next_attempt_at = AwareDateTimeField(_("next attempt at"), null=True, editable=False)
    interrupted_at = AwareDateTimeField(_("interrupted at"), null=True, editable=False)
    refresh_suppressed_until = AwareDateTimeField(_("not refreshed until"), null=True, editable=False)

    lease = models.CharField(_("lease"), max_length=100, blank=True, editable=False)
    lease_expires_at = AwareDateTimeField(_("lease expires at"), null=True, editable=False)

    objects = CredentialQuerySet.as_manager()

    #: The database's clock, if the row was read with it: hosts' clocks differ, and the times of one bind the others.
    clock: Clock | None = None
    #: Whether it or its upstream has an open incident, as far as that was read with the row; not stored.
    has_incident: bool | None = None

    class Meta:
        verbose_name, verbose_name_plural = _("credential"), _("credentials")
        ordering = ["upstream", "account"]
        # What the admin lets people do; rows are added and changed by what upstreams answer.
        default_permissions = ["view", "delete"]
        permissions = [
            ("log_in_credential", _("Can log in at an upstream, and adopt tokens")),
            ("refresh_credential", _("Can refresh a credential, and try it again")),
            ("log_out_credential", _("Can log out a credential")),
            ("test_credential", _("Can test a credential by a call")),
            ("mark_rejected_credential", _("Can mark a credential as rejected")),
            ("rebind_credential", _("Can confirm that tokens are for other settings")),
        ]
        constraints = [models.UniqueConstraint(fields=["upstream", "account"], name="jwt_upstream_one_per_account")]
        indexes = [
            models.Index(
                fields=["upstream", "state", "failures", "next_attempt_at", "access_expires_at"],
                name="jwt_upstream_due",
            ),
            models.Index(fields=["state", "upstream", "account"], name="jwt_upstream_state"),
            models.Index(fields=["upstream", "worked_at"], name="jwt_upstream_worked"),
            models.Index(fields=["upstream", "state", "keep_alive_at"], name="jwt_upstream_keep_alive"),
        ]

    def __str__(self) -> str:
        return full_name(self.upstream, self.account)

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Insert all columns of a new row, but update only the upstream and the account of an existing one."""
        if self._state.adding:
            super().save(*args, update_fields=update_fields, **kwargs)
            return
        names = set(_NAMES).intersection(update_fields or _NAMES)
        using = kwargs.get("using") or router.db_for_write(Credential, instance=self)
        with transaction.atomic(using=using):
            if names:
                self._rebind(using)
            super().save(*args, update_fields=names, **kwargs)
            if names:
                own = self.incidents.using(using).filter(is_open=True).exclude(account="")
                own.update(**{name: getattr(self, name) for name in names})

    def _rebind(self, using: str) -> None:
        """Bind the tokens that the row has now, which may be newer than this instance's, to its new names."""
        rows = Credential._base_manager.using(using).filter(pk=self.pk)
        rows.update(generation=F("generation"))  # locks the row, on SQLite as well
        there = rows.first()
        if there and (there.upstream, there.account) != (self.upstream, self.account):
            rows.update(**{name: self.seal(name, getattr(there, name).open()) for name in SEALED})

    def seal(self, column: str, token: str) -> Encrypted:
        """Encrypt a token for a column of this row, the only place where it can be opened."""
        field = self._meta.get_field(column)
        assert isinstance(field, EncryptedTextField)
        return field.seal(self, token)

    def now(self) -> datetime:
        """Return the time by the database's clock if the row was read together with it, else by this host's."""
        return self.clock.now() if self.clock else host_now()

    @property
    def pair(self) -> TokenPair:
        """The decrypted tokens with their expiries; raises DecryptionError."""
        opened = (getattr(self, name).open() for name in _TOKENS)  # not as variables, which tracebacks show
        expiries = self.access_expires_at, self.refresh_expires_at
        return TokenPair(next(opened), next(opened), *expiries, Secrets.from_json(next(opened)))

    @property
    def needs_human(self) -> bool:
        """Whether it can't work again before a person acts."""
        return self.state != self.State.ACTIVE

    @property
    def never_had_tokens(self) -> bool:
        """Whether it has been without tokens from the first, and was not logged out on purpose."""
        return self.state == self.State.LOGGED_OUT and self.obtained_at is None

    @property
    def log_in_command(self) -> str:
        """The command that logs this account in, with another secret if its own was refused."""
        log_in = command("upstream_login", self.upstream, self.account)
        return f"{log_in} --new-secrets" if self.own_was_refused else log_in

    @property
    def own_was_refused(self) -> bool:
        """Whether the upstream refused what the account has of its own, which isn't sent again unasked."""
        return self.state == self.State.REJECTED and remedies.says_own_refused(self.reason)

    @property
    def remedy(self) -> str:
        """What a person should do so that it works again, with the command to log in at its end."""
        return remedies.line(self._obstacle, self.log_in_command)

    @property
    def instructions(self) -> str:
        """The same in sentences, for somebody who has the page and the command beside them."""
        return remedies.sentences(self._obstacle)

    @property
    def _obstacle(self) -> str:
        """What stands in the way, as ``remedies`` calls it; "" if nothing but a login helps."""
        if self.state == self.State.LOCKED:
            return "deleted" if says_deleted(self.reason) else "locked"
        if self.state == self.State.UNREADABLE:
            return _UNREADABLE.get(self.reason, "lost key")
        if self.own_was_refused:
            return "own"
        return "login" if self.failed_login else ""

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
