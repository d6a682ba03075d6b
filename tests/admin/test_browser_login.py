"""Logging in from the admin on the upstream's own page: there and back, once, by whoever began it."""

from __future__ import annotations

import re
from datetime import timedelta
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.test import AsyncRequestFactory, Client, RequestFactory
from django.utils import timezone

from jwt_upstream.admin.browser_login import session
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import LoginRejected
from jwt_upstream.login import BrowserLogin
from jwt_upstream.models import Credential, Event
from jwt_upstream.testing import logged_in
from tests.support.admin_pages import LIST, act_url, messages_of, own_page, page, staff
from tests.support.authorization_server import AuthorizationServer

CALLBACK = f"{LIST}logged-in/drive/"


@pytest.fixture
def credential(drive: AuthorizationServer, transactional_db: None) -> Credential:
    """What is stored before, and must be there after every failure."""
    return logged_in("drive", "acme", access="before", refresh="before-too")


def begin(browser: Client, new: str = "") -> str:
    """Press the button, for a new account if one is named; return where the browser is led to."""
    response = browser.post(act_url("log-in", "drive", None if new else "acme"), {"account": new})
    assert response.status_code == 302
    return str(response["Location"])


def back(drive: AuthorizationServer, url: str) -> str:
    """Log in at the upstream; return where the browser is led back to."""
    return drive.visit(url).removeprefix("http://testserver")


def refusal(browser: Client, url: str) -> str:
    """Come back with what must not be accepted; return what is said, having checked that nothing was stored."""
    before = [(row.pair, row.generation) for row in Credential.objects.all()]
    response = browser.get(url)
    level, text = messages_of(response)[-1]
    assert (level, response["Location"]) == ("error", act_url("log-in", "drive", None))
    assert [(row.pair, row.generation) for row in Credential.objects.all()] == before
    assert "code-" not in text
    return text


def test_there_and_back(browser: Client, drive: AuthorizationServer, credential: Credential) -> None:
    """The button leads to the upstream with state and PKCE, and back to the credential's page, which works."""
    html = page(browser, act_url("log-in", "drive", "acme"))
    assert "You log in on the upstream&#x27;s own page, and come back here." in html
    assert f'<code class="jwt-upstream-address">http://testserver{CALLBACK}</code>' in html
    assert "login_code" not in html
    url = begin(browser)
    asked = dict(parse_qsl(urlsplit(url).query))
    assert asked["redirect_uri"] == f"http://testserver{CALLBACK}"
    assert asked["code_challenge_method"] == "S256"
    response = browser.get(back(drive, url))
    assert response["Location"] == own_page(credential)
    assert messages_of(response) == [("success", "Logged in: drive/acme.")]
    event = Event.objects.latest("pk")
    assert (event.kind, event.by.partition(" (")[0]) == ("logged_in", "admin by root")
    assert UpstreamClient("drive", "acme").get("files/").json()["token"] == "access-1"
    assert page(browser, act_url("log-in", "drive", "acme"))  # the form is still there for the next time


def test_new_account(browser: Client, drive: AuthorizationServer, transactional_db: None) -> None:
    """For an account that has no credential yet its name is asked for, and checked before anybody is led anywhere."""
    assert 'name="account" value="default"' in page(browser, act_url("log-in", "drive", None))
    response = browser.post(act_url("log-in", "drive", None), {"account": "a\u202eb"})
    assert "must be 1 to 255 printable characters" in response.content.decode()
    browser.get(back(drive, begin(browser, "globex")))
    assert str(Credential.objects.get()) == "drive/globex"


def test_address_of_the_site(browser: Client, drive: AuthorizationServer, settings: Any, db: None) -> None:
    """Where settings say how the site is reached, whatever the request says, that is the address to come back to."""
    settings.JWT_UPSTREAM_SITE_URL = "https://ops.example.com"
    asked = dict(parse_qsl(urlsplit(begin(browser, "acme")).query))
    assert asked["redirect_uri"] == f"https://ops.example.com{CALLBACK}"


def test_nothing_of_it_is_readable(browser: Client, drive: AuthorizationServer, db: None) -> None:
    """The session, which may be a cookie, has neither the state nor the verifier in readable form."""
    asked = dict(parse_qsl(urlsplit(begin(browser, "acme")).query))
    assert asked["state"] not in str(dict(browser.session))


@pytest.mark.parametrize(
    ("returns", "said"),
    [
        ({"iss": "https://evil.example.com"}, "Not logged in: drive/acme: login failed: the redirected URL comes"),
        ({"code": None}, "the redirected URL has neither a code nor an error"),
        ({"code": None, "error": "access_denied"}, "access was denied, by the person or by the server"),
        ({"code": None, "error": "invalid_scope"}, "the scope in OPTIONS is unknown or not allowed to this client"),
        ({"code": None, "error": "server_error", "error_description": "<b>no</b>"}, "the server failed"),
        ({"code": "code-that-was-used"}, "HTTP 400: code is unknown or was used"),
    ],
)
def test_login_that_fails(
    browser: Client, drive: AuthorizationServer, credential: Credential, returns: dict[str, str | None], said: str
) -> None:
    """Whatever is wrong with the redirect is a message, and nothing is stored; the login is over then."""
    drive.returns = returns
    url = back(drive, begin(browser))
    text = refusal(browser, url)
    assert said in text
    assert text.endswith("; nothing was stored.")
    assert "no login was begun here, or it was completed already" in refusal(browser, url)


def test_redirect_that_comes_again(browser: Client, drive: AuthorizationServer, credential: Credential) -> None:
    """A reload of the address does nothing: no code is sent twice, for which a server may end the tokens."""
    url = back(drive, begin(browser))
    browser.get(url)
    assert "it was completed already" in refusal(browser, url)
    assert len(drive.exchanges) == 1


@pytest.mark.parametrize("engine", ["db", "cache"])
def test_redirect_that_comes_twice_at_once(drive: AuthorizationServer, db: None, engine: str, settings: Any) -> None:
    """Of two requests that have both read the session by now, one completes the login."""
    store = import_module(f"django.contrib.sessions.backends.{engine}").SessionStore
    first, second = RequestFactory().get("/"), RequestFactory().get("/")
    first.session = store()
    begun = BrowserLogin.begin("drive", "acme", "http://testserver/")
    redirected = drive.visit(begun.url)
    session.remember(first, begun)
    first.session.save()
    second.session = store(first.session.session_key)
    assert second.session.get("jwt_upstream_browser_logins")
    assert session.recall(first, "drive", redirected).account == "acme"
    with pytest.raises(LoginRejected, match="it was completed already"):
        session.recall(second, "drive", redirected)


def test_logout_meanwhile(drive: AuthorizationServer, db: None) -> None:
    """Nor is one completed whose session somebody has ended by now."""
    request = RequestFactory().get("/")
    request.session = SessionStore()
    session.remember(request, begun := BrowserLogin.begin("drive", "acme", "http://testserver/"))
    request.session.save()
    SessionStore(request.session.session_key).delete()
    with pytest.raises(LoginRejected, match="no login was begun here"):
        session.recall(request, "drive", drive.visit(begun.url))


def test_tabs(browser: Client, drive: AuthorizationServer, transactional_db: None) -> None:
    """Logins that were begun in several tabs are each completed, in any order; the oldest of many is forgotten."""
    forgotten, *urls = (back(drive, begin(browser, f"tab-{number}")) for number in range(4))
    assert "belongs to another login" in refusal(browser, forgotten)
    for url in (urls[1], urls[2], urls[0]):
        assert messages_of(browser.get(url))[-1][0] == "success"
    assert "no login was begun here" in refusal(browser, urls[0])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("?code=theirs&state=theirs", "the redirected URL belongs to another login"),
        ("?error=access_denied", "the redirected URL has no state"),
    ],
)
def test_redirect_of_another_login(
    browser: Client, drive: AuthorizationServer, credential: Credential, wrong: str, said: str
) -> None:
    """A redirect without the state of a login that waits is refused, and the login goes on waiting."""
    url = back(drive, begin(browser))
    assert said in refusal(browser, f"{CALLBACK}{wrong}")
    assert browser.get(url)["Location"] == own_page(credential)


def test_redirect_that_nobody_asked_for(browser: Client, drive: AuthorizationServer, credential: Credential) -> None:
    """Whoever is lured to the address with somebody's code logs in nobody."""
    assert "no login was begun here" in refusal(browser, f"{CALLBACK}?code=theirs&state=theirs")
    begin(browser)
    assert "belongs to another login" in refusal(browser, f"{CALLBACK}?code=theirs&state=theirs")
    assert drive.exchanges == []


def test_another_users_session(browser: Client, drive: AuthorizationServer, credential: Credential) -> None:
    """What one user began can't be completed in another one's session, nor after a logout."""
    other = Client()
    other.force_login(User.objects.create(username="eve", is_staff=True, is_superuser=True))
    url = back(drive, begin(browser))
    assert "no login was begun here" in refusal(other, url)
    begin(other)
    assert "belongs to another login" in refusal(other, url)
    browser.logout()
    assert "/login/" in browser.get(url)["Location"]
    browser.force_login(User.objects.get(username="root"))
    assert "no login was begun here" in refusal(browser, url)
    assert drive.exchanges == []


def test_ten_minutes(browser: Client, drive: AuthorizationServer, credential: Credential) -> None:
    """Whoever comes back after more than ten minutes has to begin again."""
    url = back(drive, begin(browser))
    with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=False):
        assert "begun more than 10 minutes ago" in refusal(browser, url)
    assert drive.exchanges == []


def test_permission_on_both_ends(browser: Client, drive: AuthorizationServer, credential: Credential) -> None:
    """The permission to log in is needed to begin, and still needed on the way back."""
    assert staff("view_credential").post(act_url("log-in", "drive", "acme")).status_code == 403
    User.objects.all().delete()
    ann = staff("log_in_credential")
    url = back(drive, begin(ann))
    User.objects.get(username="ann").user_permissions.clear()
    assert ann.get(url).status_code == 403
    assert drive.exchanges == []
    assert Credential.objects.get().pair == credential.pair


def test_who_may_log_in_only(drive: AuthorizationServer, transactional_db: None) -> None:
    """Somebody who may log in but not view credentials is led to the admin's first page."""
    ann = staff("log_in_credential")
    assert ann.get(back(drive, begin(ann, "acme")))["Location"] == "/admin/"


@pytest.mark.parametrize("more", ["&next=https://evil.example.com", "&redirect_uri=//evil.example.com", "&upstream=x"])
def test_no_open_redirect(browser: Client, drive: AuthorizationServer, credential: Credential, more: str) -> None:
    """Nothing in the redirect decides where the browser goes next, nor whose account it is."""
    response = browser.get(back(drive, begin(browser)) + more)
    assert response["Location"] == own_page(credential)
    assert refusal(browser, f"{CALLBACK}?code=c{more}")
    assert browser.get(f"{LIST}logged-in//evil.example.com/?code=c&state=s").status_code == 404


def test_stranger_comes_back(drive: AuthorizationServer, transactional_db: None) -> None:
    """Whoever is not signed in is led to the login page, whose address has neither the code nor the state."""
    response = Client().get(f"{CALLBACK}?code=code-1&state=secret")
    assert response["Location"] == f"/admin/login/?next={CALLBACK}"


def test_begins_with_a_post(browser: Client, drive: AuthorizationServer, credential: Credential) -> None:
    """Only a POST begins a login, for which Django checks its CSRF token; only a GET comes back."""
    browser.get(act_url("log-in", "drive", "acme"))
    assert "jwt_upstream_browser_logins" not in browser.session
    url = back(drive, begin(browser))
    for method in (browser.post, browser.head):
        assert method(url).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="root"))
    assert strict.post(act_url("log-in", "drive", "acme")).status_code == 403
    assert browser.get(url)["Location"] == own_page(credential)


def test_settings_that_lack_something(
    browser: Client, drive: AuthorizationServer, credential: Credential, settings: Any
) -> None:
    """What is missing in the settings is said on the page, and nobody is led anywhere."""
    settings.JWT_UPSTREAM["drive"]["OPTIONS"]["client_id"] = ""
    response = browser.post(act_url("log-in", "drive", "acme"))
    assert "drive: OPTIONS has no client_id" in response.content.decode()
    assert "jwt_upstream_browser_logins" not in browser.session


def test_upstream_that_is_gone(
    browser: Client, drive: AuthorizationServer, credential: Credential, settings: Any
) -> None:
    """An upstream that was taken out of the settings meanwhile is not found, and one that is wrong is told."""
    url = back(drive, begin(browser))
    settings.JWT_UPSTREAM["drive"]["OPTIONS"] = {"nonsense": 1}
    assert browser.get(url).status_code == 302
    settings.JWT_UPSTREAM = {}
    assert browser.get(url).status_code == 404


def test_codes_that_are_typed(browser: Client, drive: AuthorizationServer, settings: Any, db: None) -> None:
    """Where the upstream's page is not known, its code can still be typed."""
    settings.JWT_UPSTREAM["drive"]["OPTIONS"]["authorize_path"] = ""
    assert 'name="login_code"' in page(browser, act_url("log-in", "drive", None))


def test_reports_of_errors(
    browser: Client, drive: AuthorizationServer, credential: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks on the way back, neither the request nor any variable has the code any more."""

    def break_down(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of order")

    url = back(drive, begin(browser))
    # Patched, since only a bug gets here.
    monkeypatch.setattr("jwt_upstream.login.browser.login", break_down)
    with pytest.raises(RuntimeError) as caught:
        browser.get(url)
    frames = [frame for frame in caught.traceback if "jwt_upstream/" in str(frame.path)]
    assert len(frames) > 2
    shown = [repr(value) + repr(getattr(value, "META", "")) for frame in frames for value in frame.locals.values()]
    assert "code-1" not in "".join(shown)
    assert "it was completed already" in refusal(browser, url)


def test_request_of_a_wsgi_server() -> None:
    """Nor where a server has the whole address besides, as gunicorn, uWSGI and mod_wsgi do."""
    whole = "/back/?code=c0de&state=st4te"
    request = RequestFactory().get(whole, RAW_URI=whole, REQUEST_URI=f"https://ops.example.com{whole}")
    assert session.redirected(request) == whole
    assert not {"c0de", "st4te"} & set(re.findall("c0de|st4te", f"{request.META} {request.get_full_path()}"))
    assert request.META["RAW_URI"] == "/back/?"


def test_request_of_an_asgi_server() -> None:
    """Of a request of an ASGI server, too, nothing is left that a reporter could show."""
    request = AsyncRequestFactory().get("/back/?code=c0de")
    assert session.redirected(request) == "/back/?code=c0de"
    assert "c0de" not in f"{request.scope} {request.META} {request.GET} {request.get_full_path()}"
