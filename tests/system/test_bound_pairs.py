"""Tokens are used only for what they were obtained for: nothing leaves after origin, client or scope changed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jwt_upstream.admin.trial import try_call
from jwt_upstream.background import refresh_due
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialMismatch, ForeignOrigin, RefreshUnavailable, UpstreamMisconfigured
from jwt_upstream.login import log_out
from jwt_upstream.models import Credential, Event, Incident
from jwt_upstream.refresh import rebind, refresh, states, try_again
from jwt_upstream.refresh.states import outlasts
from jwt_upstream.store import EventDetails, queries, transitions
from jwt_upstream.testing import logged_in
from jwt_upstream.tokens import TokenPair
from tests.support.clock import pass_time
from tests.support.commands import run
from tests.support.rows import kinds, unbind
from tests.support.upstream import Answer, Upstream

#: What says something else than before: changed settings, as a function of another server's URL.
CHANGES: dict[str, Callable[[str], dict[str, Any]]] = {
    "origin": lambda url: {"BASE_URL": url},
    "endpoint elsewhere": lambda url: {"OPTIONS": {"refresh_path": f"{url}refresh"}},
    "path of the endpoint": lambda url: {"OPTIONS": {"refresh_path": "other/refresh"}},
    "client": lambda url: {"OPTIONS": {"client_id": "another"}},
    "scope": lambda url: {"OPTIONS": {"scope": "read"}},
    "origins": lambda url: {"OPTIONS": {"origins": [url]}},
    "all": lambda url: {"BASE_URL": url, "OPTIONS": {"client_id": "another", "scope": ""}},
}
NAMES = {"endpoint elsewhere": "token endpoint", "path of the endpoint": "token endpoint", "all": "origin"}


@pytest.fixture
def elsewhere() -> Iterator[Upstream]:
    """Another server, which takes the same tokens."""
    with Upstream() as server:
        yield server


@pytest.fixture
def change(upstream: Upstream, elsewhere: Upstream, settings: Any, transactional_db: None) -> Any:
    """Log in with OAuth 2, and return what changes the settings in one of the ways of ``CHANGES``."""
    options: dict[str, Any] = {
        "client_id": "us",
        "scope": "write read",
        "body_format": "json",
        "revoke_path": "revoke",
    }
    options |= {"login_path": "login", "refresh_path": "refresh", "refresh_fields": {"refresh": "{refresh}"}}
    options |= {"access_paths": ["access"], "refresh_paths": ["refresh"], "test_path": "me/"}
    before: dict[str, Any] = {
        "BACKEND": "jwt_upstream.backends.OAuth2Backend",
        "BASE_URL": upstream.url,
        "OPTIONS": options,
    }
    settings.JWT_UPSTREAM = {"up": {**before, "OPTIONS": {**options}}}
    UpstreamClient("up").login(username=upstream.user, password=upstream.password)
    elsewhere.issue()
    elsewhere.access, elsewhere.refresh = set(upstream.access), upstream.refresh
    upstream.seen.clear()

    def make(name: str, **more: Any) -> None:
        changed = CHANGES[name](elsewhere.url) if name else {}
        options = {**before["OPTIONS"], **changed.get("OPTIONS", {})}
        settings.JWT_UPSTREAM = {"up": {**before, **changed, "OPTIONS": options, **more}}

    return make


def expired(**columns: Any) -> None:
    """Have the stored access token expire, so that whoever is asked for it refreshes."""
    row = Credential.objects.get()
    columns = {"access_expires_at": row.now(), "keep_alive_at": row.now(), **columns}
    Credential.objects.update(**columns)


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_is_sent(
    change: Any, name: str, upstream: Upstream, elsewhere: Upstream, mailoutbox: list[Any]
) -> None:
    """Neither a call with a cached token, nor one without, nor anything else sends a token; nothing is written."""
    client = UpstreamClient("up")
    client.get("orders/")
    upstream.seen.clear()
    before = Credential.objects.values().get()
    change(name)
    said = f"the {NAMES.get(name, name)} (was|were) .* and (is|are) .* now.* manage.py upstream_rebind up, or log in"
    for send in (
        lambda: client.get("orders/"),
        lambda: client.post("orders/", data=iter([b"body"])),
        lambda: UpstreamClient("up").get("orders/"),
        client.refresh,
        lambda: refresh(Credential.objects.get(), rejected="access-1"),
        lambda: try_again(Credential.objects.get()),
        lambda: try_call("up", "default", "me/"),
        client.token,
    ):
        with pytest.raises(CredentialMismatch, match=said):
            send()
    assert "nothing was sent" in run("upstream_request", "up", "GET", "orders/")[2]
    assert "nothing was sent" in run("upstream_probe", "up", "--refresh")[1].replace("\n", " ")
    assert "nothing was sent" in run("upstream_probe", "up", "--api", "orders/")[1].replace("\n", " ")
    assert run("upstream_try_again", "up")[0] == 1
    assert Credential.objects.values().get() == before
    expired()
    for _ in range(2):
        assert (refresh_due().need_human, refresh_due().mismatched) == (1, 1)
    with pytest.raises(CredentialMismatch):
        UpstreamClient("up").get("orders/")
    assert (upstream.seen, elsewhere.seen) == ([], [])
    assert (kinds(), Incident.objects.count(), mailoutbox) == (["logged_in"], 0, [])


@pytest.mark.parametrize("name", CHANGES)
def test_settings_that_are_put_back(change: Any, name: str, upstream: Upstream) -> None:
    """With the old settings everything works at once, as if nothing had been: for calls and for refreshes."""
    change(name)
    with pytest.raises(CredentialMismatch):
        UpstreamClient("up").get("orders/")
    change("")
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-1"
    assert UpstreamClient("up").refresh().access == "access-2"


@pytest.mark.parametrize("name", CHANGES)
def test_logout(change: Any, name: str, upstream: Upstream, elsewhere: Upstream) -> None:
    """A logout forgets the tokens, and says that the upstream of other settings was not told."""
    change(name)
    told = log_out("up", "default")
    assert told.is_told is False
    assert "the tokens were obtained for other settings, and are sent nowhere else" in str(told)
    row = Credential.objects.get()
    assert (row.state, row.obtained_for, row.pair) == ("logged_out", {}, TokenPair(""))
    assert (upstream.seen, elsewhere.seen) == ([], [])


def test_token_that_is_cached(change: Any, elsewhere: Upstream) -> None:
    """A process that has the token in its memory judges it again, without a query, as soon as its settings change."""
    client = UpstreamClient("up")
    client.get("orders/")
    change("scope")
    change("")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        client.get("orders/")
    assert len(queries) <= 1
    change("origin")
    with pytest.raises(CredentialMismatch):
        client.get("orders/")
    assert elsewhere.seen == []


@pytest.mark.parametrize(
    "written",
    [
        {"BASE_URL": "{url}api/v1/", "OPTIONS": {"refresh_path": "{url}refresh"}},
        {"BASE_URL": "{url}api/v1"},
        {"OPTIONS": {"refresh_path": "{url}refresh"}},
        {"OPTIONS": {"refresh_path": "refresh/"}},
        {"OPTIONS": {"login_path": "elsewhere"}},
        {"OPTIONS": {"scope": " read  write "}},
        {"OPTIONS": {"client_secret": "new"}},
    ],
)
def test_changes_that_are_none(change: Any, upstream: Upstream, settings: Any, written: dict[str, Any]) -> None:
    """The same address in other words, another path of the API at the same origin, and a new secret are no matter."""
    for name, value in written.get("OPTIONS", {}).items():
        settings.JWT_UPSTREAM["up"]["OPTIONS"][name] = value.replace("{url}", upstream.url)
    if "BASE_URL" in written:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = written["BASE_URL"].replace("{url}", upstream.url)
    assert UpstreamClient("up").get("/orders/").json()["token"] == "access-1"


def test_restored_copy_at_a_staging_site(change: Any, upstream: Upstream, elsewhere: Upstream, settings: Any) -> None:
    """A copy of production's database, with the same keys, spends none of its tokens where settings name staging."""
    upstream.expire()
    expired(failures=3, next_attempt_at=None)
    change("all")
    refresh_due()
    for account in ("default", "default"):
        with pytest.raises(CredentialMismatch, match="upstream_login up"):
            UpstreamClient("up", account).get("orders/")
    assert (upstream.seen, elsewhere.seen) == ([], [])
    change("")
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-2"
    assert upstream.reuses == 0


def test_tokens_of_before(change: Any, upstream: Upstream) -> None:
    """Tokens that were stored before they were bound are used, and bound by the next refresh."""
    unbind()
    change("scope")
    assert UpstreamClient("up").get("orders/").status_code == 200
    UpstreamClient("up").refresh()
    assert Credential.objects.get().obtained_for["scope"] == "read"
    change("")
    with pytest.raises(CredentialMismatch, match="the scope was read and is read write now"):
        UpstreamClient("up").get("orders/")


def test_refused_settings(change: Any, upstream: Upstream, settings: Any, elsewhere: Upstream) -> None:
    """Tokens that were stored with a wrong path or client work once that is corrected, but at the same origin only."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"refresh_path": "wrong", "client_id": "wrong"}
    upstream.answers["/wrong"] = Answer(404, {"detail": "Not Found"})
    UpstreamClient("up").login(username=upstream.user, password=upstream.password)
    with pytest.raises(UpstreamMisconfigured):
        UpstreamClient("up").refresh()
    pass_time(60)
    change("endpoint elsewhere")
    with pytest.raises(CredentialMismatch):
        UpstreamClient("up").refresh()
    change("")
    assert UpstreamClient("up").refresh().access == "access-3"
    assert elsewhere.seen == []


def test_many_that_may_not_be_used(change: Any, upstream: Upstream, elsewhere: Upstream) -> None:
    """However many are due and may not be used, those behind them are refreshed, and no lease is taken in vain."""
    upstream.answers["/refresh"] = lambda seen: Answer(200, {"access": "new", "refresh": "new"})
    columns: list[dict[str, Any]] = [{}, {"failures": 1}, {"keep_alive_at": timezone.now()}]
    for number in range(12):
        put(f"old-{number}", 60 - number, **columns[number % 3])
    change("client")
    for number, more in enumerate(columns):
        put(f"own-{number}", 1, **more)
    found = refresh_due(threads=1)
    assert (found.refreshed, found.mismatched, found.need_human) == (3, 12, 12)
    assert not Credential.objects.exclude(lease="").exists()
    assert not Credential.objects.filter(account__startswith="old", generation__gt=1).exists()
    code, out, _ = run("upstream_refresh")
    assert (code, out) == (0, "0 refreshed, 0 failed for now, 12 need a human\n")


def put(account: str, minutes_ago: float, **columns: Any) -> None:
    """Store an account whose access token has expired."""
    row, at = logged_in("up", account, refresh=account), timezone.now() - timedelta(minutes=minutes_ago)
    moments = {"access_expires_at": at, "obtained_at": at - timedelta(hours=1)}
    Credential.objects.filter(pk=row.pk).update(**{**moments, **columns})


def test_is_logged_once(change: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Each process logs it once of each credential, however many calls there are."""
    change("origin")
    with caplog.at_level(logging.ERROR, logger="jwt_upstream"):
        for _ in range(3):
            with pytest.raises(CredentialMismatch):
                UpstreamClient("up").get("orders/")
        assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["up/default"]
        states._logged().update((-number, "") for number in range(1000))  # as many as a process remembers
        change("client")
        with pytest.raises(CredentialMismatch):
            UpstreamClient("up").get("orders/")
    assert len(states._logged()) == 1


# -- with LOGIN


@pytest.fixture
def login(upstream: Upstream, elsewhere: Upstream) -> dict[str, str]:
    """What both servers take."""
    return {"username": upstream.user, "password": upstream.password}


@pytest.mark.parametrize("name", ["origin", "endpoint elsewhere", "client", "scope"])
@pytest.mark.parametrize("how", ["call", "refresh", "background"])
def test_login(change: Any, name: str, how: str, upstream: Upstream, elsewhere: Upstream, login: Any) -> None:
    """Where a login is configured it is made in place of the tokens, which are sent nowhere."""
    client = UpstreamClient("up")
    client.get("orders/")
    upstream.pop_tokens()
    change(name, LOGIN=login)
    if how == "background":
        expired()
        assert refresh_due().refreshed == 1
    elif how == "refresh":
        client.refresh()
    there = elsewhere if name == "origin" else upstream
    there.access = set() if how == "call" else there.access
    assert client.get("orders/").status_code == 200
    paths = [seen.path for server in (upstream, elsewhere) for seen in server.seen]
    assert paths == ["/login", "/orders/"]
    assert not any(b"refresh-1" in seen.body or seen.token == "access-1" for seen in [*upstream.seen, *elsewhere.seen])
    event = Event.objects.latest("pk")
    assert (event.kind, event.reason[:39]) == ("logged_in", "in place of tokens for other settings: ")


def test_cached_token_of_a_login(change: Any, upstream: Upstream, elsewhere: Upstream, login: Any) -> None:
    """A token that was got by a login in place of another is not sent either once the old settings are back."""
    client = UpstreamClient("up")
    change("origin", LOGIN=login)
    assert client.get("orders/").json()["token"] == "access-2"
    change("")
    upstream.seen.clear()
    with pytest.raises(CredentialMismatch):
        client.get("orders/")
    with pytest.raises(CredentialMismatch):
        UpstreamClient("up").get("orders/")
    assert upstream.seen == []


def test_login_that_is_refused(change: Any, upstream: Upstream, elsewhere: Upstream, login: Any) -> None:
    """It is made once, harms nobody who has the old settings, and the error says that it was refused."""
    elsewhere.password = "another"
    change("origin", LOGIN=login)
    with pytest.raises(RefreshUnavailable, match="LOGIN in settings was refused"):
        UpstreamClient("up").get("orders/")
    for _ in range(3):
        with pytest.raises(CredentialMismatch, match="the LOGIN in settings was refused"):
            UpstreamClient("up").get("orders/")
    pass_time(600)
    with pytest.raises(CredentialMismatch):
        UpstreamClient("up").refresh()
    assert len(elsewhere.seen) == 1
    change("", LOGIN=login)
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-1"
    assert UpstreamClient("up").refresh().access == "access-2"


def test_login_while_the_other_upstream_is_down(
    change: Any, upstream: Upstream, elsewhere: Upstream, login: Any
) -> None:
    """An attempt that failed is backed off from, and says nothing of the stored tokens."""
    elsewhere.answers["/login"] = Answer(503)
    change("origin", LOGIN=login)
    for _ in range(3):
        with pytest.raises(RefreshUnavailable):
            UpstreamClient("up").get("orders/")
    assert len(elsewhere.seen) == 1
    assert Credential.objects.get().failed_fingerprint == ""
    change("")
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-1"


def test_try_again_with_login(change: Any, elsewhere: Upstream, login: Any) -> None:
    """Trying again logs in where that is configured; a login that was refused is tried once more."""
    change("origin", LOGIN=login)
    elsewhere.password = "another"
    with pytest.raises(RefreshUnavailable):
        UpstreamClient("up").get("orders/")
    with pytest.raises(CredentialMismatch):
        UpstreamClient("up").get("orders/")
    elsewhere.password = login["password"]
    assert try_again(Credential.objects.get()).access == "access-2"


def test_client_credentials(change: Any, upstream: Upstream, settings: Any) -> None:
    """A grant that needs no stored token is requested anew where its scope changes."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"grant_type": "client_credentials", "client_secret": "s3cr"}
    upstream.answers["/refresh"] = lambda seen: Answer(200, {"access": upstream.issue()["access"]})
    logged_in("up", access="access-1", refresh="")
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["scope"] = "more"
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-2"
    assert [seen.json().get("scope") for seen in upstream.calls("/refresh")] == ["more"]


@pytest.fixture
def own(change: Any, login: Any, settings: Any) -> UpstreamClient:
    """A client that has called with its own token, as long as the cache holds."""
    settings.JWT_UPSTREAM_CACHE_SECONDS = 0.02
    change("", LOGIN=login)
    client = UpstreamClient("up")
    client.get("orders/")
    return client


def moved_meanwhile() -> None:
    """Have a worker with other settings log in for these, and wait until the cache is to be read again."""
    details, binding = EventDetails("elsewhere", "ok"), {"origin": "https://elsewhere.example.com"}
    pair = TokenPair("elsewhere", "elsewhere")
    transitions.log_in("up", "default", pair, "default", username="bob", details=details, obtained_for=binding)
    time.sleep(0.03)


def test_side_by_side(own: UpstreamClient, upstream: Upstream) -> None:
    """Of two settings that are alive at once, each side goes on with its own token as long as that is good."""
    moved_meanwhile()
    for client in (own, UpstreamClient("up")):
        assert client.get("orders/").json()["token"] == "access-1"
    assert upstream.calls("/login") == []
    upstream.expire()
    assert own.get("orders/").json()["token"] == "access-2"
    assert len(upstream.calls("/login")) == 1


@pytest.mark.parametrize("end", ["logout", "change that is known here", "no LOGIN"])
def test_end_of_side_by_side(own: UpstreamClient, upstream: Upstream, settings: Any, end: str) -> None:
    """But not once it was ended by a logout, or by what this process knows of, nor where nobody logs in by itself."""
    if end == "logout":
        transitions.log_out(Credential.objects.get(), "default", EventDetails())
    moved_meanwhile()
    if end == "change that is known here":
        Credential.objects.update(reason="")
    if end == "no LOGIN":
        del settings.JWT_UPSTREAM["up"]["LOGIN"]
        with pytest.raises(CredentialMismatch):
            own.get("orders/")
    else:
        assert own.get("orders/").json()["token"] == "access-2"


def test_expiry_of_side_by_side(own: UpstreamClient) -> None:
    """Nor past its expiry, by the database's clock."""
    row = queries.find("up", "default", "default")
    assert row
    now = row.now()
    assert [outlasts(row, row, at) for at in (now, None, now + timedelta(hours=1))] == [False, True, True]


def test_rolling_deployment(change: Any, upstream: Upstream, elsewhere: Upstream, login: Any, settings: Any) -> None:
    """Where old and new settings are alive at once, each side logs in, but a few times in a minute, and then waits."""
    settings.JWT_UPSTREAM_CACHE_SECONDS = 0.0
    for name in ["origin", ""] * 2:
        change(name, LOGIN=login)
        assert UpstreamClient("up").get("orders/").status_code == 200
    for _ in range(3):
        change("origin", LOGIN=login)
        with pytest.raises(RefreshUnavailable, match="workers with different settings log in") as caught:
            UpstreamClient("up").get("orders/")
        assert caught.value.retry_after == 60
        change("", LOGIN=login)
        assert UpstreamClient("up").get("orders/").status_code == 200
    assert (len(upstream.calls("/login")), len(elsewhere.calls("/login"))) == (2, 2)
    Event.objects.update(at=Credential.objects.get().now().replace(year=2000))
    change("origin", LOGIN=login)
    assert UpstreamClient("up").get("orders/").status_code == 200


# -- a person's word


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "origins"])
def test_rebind(change: Any, name: str, upstream: Upstream, elsewhere: Upstream) -> None:
    """On a person's word the tokens are for the new settings too, and no longer for the old ones."""
    upstream.answers["/other/refresh"] = lambda seen: Answer(200, upstream.issue())
    change(name)
    found = rebind(Credential.objects.get(), by="ann")
    assert [str(each) for each in found] != []
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-1"
    UpstreamClient("up").refresh()
    event = Event.objects.filter(kind="rebound").get()
    assert event.by.startswith("ann (")
    assert "was" in event.reason
    assert rebind(Credential.objects.get()) == []
    assert Event.objects.filter(kind="rebound").count() == 1
    change("")
    with pytest.raises(CredentialMismatch):
        UpstreamClient("up").get("orders/")


def test_further_origins_while_a_deployment_lasts(change: Any, upstream: Upstream, elsewhere: Upstream) -> None:
    """Once confirmed, an origin stays so: workers with the old settings go on, and undo nothing by a refresh."""
    change("origins")
    rebind(Credential.objects.get())
    assert UpstreamClient("up").get(f"{elsewhere.url}files/").json()["token"] == "access-1"
    change("")
    assert UpstreamClient("up").refresh().access == "access-2"
    with pytest.raises(ForeignOrigin):
        UpstreamClient("up").get(f"{elsewhere.url}files/")
    change("origins")
    assert UpstreamClient("up").get("orders/").json()["token"] == "access-2"
    change("")
    UpstreamClient("up").login(username=upstream.user, password=upstream.password)
    change("origins")
    with pytest.raises(CredentialMismatch):
        UpstreamClient("up").get("orders/")


def test_rebind_of_tokens_that_are_others_by_now(change: Any, upstream: Upstream) -> None:
    """What is confirmed is what was looked at: tokens that were stored meanwhile for others keep their binding."""
    row = Credential.objects.get()
    change("client")
    UpstreamClient("up").login(username=upstream.user, password=upstream.password)
    change("scope")
    assert rebind(row) == []
    assert Credential.objects.get().obtained_for["client"] == "another"


def test_rebind_while_somebody_else_writes(change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the row is written in the same moment, what was confirmed is confirmed of that, unless it is for others."""
    row, write = Credential.objects.get(), transitions.rebind

    def beaten(*args: Any) -> Event | None:
        monkeypatch.undo()
        change("")
        UpstreamClient("up").refresh()
        change("scope")
        return write(*args)

    change("scope")
    # Patched, since nothing else comes between the look at the row and the write.
    monkeypatch.setattr(transitions, "rebind", beaten)
    assert len(rebind(row)) == 1
    assert (Credential.objects.get().pair.access, kinds()[-2:]) == ("access-2", ["refreshed", "rebound"])


def test_rebind_while_a_refresh_is_under_way(change: Any, upstream: Upstream) -> None:
    """A refresh of a worker with the old settings is stored, and bound to what it was obtained for."""

    def confirm(_: Any) -> Answer:
        change("scope")
        assert rebind(Credential.objects.get()) != []
        change("")
        return Answer(200, upstream.issue())

    upstream.answers["/refresh"] = confirm
    assert UpstreamClient("up").refresh().access == "access-2"
    assert kinds() == ["logged_in", "rebound", "refreshed"]
    assert Credential.objects.get().obtained_for["scope"] == "read write"
