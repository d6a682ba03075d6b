"""The words of an alert: one line for a subject line, and sentences for somebody who has never heard of this app."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail as django_mail

from jwt_upstream.alerts import Alert, Trouble, log, mails
from jwt_upstream.clock import host_now

NOW = host_now()


def trouble(account: str = "ann", kind: str = "locked", **fields: Any) -> Trouble:
    """Return something to tell of that began ten minutes ago."""
    given: dict[str, Any] = {"reason": "HTTP 401", "what_to_do": f"Mend {kind}.", "until": NOW, **fields}
    return Trouble("up", account, kind, NOW - timedelta(minutes=10), **given)


def alert(kind: str, *troubles: Trouble, **counts: int) -> Alert:
    """Return a message about them."""
    return Alert("up", kind, troubles, counts or {troubles[0].kind: 1})


SECRET = trouble("", "secret", until=NOW.replace(year=2030, month=1, day=31))


@pytest.mark.parametrize(
    ("told", "subject"),
    [
        (alert("opened", trouble()), "up/ann is locked"),
        (alert("reminder", trouble()), "reminder: up/ann is still locked"),
        (alert("recovered", trouble()), "up/ann works again"),
        (alert("opened", trouble("", "down")), "upstream up is down"),
        (alert("recovered", trouble("", "down")), "upstream up works again"),
        (alert("expiring", SECRET), "upstream up: replace the client secret before 2030-01-31"),
        (alert("expiring", trouble(), expiring=3), "up: 3 logins end within days"),
        (alert("opened", trouble(), locked=49, rejected=1), "up: 49 accounts are locked, 1 account is rejected"),
        (alert("opened", trouble(), down=1, locked=1), "up: the upstream is down, 1 account is locked"),
        (alert("reminder", trouble(), locked=2), "reminder: up: 2 accounts are still locked"),
        (alert("recovered", trouble(), locked=2, down=1), "up: 3 incidents are over"),
        (alert("opened", trouble("a\nBcc: eve")), "up/a\\nBcc: eve is locked"),
        (Alert("", "test"), "test message"),
    ],
)
def test_subject(told: Alert, subject: str) -> None:
    """The subject says what is the matter, in one line."""
    assert told.subject == subject


@pytest.mark.parametrize("kind", ["text", "html"])
def test_every_kind_can_be_mailed(kind: str) -> None:
    """Every kind of message, about one and about many, is rendered with all that is known, and escaped in HTML."""
    for told in ("opened", "reminder", "recovered", "expiring"):
        for name in ("rejected", "locked", "unreadable", "failing", "expiring"):
            for number in (1, 3):
                written = alert(told, trouble("<b>&amp;", name, page="/page", link="https://x/page"), **{name: number})
                text = mails._rendered(f"jwt_upstream/mail/alert.{'txt' if kind == 'text' else 'html'}", written)
                assert ("<b>&amp;" in text) == (kind == "text")
                assert "https://x/page" in text
                assert (f"Mend {name}." in text) == (told != "recovered")
                assert "\n\n\n" not in text or kind == "html"


def test_whole_upstream() -> None:
    """What is told of a whole upstream names those concerned, and doubts it if that is one account of several."""
    for concerns, doubt in [("1 of 3 accounts at up: ann", True), ("3 of 3 accounts at up", False)]:
        told = alert("opened", trouble("", "misconfigured", concerns=concerns))
        text = " ".join(mails._rendered("jwt_upstream/mail/alert.txt", told).split())
        assert f"It concerns {concerns}." in text
        assert ("may be this account alone" in text) == doubt
        assert "reminded once a day" in text


def test_what_to_do_is_said_once() -> None:
    """In a message about many the same advice is given once."""
    troubles = [trouble("ann"), trouble("bea"), trouble("cid", "rejected")]
    told = alert("opened", *troubles, locked=2, rejected=1)
    assert [each.account for each in told.one_of_each] == ["ann", "cid"]


def test_how_long_it_lasted() -> None:
    """What is over says for how long it lasted; what is not over has no such time."""
    assert (trouble().lasted, trouble(until=None).lasted) == (timedelta(minutes=10), None)
    assert trouble().times["lasted"] == "10 min"


def test_log(caplog: Any) -> None:
    """The notifier that logs writes a line for each trouble, at a level that says whether it is over."""
    caplog.set_level(logging.INFO)
    log(alert("opened", trouble(link="https://x/page"), locked=3))
    log(alert("recovered", trouble()))
    log(Alert("", "test"))
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines == [
        ("ERROR", "opened: up/ann: HTTP 401; Mend locked. https://x/page"),
        ("ERROR", "opened: up: 3 accounts are locked"),
        ("INFO", "recovered: up/ann: HTTP 401; Mend locked."),
        ("INFO", "test: test message"),
    ]
    assert (caplog.records[0].upstream, caplog.records[0].account) == ("up", "ann")


def test_templates_of_the_project(settings: Any, tmp_path: Path) -> None:
    """A template of the project takes the place of ours, in the mail that is sent; the others stay."""
    folder = tmp_path / "jwt_upstream" / "mail"
    folder.mkdir(parents=True)
    (folder / "one.txt").write_text("Call Ida: {{ alert.troubles.0.account }} is {{ alert.troubles.0.kind }}.")
    (folder / "alert.html").write_text("<p>Ring <b>{{ alert.troubles.0.account }}</b>'s owner.</p>")
    settings.ADMINS = ["ida@example.com"]
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    mails.mail(alert("opened", trouble("<ann>")))
    sent: Any = django_mail.outbox[0]
    assert "Call Ida: <ann> is locked." in sent.body
    assert "Mend locked." not in sent.body
    assert sent.alternatives[0][0] == "<p>Ring <b>&lt;ann&gt;</b>'s owner.</p>\n"
