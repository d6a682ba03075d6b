"""What people do from the admin: forms, actions on many, and what is said of them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test import Client
from django.utils import timezone

from jwt_upstream.admin import acting, bulk
from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh import mark_rejected
from jwt_upstream.testing import logged_in
from tests.support.admin_pages import LIST, act, act_url, messages_of, own_page, page, staff
from tests.support.rows import kinds, put, unbind
from tests.support.upstream import Answer, Upstream

# -- actions


def test_refresh_now(browser: Client, client: UpstreamClient, credential: Credential) -> None:
    """Refreshing on an operator's word stores a new pair and records whose word it was."""
    response, messages = act(browser, "try_again", credential)
    assert response["Location"] == LIST
    assert messages == [("success", "Credential up/default works: it has a new token.")]
    assert Credential.objects.get().pair.access == "access-2"
    assert Event.objects.get(kind="restored").by.startswith("admin by root (")


def test_try_again_after_unlocking(
    browser: Client, client: UpstreamClient, upstream: Upstream, credential: Credential
) -> None:
    """A locked credential works again without a login, and one message says what came of all that were tried."""
    Credential.objects.update(state="locked", reason="Account is disabled.")
    other = logged_in("up", "ann", refresh="stale")
    _, messages = act(browser, "try_again", credential, other)
    ((level, text),) = messages
    assert level == "warning"
    assert text.startswith("1 refreshed, 1 failed: up/ann has been rejected since ")
    assert Credential.objects.get(account="default").state == "active"


def test_refresh_many(
    browser: Client, client: UpstreamClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many are refreshed several at a time, each once, and one message says so."""
    upstream.answers["/refresh"] = lambda seen: Answer(200, {"access": f"new-{seen.json()['refresh']}"}, delay=0.05)
    rows = [logged_in("up", f"tenant-{number}", refresh=f"refresh-of-{number}") for number in range(20)]
    monkeypatch.setattr(bulk, "SECONDS", 60)  # on a busy machine; test_bulk.py is about the time
    _, messages = act(browser, "try_again", *rows)
    assert messages == [("success", "20 refreshed.")]
    assert upstream.refreshes == 20
    tokens = {row.pair.access for row in Credential.objects.filter(account__startswith="tenant-")}
    assert tokens == {f"new-refresh-of-{number}" for number in range(20)}


def test_button_leads_back_to_the_page(browser: Client, credential: Credential) -> None:
    """The buttons on a credential's page lead back there."""
    response, _ = act(browser, "try_again", credential, back_to=credential.pk)
    assert response["Location"] == own_page(credential)


@pytest.mark.parametrize(
    ("state", "told"), [("active", "unreadable"), ("unreadable", "unreadable"), ("rejected", "rejected")]
)
def test_try_again_without_the_key(
    browser: Client, credential: Credential, settings: Any, state: str, told: str
) -> None:
    """Without the key, trying again is refused with a message, and the ciphertext stays."""
    Credential.objects.update(state=state)
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    _, ((level, text),) = act(browser, "try_again", credential)
    assert level == "error"
    assert text.startswith(f"Failed: up/default has been {told} since ")
    assert Credential.objects.get().access_token == credential.access_token


def test_try_again_where_nobody_is_logged_in(browser: Client, db: None) -> None:
    """Without tokens there is nothing to try: the message says how to log in."""
    credential = put("crm", state="logged_out", access_token="", refresh_token="")
    _, ((level, text),) = act(browser, "try_again", credential)
    assert level == "error"
    assert text.endswith("log in: manage.py upstream_login crm")


def test_try_again_at_an_upstream_that_is_gone(browser: Client, settings: Any) -> None:
    """Trying a credential of an upstream that is no longer configured again ends in a message."""
    credential = put("crm")
    settings.JWT_UPSTREAM = {}
    _, ((level, text),) = act(browser, "try_again", credential)
    assert (level, text) == ("error", "Failed: no upstream 'crm' in JWT_UPSTREAM; it has none")


def test_log_out(browser: Client, client: UpstreamClient, credential: Credential) -> None:
    """Logging out forgets the tokens and records by whom, once it is confirmed."""
    response, messages = act(browser, "log_out", credential)
    assert messages == []
    assert Credential.objects.get().state == "active"
    html = response.rendered_content
    assert "The tokens of this account will be deleted." in html
    assert "<strong>up/default</strong>" in html
    assert "Username: bob" in html
    assert "Access token: unknown expiry" in html
    _, ((level, text),) = act(browser, "log_out", credential, confirmed="yes")
    assert level == "success"
    assert text.startswith("Credential up/default is logged out; its tokens are deleted.")
    row = Credential.objects.get()
    assert (row.state, bool(row.access_token), bool(row.refresh_token)) == ("logged_out", False, False)
    assert Event.objects.get(kind="logged_out").by.startswith("admin by root (")


def test_log_out_of_what_was_shown(browser: Client, client: UpstreamClient, credential: Credential) -> None:
    """Of two tabs the older one logs nobody out who has logged in since, but shows its page again."""
    mark_rejected(credential, "stolen")
    html = act(browser, "log_out", credential)[0].rendered_content
    given = dict(re.findall('type="hidden" name="(confirmed|shown)" value="([^"]+)"', html))
    client.login(username="bob", password="correct horse")
    response, messages = act(browser, "log_out", credential, **given)
    assert ("Access token:" in response.rendered_content, messages) == (True, [])
    given = dict(re.findall('type="hidden" name="(confirmed|shown)" value="([^"]+)"', response.rendered_content))
    client.refresh()
    assert act(browser, "log_out", credential, **given)[1][0][0] == "success"


def test_log_out_many(browser: Client, client: UpstreamClient, credential: Credential) -> None:
    """What many accounts will lose is listed before, and one message says what came of all."""
    other = logged_in("up", "ann")
    gone = put("up", "zoe", state="logged_out", access_token="", refresh_token="")
    Credential.objects.filter(pk=other.pk).update(access_expires_at=timezone.now() - timedelta(minutes=3))
    response, _ = act(browser, "log_out", credential, other, gone, back_to=credential.pk)
    html = response.rendered_content
    assert "The tokens of these 3 accounts will be deleted." in html
    assert re.search("Access token: expired <time [^>]*>3 minutes ago<", html)
    assert "No tokens are stored." in html
    assert f'href="{own_page(credential)}">Cancel' in html
    chosen = [int(key) for key in re.findall('name="_selected_action" value="([0-9]+)"', html)]
    assert set(chosen) == {credential.pk, other.pk, gone.pk}
    _, messages = act(browser, "log_out", credential, other, gone, confirmed="yes")
    assert messages == [("success", "3 logged out.")]
    assert set(Credential.objects.values_list("state", flat=True)) == {"logged_out"}


def test_upstream_is_told(browser: Client, client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Where it can be told of a logout the page says so before, and the message what came of it."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["revoke_path"] = "revoke"
    upstream.answers["/revoke"] = Answer(503)
    rows = [Credential.objects.get(), logged_in("up", "ann"), logged_in("up", "bea")]
    assert "The upstream will be told." in act(browser, "log_out", *rows)[0].rendered_content
    _, ((_, text),) = act(browser, "log_out", rows[0], confirmed="yes")
    assert "The upstream could not be told: HTTP 503" in text
    _, messages = act(browser, "log_out", *rows[1:], confirmed="yes")
    assert messages[-1] == ("success", "2 logged out (the upstream could not be told of 2).")


@pytest.mark.parametrize(("action", "kind"), [("try_again", "refreshed"), ("log_out", "logged_out")])
def test_more_than_are_done_at_once(
    transactional_db: None,
    browser: Client,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    kind: str,
) -> None:
    """Who selects all once more gets to those that were left."""
    upstream.answers["/refresh"] = lambda seen: Answer(200, {"access": f"new-{seen.json()['refresh']}"})
    rows = [logged_in("up", name, refresh=f"refresh-of-{name}") for name in "abcd"]
    monkeypatch.setattr(bulk, "MOST", 2)  # more than five hundred rows would take many seconds
    messages = [act(browser, action, rows[0], select_across=1, confirmed="yes")[1][-1][1] for _ in range(2)]
    assert messages == [f"2 {kind.replace('_', ' ')}, 2 more, as 2 are done at a time: select them again."] * 2
    assert sorted(Event.objects.filter(kind=kind).values_list("account", flat=True)) == ["a", "b", "c", "d"]


def test_log_out_of_more_than_fit_a_form(browser: Client, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more are logged out at once than a form can name, and the page says so."""
    monkeypatch.setattr(bulk, "MOST", 2)
    response, _ = act(browser, "log_out", *(put("crm", name) for name in "abc"))
    assert "No more than 2 are logged out at once" in response.rendered_content
    assert response.rendered_content.count('name="_selected_action"') == 2


def test_log_out_where_nothing_is_configured(browser: Client, credential: Credential, settings: Any) -> None:
    """At an upstream that is not configured any more the tokens can be forgotten, and nobody is told."""
    settings.JWT_UPSTREAM = {}
    response, _ = act(browser, "log_out", credential)
    assert "The upstream will not be told" in response.rendered_content


# -- logging in


def test_log_in(browser: Client, client: UpstreamClient, upstream: Upstream, credential: Credential) -> None:
    """The form asks for what the backend's login asks for, with the username filled in, and logs in."""
    html = page(browser, act_url("log-in", "up"))
    assert re.search('<input type="text" name="login_username" value="bob" autocomplete="off"', html)
    assert re.search('<input type="password" name="login_password" autocomplete="off"', html)
    response = browser.post(act_url("log-in", "up"), {"login_username": "bob", "login_password": upstream.password})
    assert response["Location"] == own_page(credential)
    assert messages_of(response) == [("success", "Logged in: up/default.")]
    event = Event.objects.latest("pk")
    assert (event.kind, event.by.partition(" (")[0]) == ("logged_in", "admin by root")
    assert Credential.objects.get().pair.access == "access-2"


def test_log_in_for_the_first_time(browser: Client, upstream: Upstream, transactional_db: None) -> None:
    """At an upstream where nobody was logged in the form also asks for the account's name, "default" at first."""
    url = act_url("log-in", "up", None)
    assert 'name="account" value="default"' in page(browser, url)
    data = {"account": "acme", "login_username": "bob", "login_password": upstream.password}
    assert "messages" not in browser.post(url, {**data, "account": "a\u202eb"}).headers
    assert upstream.seen == []
    browser.post(url, data)
    assert str(Credential.objects.get()) == "up/acme"


@pytest.mark.parametrize("data", [{"login_password": "hunter2-Zebra"}, {}])
def test_log_in_refused(
    browser: Client, client: UpstreamClient, upstream: Upstream, credential: Credential, data: dict[str, str]
) -> None:
    """A refusal is told on the page, which keeps the username and never the password; what was stored is kept."""
    response = browser.post(act_url("log-in", "up"), {"login_username": "bobby", **data})
    html = response.content.decode()
    assert ("login failed: HTTP 401: No active account found" in html) == bool(data)
    assert ("This field is required." in html) == (not data)
    assert 'value="bobby"' in html
    assert "hunter2" not in html
    assert Credential.objects.get().pair.access == "access-1"


def test_log_in_with_nothing_to_type(
    browser: Client, upstream: Upstream, transactional_db: None, settings: Any
) -> None:
    """Where settings have all that a login sends, the form has a button only."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["login_fields"] = {"key": "{api_key}"}
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["api_key"] = "squid-Ink-77"
    upstream.answers["/login"] = lambda _: Answer(200, upstream.issue())
    logged_in("up")
    html = page(browser, act_url("log-in", "up"))
    assert "There is nothing to fill in" in html
    assert "squid" not in html
    assert messages_of(browser.post(act_url("log-in", "up"))) == [("success", "Logged in: up/default.")]


def test_who_may_log_in_only(upstream: Upstream, transactional_db: None) -> None:
    """Somebody who may log in but not view credentials is led to the admin's first page."""
    url, data = act_url("log-in", "up", None), {"login_username": "bob", "login_password": upstream.password}
    assert staff("log_in_credential").post(url, {"account": "default", **data})["Location"] == "/admin/"


@pytest.mark.parametrize("name", ["log-in", "adopt", "mark-rejected", "test"])
@pytest.mark.parametrize(
    "query",
    ["", "?upstream=none", "?upstream=crm&account=nobody", "?upstream=crm&account=", "?upstream=x&account=%00"],
)
def test_unknown_accounts(browser: Client, name: str, query: str) -> None:
    """Pages about what isn't there are not found."""
    assert browser.post(f"{LIST}{name}/{query}").status_code == 404


@pytest.mark.parametrize("name", ["mark-rejected", "test"])
def test_account_that_was_not_named(browser: Client, name: str) -> None:
    """What is done to tokens needs an account."""
    assert browser.post(act_url(name, "crm", None)).status_code == 404


def test_reports_of_errors(browser: Client, client: UpstreamClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks during a login, neither the request nor any local variable has the password any more."""

    def break_down(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of order")

    # Patched, since only a bug gets here.
    monkeypatch.setattr(acting, "login", break_down)
    browser.raise_request_exception = True
    data = {"login_username": "bob", "login_password": "hunter2-Zebra"}
    with pytest.raises(RuntimeError) as caught:
        browser.post(act_url("log-in", "up"), data)
    frames = [frame for frame in caught.traceback if "jwt_upstream/" in str(frame.path)]
    assert len(frames) > 2
    values = [value for frame in frames for value in frame.locals.values()]
    shown = [repr(value) + repr(getattr(value, "POST", "")) + repr(getattr(value, "body", "")) for value in values]
    assert "hunter2" not in "".join(shown)


def test_with_atomic_requests(
    browser: Client, client: UpstreamClient, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ATOMIC_REQUESTS no transaction of the page is in the way of what is sent and stored, on SQLite either."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    data = {"login_username": "bob", "login_password": upstream.password}
    assert browser.post(act_url("log-in", "up"), data).status_code == 302
    assert browser.post(act_url("mark-rejected", "up"), {"reason": "stolen"}).status_code == 302
    assert act(browser, "try_again", Credential.objects.get())[1][0][0] == "success"
    assert kinds() == ["logged_in", "logged_in", "rejected", "restored", "refreshed"]


# -- adopting


def test_adopt(browser: Client, client: UpstreamClient, upstream: Upstream, credential: Credential) -> None:
    """Tokens from elsewhere are stored; nothing is sent, and they are not shown again."""
    pair = upstream.issue()
    data = {"access_token": pair["access"], "refresh_token": pair["refresh"]}
    response = browser.post(act_url("adopt", "up"), data)
    assert messages_of(response) == [("success", "Tokens adopted: up/default.")]
    assert (Credential.objects.get().pair.access, upstream.seen) == (pair["access"], [])
    assert Event.objects.latest("pk").by.startswith("admin by root (")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"access_token": "gar bage"}, "access token has a character that an HTTP header can&#x27;t carry"),
        ({"refresh_token": "garbage"}, "This field is required."),
    ],
)
def test_adopt_what_is_no_token(browser: Client, data: dict[str, str], said: str) -> None:
    """What can't be a token is refused without being shown."""
    put("crm")
    html = browser.post(act_url("adopt", "crm"), data).content.decode()
    assert said in html
    assert "bage" not in html
    assert Credential.objects.get().pair.access == "test-access"


# -- marking as rejected, and testing


def test_mark_rejected(browser: Client, client: UpstreamClient, credential: Credential) -> None:
    """A credential is marked as rejected with a reason, which the history keeps with the name of who gave it."""
    url = act_url("mark-rejected", "up")
    assert "For tokens that must not be used any more" in page(browser, url)
    assert "must be 1 to 255 printable" in browser.post(url, {"reason": "a\u202eb"}).content.decode()
    response = browser.post(url, {"reason": "stolen"})
    assert messages_of(response) == [("success", "Marked as rejected: up/default.")]
    event = Event.objects.latest("pk")
    assert (event.kind, event.reason, event.by.partition(" (")[0]) == (
        "rejected",
        "marked as rejected: stolen",
        "admin by root",
    )
    assert "up/default has been rejected since" in browser.post(url, {"reason": "again"}).content.decode()


@pytest.fixture
def tested(credential: Credential, settings: Any) -> Credential:
    """A credential whose upstream can be tested."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["test_path"] = "me/"
    return credential


def test_test(browser: Client, tested: Credential, upstream: Upstream) -> None:
    """A test sends one GET with the stored token, and explains the answer without its values."""
    assert browser.get(act_url("test", "up")).status_code == 405
    html = browser.post(act_url("test", "up")).content.decode()
    assert "<dd>OK</dd>" in html
    assert "<dt>Decided by</dt><dd>no error</dd>" in html
    assert "HTTP 200, application/json" in html
    assert "The caller gets the answer." in html
    assert "token (text)" in html
    assert "access-1" not in html
    assert [(seen.method, seen.path) for seen in upstream.seen] == [("GET", "/me/")]
    assert kinds() == ["logged_in"]


def test_test_that_fails(browser: Client, tested: Credential, upstream: Upstream, settings: Any) -> None:
    """A refused token is explained and not refreshed; if there is no answer, or no token, that is said."""
    upstream.expire()
    upstream.answers["/me/"] = Answer(401, {"detail": "no"}, {"WWW-Authenticate": "Bearer access-1"})
    html = browser.post(act_url("test", "up")).content.decode()
    assert "<dd>EXPIRED</dd>" in html
    assert "<dt>WWW-Authenticate</dt><dd>Bearer […]</dd>" in html
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://127.0.0.1:1/"
    assert "nothing was sent, since its tokens" in browser.post(act_url("test", "up")).content.decode()
    unbind()
    assert "No answer: NewConnectionError: Connection refused" in browser.post(act_url("test", "up")).content.decode()
    Credential.objects.update(access_token="")
    assert "up/default has no access token to call with" in browser.post(act_url("test", "up")).content.decode()


def test_test_without_a_path(browser: Client, credential: Credential) -> None:
    """Without a test_path there is nothing to test with."""
    assert browser.post(act_url("test", "up")).status_code == 404
