"""Every text that a person sees can be translated, and is in German and French; programs and logs get English."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.management import BaseCommand, call_command, load_command_class
from django.template import loader
from django.test import Client
from django.utils import timezone, translation

from jwt_upstream import recorded
from jwt_upstream.alerts import Alert, Trouble, deliver
from jwt_upstream.alerts.mails import mail as send
from jwt_upstream.alerts.notifiers import in_language_of
from jwt_upstream.backends import Outcome, Verdict, Where, get_backend
from jwt_upstream.backends.explain import read
from jwt_upstream.client import UpstreamClient
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import NotLoggedIn, UpstreamError
from jwt_upstream.login.first_pair import refused
from jwt_upstream.models import Credential, Event, Incident, Notice
from jwt_upstream.refresh import in_words, mismatched
from jwt_upstream.refresh.states import by_state
from jwt_upstream.testing import answer
from jwt_upstream.views.responses import problem
from tests.admin.conftest import browser as browser  # a superuser's
from tests.support.accounts import shop
from tests.support.admin_pages import EVENTS, INCIDENTS, LIST, UPSTREAMS, act, act_url, own_page
from tests.support.commands import run
from tests.support.pseudo import Visible, bracketed, texts, unmarked
from tests.support.rows import put

PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{\w+\}|--[a-z-]+|JWT_UPSTREAM\w*|manage\.py \w+")
LATE = Outcome(Verdict.REJECTED, recorded.LOGIN_TOO_LATE)
#: What rows, settings and HTTP say, and what is called by its name in every language.
DATA = set(
    re.findall(
        r"\w+",
        "crm erp acme default bob root jwt upstream testing maintenance https http example com api login check token "
        "refresh LexikBackend SimpleJWTBackend",
    )
)


@pytest.fixture
def marked(tmp_path: Path, settings: Any) -> Iterator[None]:
    """Everything is said in the language that shows what is marked."""
    with bracketed(tmp_path, settings):
        yield


@pytest.fixture
def rows(db: None) -> Credential:
    """A locked account with a history, one that fails, and their incidents."""
    now = timezone.now()
    locked = put("crm", "acme", username="bob", state="locked", reason="HTTP 401", since=now - timedelta(hours=3))
    put("erp", failures=2, failing_since=now - timedelta(hours=3), failure="maintenance", next_attempt_at=now)
    whose = {"upstream": "crm", "account": "acme", "credential": locked}
    Incident.objects.create(kind="locked", reason="HTTP 401", notified_at=now, **whose)
    Incident.objects.create(
        upstream="erp", kind="down", reason="maintenance", concerns="the only account at erp (default)"
    )
    Event.objects.create(upstream="crm", account="acme", kind="refreshed", reason="tried again", by="root")
    return locked


def english(*found: str) -> set[str]:
    """Return the words that are neither in brackets, which may go round several texts of a page, nor data."""
    words = re.findall(r"[A-Za-z]{3,}", unmarked(" ".join(found)))
    return {word for word in words if not word.isupper()} - DATA


def test_admin(browser: Client, marked: None, rows: Credential) -> None:
    """No page of the admin has a text that can't be translated."""
    failing, incident = Credential.objects.get(upstream="erp"), Incident.objects.get(upstream="erp")
    pages = [
        LIST,
        EVENTS,
        INCIDENTS,
        UPSTREAMS,
        own_page(rows),
        own_page(failing),
        f"{INCIDENTS}{incident.pk}/change/",
    ]
    pages += [
        act_url("log-in", "crm", "acme"),
        act_url("adopt", "crm", "acme"),
        act_url("mark-rejected", "erp"),
        "/admin/jwt_upstream/",
    ]
    responses = [browser.get(page) for page in pages] + [act(browser, "log_out", rows, failing)[0]]
    for response in responses:
        html = response.render().content.decode() if hasattr(response, "render") else response.content.decode()
        assert (response.status_code, english(*Visible(html).texts) - {"Search"}) == (200, set())  # Django's own


def test_form_of_an_account(browser: Client, marked: None, settings: Any) -> None:
    """Nor has the form for what an account has of its own, whose parameters are called as settings call them."""
    settings.JWT_UPSTREAM = shop()
    html = browser.get(act_url("register", "shop", None)).content.decode()
    assert english(*Visible(html).texts) - {"Search", "shop", "subdomain", "Subdomain", "region", "Region"} == set()


@pytest.mark.parametrize("kind", ["opened", "reminder", "recovered", "expiring", "test"])
def test_mails(marked: None, kind: str) -> None:
    """Nor has a mail, about one account or several."""
    now = timezone.now()
    trouble = Trouble("crm", "acme", "locked", now, now, "HTTP 401", link="https://example.com/", username="bob")
    for number in (1, 2):
        send(Alert("crm", kind, (trouble,), {"locked": number}))
        message: Any = mail.outbox[-1]
        html = (
            message.alternatives[0].content
            if hasattr(message.alternatives[0], "content")
            else message.alternatives[0][0]
        )
        plain = [line for line in message.body.splitlines() if not line.startswith("Subject")]
        assert english(*plain) | english(*Visible(html).texts) == set()


@pytest.mark.parametrize(
    "name", ["login", "logout", "probe", "prune", "rebind", "refresh", "rekey", "request", "status", "try_again"]
)
def test_help(marked: None, name: str) -> None:
    """Nor has the help of a command; what argparse and Django say in it is theirs."""
    command = load_command_class("jwt_upstream", f"upstream_{name}")
    parser = command.create_parser("manage.py", f"upstream_{name}")
    django_own = {action.help for action in BaseCommand().create_parser("", "")._actions}
    helps = [action.help for action in parser._actions if action.help not in django_own]
    said = [parser.description, parser.epilog, *helps]
    examples = re.compile(r"^.*manage\.py upstream_.*$", re.MULTILINE)
    assert english(*(examples.sub("", text or "") for text in said)) == set()


def test_commands(marked: None, rows: Credential, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor has what commands print."""
    monkeypatch.setenv("COLUMNS", "400")
    Credential.objects.filter(upstream="erp").update(state="rejected", reason="tried again")
    for name, *arguments in [
        ("status",),
        ("prune", "--dry-run"),
        ("rekey",),
        ("logout", "erp", "--yes"),
    ]:
        _, out, failed = run(f"upstream_{name}", *arguments)
        assert english(out, failed) == set()


def test_commands_that_send(marked: None, db: None, fake_upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor has what is printed of logins, refreshes and answers; the fields of a request are as they are sent."""
    monkeypatch.setenv("COLUMNS", "400")
    crm = fake_upstream("crm")
    put("erp", obtained_for={"origin": "https://old.example.com"}, state="active")
    given = ("upstream_login", "crm", "--tokens-stdin")
    for prepare, command in [
        (partial(crm.logged_in, expires_in=0), ("upstream_refresh",)),
        (crm.locked, ("upstream_try_again", "crm")),
        (crm.logged_in, ("upstream_try_again", "crm")),
        (crm.logged_in, ("upstream_probe", "crm", "--refresh")),
        (crm.logged_in, ("upstream_probe", "crm")),
        (crm.logged_in, ("upstream_rebind", "erp")),
        (crm.logged_in, ("upstream_rebind", "erp")),
        (crm.logged_in, given),
    ]:
        prepare()
        monkeypatch.setattr("sys.stdin", io.StringIO('{"access": "a"}'))
        _, out, failed = run(*command)
        assert "\u27e6" in out, command
        own = (line for line in out.splitlines() if not re.match(r"    (POST|GET|[\w-]+:|\{)", line))
        assert english(*own, failed) - {"access", "expires"} == set(), command


def test_what_decides(marked: None) -> None:
    """Nor has what decides on an answer where no rule does; a rule's place and what others said are as they are."""
    crm = get_backend("crm")
    answers: list[tuple[Where, int, Any]] = [
        ("api", 200, {}),
        ("api", 401, {}),
        ("api", 404, {}),
        ("login", 200, {"access": "a"}),
        ("login", 200, {}),
        ("login", 503, {}),
        ("login", 401, {}),
        ("login", 404, {}),
        ("login", 403, "<p>Please log in</p>"),
    ]
    for where, status, document in answers:
        assert english(read(crm, where, answer(status, body=document)).decided_by) == set()
    own = recorded.OF_OWN_CLIENT % {"source": recorded.OTHER_REFUSAL % {"status": 400}}
    assert english(recorded.translated_source(own)) == set()
    assert recorded.translated_source(recorded.OF_SETTINGS % {"source": "a rule"}) == (
        "⟦a refusal of what settings hold, by a rule⟧"
    )


def test_pages_for_visitors(marked: None) -> None:
    """Nor has the page that a visitor gets while an upstream is away, nor the problem for a program."""
    html = loader.render_to_string("jwt_upstream/unavailable.html", {"status": 503, "retry_after": 3})
    assert '<html lang="xx"' in html
    assert english(*Visible(html).texts, problem(HTTPStatus.SERVICE_UNAVAILABLE)["detail"]) == set()


@pytest.mark.parametrize("language", ["de", "fr"])
def test_translations(language: str) -> None:
    """Each text is translated, with the same placeholders and options; only names are the same in both languages."""
    ours, other = texts(language), texts("fr" if language == "de" else "de")
    assert ours.keys() == other.keys()
    for key, text in ours.items():
        source = key[0] if isinstance(key, tuple) else key
        different = {*PLACEHOLDER.findall(source)} ^ {*PLACEHOLDER.findall(text)}
        # A singular may be said without its number.
        assert not different or (isinstance(key, tuple) and all("number" in each for each in different)), (
            source,
            text,
        )
        assert text.strip(), source


def test_languages_of_readers(db: None, settings: Any, rows: Credential) -> None:
    """A person is answered in their language, and mails are in the project's; programs get English."""
    settings.LANGUAGE_CODE = "fr"
    told = {"notifier": "jwt_upstream.alerts.mail", "incident": Incident.objects.get(upstream="crm")}
    Notice.objects.create(upstream="crm", account="acme", kind="opened", due_at=timezone.now(), **told)
    with translation.override("de"):
        assert rows.remedy.startswith("lassen Sie das Konto beim Upstream entsperren")
        assert "gesperrt" in run("upstream_status")[1]
        assert json.loads(run("upstream_status", "crm", "--json")[1])["credentials"][0]["remedy"].startswith(
            "have the"
        )
        with pytest.raises(SystemExit):
            call_command("upstream_status", "--check", stdout=(line := io.StringIO()))
        assert "crm/acme locked" in line.getvalue()
        with pytest.raises(NotLoggedIn, match=r"crm/nobody was never logged in; log in: manage\.py"):
            UpstreamClient("crm", "nobody").get("orders/")
        deliver()
    assert "Faites déverrouiller le compte auprès du service amont." in str(mail.outbox[0].body)
    assert "verrouillé" in mail.outbox[0].subject


def test_marked_for_programs(settings: Any) -> None:
    """The webhook and the log are told in English, and so is a notifier that is marked as theirs are."""
    settings.LANGUAGE_CODE = "de"
    settings.JWT_UPSTREAM_NOTIFIERS = [
        "jwt_upstream.alerts.webhook",
        "jwt_upstream.alerts.log",
        "jwt_upstream.alerts.mail",
    ]
    told = []
    for name in conf.notifiers:
        with in_language_of(name):
            told.append(Alert("", "test").subject)
    assert told == ["test message", "test message", "Testnachricht"]
    settings.JWT_UPSTREAM_NOTIFIERS = ["tests.no_such_module.tell"]
    with in_language_of("tests.no_such_module.tell"):
        assert Alert("", "test").subject == "Testnachricht"


def test_recorded_words() -> None:
    """Reasons are stored in English, and shown in the reader's language; what others said stays as it is."""
    reason = recorded.MARKED_REJECTED % {"reason": "stolen by eve"}
    with translation.override("de"):
        assert recorded.translated(reason) == "als abgelehnt markiert: stolen by eve"
        assert recorded.translated("Account is disabled.") == "Account is disabled."
        assert (
            recorded.translated("2 of 9 accounts at crm, among them a, b") == "2 von 9 Konten bei crm, darunter a, b"
        )
    assert recorded.translated(reason) == reason


def test_login_that_failed(rows: Credential) -> None:
    """Where a login fails, the upstream's own words are between ours."""
    refusal = Outcome(Verdict.REJECTED, "Invalid credentials.", status_code=401)
    for reason, shown in [
        (refusal, "Invalid credentials."),
        (LATE, "die Anmeldung wurde vor mehr als 10 Minuten begonnen"),
    ]:
        error = refused("crm", "ann", reason)
        assert str(error).startswith("crm/ann: login failed: ")
        with translation.override("de"):
            assert in_words(error).startswith("crm/ann: Anmeldung fehlgeschlagen: ")
            assert shown in in_words(error)


def test_errors_in_words(rows: Credential) -> None:
    """What a person must do is said in their language, while the error itself is English."""
    put("crm", "gone", state="logged_out", reason="")
    moved = put("erp", obtained_for={"origin": "https://old.example.com"}, state="active")
    with translation.override("de"):
        assert run("upstream_try_again", "crm", "--account", "nobody")[2] == (
            "crm/nobody wurde nie angemeldet; melden Sie sich an: manage.py upstream_login crm --account nobody"
        )
        assert " abgemeldet; melden Sie sich an: " in run("upstream_try_again", "crm", "--account", "gone")[1]
        error: UpstreamError | None = mismatched(moved)
        assert error is not None
        assert "der Ursprung war https://old.example.com und ist jetzt https://erp.example.com" in in_words(error)
        assert "the origin was https://old.example.com and is https://erp.example.com now" in str(error)
        error = by_state(rows)
        assert in_words(error).startswith("crm/acme ist seit ")
        assert str(error).startswith("crm/acme has been locked since ")
