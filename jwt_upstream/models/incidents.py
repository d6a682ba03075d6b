"""The incidents, and what is yet to be told of them."""

from __future__ import annotations

from django.db import models
from django.db.models import F
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from jwt_upstream.clock import host_now
from jwt_upstream.fields import AwareDateTimeField, ExactCharField
from jwt_upstream.names import full_name

from .credentials import Credential


class Incident(models.Model):
    """A credential or a whole upstream in trouble, from the first sign until it works again; kept after that.

    There is at most one open incident of each credential, and one of each upstream, whose account is "". Causes that
    alternate are one incident: ``kind`` and ``reason`` are the latest. What admins are to be told of it is written as
    a ``Notice`` for each notifier.
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
    #: The kinds that admins are reminded of while they last; the others may end by themselves.
    REMINDED = NEEDS_HUMAN | {Kind.MISCONFIGURED}

    upstream = ExactCharField(_("upstream"), max_length=100)
    account = ExactCharField(
        _("account"), max_length=255, blank=True, help_text=_("Empty if it concerns the whole upstream.")
    )
    credential = models.ForeignKey(
        Credential,
        models.SET_NULL,
        verbose_name=_("credential"),
        null=True,
        related_name="incidents",
        help_text=_("The only credential concerned, if it is one."),
    )
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    url = models.CharField(_("URL"), max_length=500, blank=True, help_text=_("What was asked, if it is known."))
    concerns = models.CharField(
        _("concerns"), max_length=500, blank=True, help_text=_("Whom it concerned when it was told.")
    )
    generation = models.PositiveBigIntegerField(
        _("generation"), default=0, help_text=_("Of the tokens that failed last.")
    )
    since = AwareDateTimeField(_("since"), default=host_now, help_text=_("When the trouble began."))
    opened_at = AwareDateTimeField(_("opened at"), default=host_now)
    notified_at = AwareDateTimeField(_("told at"), null=True, help_text=_("When it was due to be told."))
    closed_at = AwareDateTimeField(_("closed at"), null=True)
    recovery_notified_at = AwareDateTimeField(
        _("end told at"), null=True, help_text=_("When it was due to be told that it is over.")
    )
    # NULL rather than False, since NULLs are all different: MariaDB has no unique constraint for some of the rows.
    is_open = models.BooleanField(_("open"), null=True, default=True)

    class Meta:
        verbose_name, verbose_name_plural = _("incident"), _("incidents")
        ordering = [F("is_open").desc(nulls_last=True), "-opened_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["upstream", "account", "is_open"], name="jwt_upstream_one_open_incident")
        ]
        indexes = [models.Index(fields=["closed_at"], name="jwt_upstream_closed")]

    def __str__(self) -> str:
        text = gettext("%(subject)s: %(kind)s since %(when)s")
        about = {"subject": self.subject, "kind": self.get_kind_display()}
        return text % {**about, "when": f"{self.since:%Y-%m-%d %H:%M:%S}"}

    @property
    def is_of_values(self) -> bool:
        """Whether settings don't allow what accounts have of their own: then nothing was asked, so there is no URL."""
        return self.kind == self.Kind.MISCONFIGURED and not self.url

    @property
    def subject(self) -> str:
        """The upstream, or the upstream and account, that is in trouble."""
        return full_name(self.upstream, self.account)


class Notice(models.Model):
    """What one notifier is to tell next of an incident, or of an expiry: the outbox.

    Written in the transaction that changes the incident, and changed by whoever tells: first it is opened, then a
    reminder while the incident lasts, then recovered, then deleted. One about an expiry stays, without ``due_at``,
    until that has passed, so that each expiry is told once.
    """

    class Kind(models.TextChoices):
        """What is to be told."""

        OPENED = "opened", _("opened")
        REMINDER = "reminder", _("reminder")
        RECOVERED = "recovered", _("recovered")
        EXPIRING = "expiring", _("expiring")

    notifier = models.CharField(_("notifier"), max_length=200)
    upstream = ExactCharField(_("upstream"), max_length=100)
    account = ExactCharField(
        _("account"), max_length=255, blank=True, help_text=_("Empty if it concerns the whole upstream.")
    )
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    incident = models.ForeignKey(
        Incident, models.CASCADE, verbose_name=_("incident"), null=True, related_name="notices"
    )
    expires_at = AwareDateTimeField(
        _("expires at"), null=True, help_text=_("Of a refresh token, or of the upstream's client secret.")
    )
    due_at = AwareDateTimeField(
        _("due at"), null=True, help_text=_("Not to be told before; empty if nothing is to be told.")
    )
    teller = models.CharField(
        _("teller"), max_length=50, blank=True, help_text=_("Whoever is telling it until it is due again.")
    )
    was_told = models.BooleanField(
        _("told before"),
        default=False,
        db_default=False,
        help_text=_("Whether it was told as something lesser before it got worse."),
    )
    attempts = models.PositiveIntegerField(
        _("failed attempts"), default=0, help_text=_("How often it could not be told.")
    )
    error = models.CharField(
        _("error"), max_length=200, blank=True, help_text=_("Why it could not be told the last time.")
    )

    class Meta:
        verbose_name, verbose_name_plural = _("notice"), _("notices")
        ordering = ["pk"]
        constraints = [
            # Where one column is NULL, as it is in each kind's own way, the rows are all different.
            models.UniqueConstraint(fields=["incident", "notifier"], name="jwt_upstream_one_notice"),
            models.UniqueConstraint(
                fields=["upstream", "account", "notifier", "expires_at"], name="jwt_upstream_one_warning"
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="jwt_upstream_notice_due"),
            models.Index(fields=["teller"], name="jwt_upstream_notice_teller"),
        ]

    def __str__(self) -> str:
        about = {"subject": full_name(self.upstream, self.account), "kind": self.get_kind_display()}
        return gettext("%(subject)s: %(kind)s by %(notifier)s") % {**about, "notifier": self.notifier}
