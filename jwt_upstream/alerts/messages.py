"""What a notifier is given: an alert, which names accounts and upstreams in trouble in words fit for anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from jwt_upstream.clock import host_now
from jwt_upstream.formatting import duration, timestamp
from jwt_upstream.models import Credential, Event, Incident, Notice
from jwt_upstream.names import command, full_name, harmless
from jwt_upstream.recorded import translated
from jwt_upstream.store import outbox

from .links import link, page

#: The events that end an account's incident.
_ENDS = (Event.Kind.REFRESHED, Event.Kind.LOGGED_IN, Event.Kind.RESTORED)

_SENTENCES = {
    "rejected": _(
        "%(upstream)s has refused the stored tokens of the account %(account)s. Somebody has to log in again."
    ),
    "locked": _("%(upstream)s says that the account %(account)s is locked or disabled."),
    "unreadable": _(
        "The stored tokens of the account %(account)s at %(upstream)s can't be decrypted with any of our keys."
    ),
    "failing": _("The account %(account)s gets no new token from %(upstream)s, while other accounts do."),
    "down": _("%(upstream)s gives out no new tokens: it is down, overloaded or can't be reached."),
    "misconfigured": _("%(upstream)s refuses our requests for new tokens: our settings for it seem to be wrong."),
    "values": _(
        "Our settings for %(upstream)s don't allow what one account or more have of their own: their parameters or "
        "secrets."
    ),
    "expiring": _("The login of the account %(account)s at %(upstream)s ends soon, and no refresh prolongs it."),
    "secret": _("Our client secret for %(upstream)s expires soon."),
}
_STOPPED = _("Until then every call to %(upstream)s with such an account fails at once, and nothing is sent.")
_DEGRADED = _(
    "Calls work until the present access tokens expire, then they fail. New tokens are requested again and again "
    "without your doing; nothing is lost."
)
_CONSEQUENCES = {
    "failing": _DEGRADED,
    "down": _DEGRADED,
    "misconfigured": _DEGRADED,
    "expiring": _("After that every call to %(upstream)s with this account fails."),
    "secret": _("After that no account gets a new token from %(upstream)s."),
}
_ADVICE = {
    "failing": _('Look at this account at %(upstream)s. If it is well there, open its page and press "Refresh now".'),
    "down": _("Nothing, unless it stays down: then ask whoever runs %(upstream)s."),
    "misconfigured": _(
        "Check the settings of %(upstream)s in JWT_UPSTREAM: client, paths, certificates. The command shows what is "
        "sent, and explains the answer."
    ),
    "values": _(
        "Correct ACCOUNTS of %(upstream)s in JWT_UPSTREAM, or store values that it allows: upstream_login --set. The "
        "command shows which accounts are concerned."
    ),
    "expiring": _("Log in again before it ends, on its page or by the command."),
    "secret": _(
        "Have a new one issued by %(upstream)s, and put it and its client_secret_expires_at into OPTIONS of this "
        "upstream in JWT_UPSTREAM."
    ),
}
_LABELS = {**dict(Incident.Kind.choices), "expiring": _("expiring"), "secret": _("client secret")}


@dataclass(frozen=True)
class Trouble:
    """An account, or a whole upstream, that an alert is about; no field holds a secret.

    ``kind`` is that of its incident, "expiring" (a refresh token) or "secret" (a client secret). ``until`` is when it
    worked again, or the expiry. ``reason`` is mostly what the upstream said, ``url`` what it was asked, without query.
    ``page`` is the path of its page in the admin, "" without the admin; ``link`` is the page's URL, "" if
    JWT_UPSTREAM_SITE_URL is not set. ``incident`` is the key of the ``Incident``,
    ``ended_by`` says what ended it, and who asked for that.
    """

    upstream: str
    account: str
    kind: str
    since: datetime
    until: datetime | None = None
    reason: str = ""
    url: str = ""
    concerns: str = ""
    username: str = ""
    what_to_do: str = ""
    command: str = ""
    page: str = ""
    link: str = ""
    incident: int | None = None
    ended_by: str = ""

    @property
    def subject(self) -> str:
        """Its name, such as "crm/acme" for an account and "upstream crm" for a whole upstream."""
        name = full_name(self.upstream, self.account)
        return name if self.account else gettext("upstream %(name)s") % {"name": name}

    @property
    def label(self) -> str:
        """What is wrong, in a word or two."""
        return str(_LABELS.get(self.kind, self.kind))

    @property
    def sentence(self) -> str:
        """What is wrong, in a sentence for somebody who knows nothing of this app."""
        names = {"upstream": harmless(self.upstream), "account": harmless(self.account)}
        return _SENTENCES.get(self._subject_matter, "") % names

    @property
    def consequence(self) -> str:
        """What that means for calls."""
        return _CONSEQUENCES.get(self._subject_matter, _STOPPED) % {"upstream": self.upstream}

    @property
    def _subject_matter(self) -> str:
        return "values" if Incident(kind=self.kind, url=self.url).is_of_values else self.kind

    @property
    def lasted(self) -> timedelta | None:
        """How long it lasted, if it is over."""
        return self.until - self.since if self.until else None

    @property
    def times(self) -> Mapping[str, str]:
        """Its moments and durations as texts: since, ago, until, left, lasted."""
        now, until = host_now(), self.until or self.since
        return {
            "since": timestamp(self.since),
            "ago": duration((now - self.since).total_seconds()),
            "until": timestamp(self.until),
            "left": duration((until - now).total_seconds()),
            "lasted": duration((until - self.since).total_seconds()),
        }

    @property
    def concerned(self) -> str:
        """Whom it concerns, as it is said in the language of the message."""
        return translated(self.concerns)

    @property
    def is_of_one(self) -> bool:
        """Whether it is told as the whole upstream's, but one account alone has shown it."""
        return not self.account and self.concerns.startswith("1 of ")


@dataclass(frozen=True)
class Alert:
    """One message: something begins, lasts or is over at one upstream.

    ``kind`` is "opened", "reminder", "recovered", "expiring", or "test" for one that only tries the notifiers.
    ``troubles`` are the first twenty of ``counts``, which says how many there are of each kind.
    """

    upstream: str
    kind: str
    troubles: tuple[Trouble, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    at: datetime = field(default_factory=host_now)

    @property
    def total(self) -> int:
        """How many accounts and upstreams it is about."""
        return sum(self.counts.values())

    @property
    def more(self) -> int:
        """How many of them ``troubles`` leaves out."""
        return self.total - len(self.troubles)

    @property
    def is_reminded(self) -> bool:
        """Whether there will be reminders of it."""
        return self.kind in {"opened", "reminder"} and bool(self.counts.keys() & set(Incident.REMINDED))

    @property
    def one_of_each(self) -> tuple[Trouble, ...]:
        """The first of the troubles for which the same is to be done."""
        return tuple({trouble.what_to_do: trouble for trouble in reversed(self.troubles)}.values())[::-1]

    @property
    def overview(self) -> str:
        """The URL, or else the path, of the admin's page with all credentials of the upstream."""
        path = page("credential_changelist")
        return f"{link(path) or path}?{urlencode({'upstream': self.upstream})}" if path else ""

    @property
    def subject(self) -> str:
        """The message in one line, without a line break whatever names contain."""
        if self.kind == "test":
            return gettext("test message")
        said = self._of_one(self.troubles[0]) if self.total == 1 else self._of_many()
        text = gettext("reminder: %(said)s") if self.kind == "reminder" else "%(said)s"
        return " ".join((text % {"said": said}).split())

    def _of_one(self, trouble: Trouble) -> str:
        about = {
            "subject": trouble.subject,
            "kind": trouble.label,
            "day": f"{trouble.until or trouble.since:%Y-%m-%d}",
        }
        if self.kind == "recovered":
            return gettext("%(subject)s works again") % about
        if self.kind == "reminder":
            return gettext("%(subject)s is still %(kind)s") % about
        if self.kind == "opened":
            return gettext("%(subject)s is %(kind)s") % about
        if trouble.account:
            return gettext("%(subject)s: log in again before %(day)s") % about
        return gettext("%(subject)s: replace the client secret before %(day)s") % about

    def _of_many(self) -> str:
        name = harmless(self.upstream)
        if self.kind == "recovered":
            text = ngettext("%(number)d incident is over", "%(number)d incidents are over", self.total)
            said = text % {"number": self.total}
        elif self.kind == "expiring":
            text = ngettext("%(number)d login ends within days", "%(number)d logins end within days", self.total)
            said = text % {"number": self.total}
        else:
            is_still = self.kind == "reminder"
            said = ", ".join(_counted(kind, number, is_still) for kind, number in sorted(self.counts.items()))
        return gettext("%(upstream)s: %(said)s") % {"upstream": name, "said": said}


def _counted(kind: str, number: int, is_still: bool) -> str:
    if kind in {"down", "misconfigured"}:
        text = gettext("the upstream is still %(kind)s") if is_still else gettext("the upstream is %(kind)s")
    elif is_still:
        text = ngettext("%(number)d account is still %(kind)s", "%(number)d accounts are still %(kind)s", number)
    else:
        text = ngettext("%(number)d account is %(kind)s", "%(number)d accounts are %(kind)s", number)
    return text % {"number": number, "kind": _LABELS.get(kind, kind)}


# -- made of rows


def alert_of(batch: outbox.Batch) -> Alert:
    """Return the message that a batch of notices is to be told as."""
    troubles = tuple(_of_incident(each.incident) if each.incident else _of_expiry(each) for each in batch.notices)
    return Alert(batch.group.upstream, batch.group.kind, troubles, batch.counts, batch.clock.now())


def _of_incident(incident: Incident) -> Trouble:
    row = incident.credential if incident.account else None
    path = page("credential_change", row.pk) if row else page("incident_change", incident.pk)
    matter = "values" if incident.is_of_values else incident.kind
    shown_by = command("upstream_status" if incident.is_of_values else "upstream_probe", incident.upstream)
    return Trouble(
        harmless(incident.upstream),
        harmless(incident.account),
        incident.kind,
        incident.since,
        incident.closed_at,
        translated(incident.reason),
        incident.url,
        incident.concerns,
        username=harmless(row.username) if row else "",
        what_to_do=_what_to_do(matter, row, incident.upstream),
        command=row.log_in_command if row else shown_by,
        page=path,
        link=link(path),
        incident=incident.pk,
        ended_by=_ended_by(incident),
    )


def _ended_by(incident: Incident) -> str:
    if not incident.closed_at or not incident.account:
        return ""
    events = Event.objects.using(incident._state.db).filter(upstream=incident.upstream, account=incident.account)
    event = _nearest(events.filter(kind__in=_ENDS), incident.closed_at)
    return gettext("%(event)s by %(by)s") % {"event": event.get_kind_display(), "by": event.by} if event else ""


def _nearest(events: QuerySet[Event], moment: datetime) -> Event | None:
    # Events have the time of the host that recorded them, which may be ahead of the database's.
    before = events.filter(at__lte=moment).order_by("-at")[:1]
    after = events.filter(at__gt=moment).order_by("at")[:1]
    return min([*before, *after], key=lambda event: abs(event.at - moment), default=None)


def _what_to_do(kind: str, row: Credential | None, upstream: str) -> str:
    if kind in _ADVICE:
        return _ADVICE[kind] % {"upstream": harmless(upstream)}
    return (row or Credential()).instructions


def _of_expiry(notice: Notice) -> Trouble:
    row = Credential.objects.using(notice._state.db).filter(upstream=notice.upstream, account=notice.account).first()
    kind, path = "expiring" if notice.account else "secret", page("credential_change", row.pk) if row else ""
    return Trouble(
        harmless(notice.upstream),
        harmless(notice.account),
        kind,
        since=(row.obtained_at if row else None) or host_now(),
        until=notice.expires_at,
        username=harmless(row.username) if row else "",
        what_to_do=_ADVICE[kind] % {"upstream": harmless(notice.upstream)},
        command=row.log_in_command if row else "",
        page=path,
        link=link(path),
    )
