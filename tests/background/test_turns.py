"""The threads of a round: how many work at an upstream, who waits for whom, and how a round ends early."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import chain, repeat
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError
from django.utils import timezone

from jwt_upstream.backends import get_backend
from jwt_upstream.background import Round, refresh_due
from jwt_upstream.background.turns import Turn, Turns
from jwt_upstream.exceptions import RefreshUnavailable
from jwt_upstream.models import Credential, Event
from jwt_upstream.refresh import DueCredentials, Leased, in_threads
from jwt_upstream.testing import logged_in
from tests.support.database import connections_to_the_server, cut, locked, own_number
from tests.support.upstream import Answer, Seen, Upstream
from tests.support.workers import until

pytestmark = pytest.mark.django_db(transaction=True)


class Meter:
    """Answers refreshes after a while, and counts how many there are at the same moment."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, seen: Seen) -> Answer:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.seconds)
        with self._lock:
            self.now -= 1
        return Answer(200, {"access": "new", "refresh": f"{seen.json()['refresh']}+"})


def put(alias: str, number: int) -> None:
    """Store so many credentials that have expired."""
    for each in range(number):
        logged_in(alias, str(each), refresh=f"{alias}-{each}")
    Credential.objects.update(access_expires_at=timezone.now() - timedelta(seconds=5))


@pytest.fixture
def slow(upstream: Upstream, settings: Any) -> Upstream:
    """An upstream "slow" beside "up" at the same server."""
    settings.JWT_UPSTREAM["slow"] = {**settings.JWT_UPSTREAM["up"], "BASE_URL": f"{upstream.url}slow/"}
    upstream.answers["/refresh"] = Meter(0)
    return upstream


def test_several_at_a_time(upstream: Upstream) -> None:
    """Several are refreshed at once, at most as many as the option says, and each credential once."""
    meter = upstream.answers["/refresh"] = Meter(0.05)
    put("up", 16)
    assert refresh_due().refreshed == 16
    assert 1 < meter.most <= 4
    assert len({seen.json()["refresh"] for seen in upstream.calls("/refresh")}) == upstream.refreshes == 16
    assert Event.objects.filter(kind="refreshed").count() == 16


def test_limit_of_one_upstream(upstream: Upstream, settings: Any) -> None:
    """With ``max_concurrent_refreshes`` 1 the next one waits for the one before."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["max_concurrent_refreshes"] = 1
    meter = upstream.answers["/refresh"] = Meter(0.01)
    put("up", 6)
    assert refresh_due().refreshed == 6
    assert meter.most == 1


def test_limit_of_all_processes(upstream: Upstream, settings: Any) -> None:
    """With ``max_concurrent_refreshes_overall`` the leases of others count, on whatever is due."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["max_concurrent_refreshes_overall"] = 3
    meter = upstream.answers["/refresh"] = Meter(0.03)
    put("up", 10)
    before, later = timezone.now() - timedelta(minutes=1), timezone.now() + timedelta(minutes=1)
    others = Credential.objects.filter(account__in=["0", "1"])
    others.update(lease="another's", lease_expires_at=later)
    others.filter(account="1").update(failures=1, next_attempt_at=before)
    assert (refresh_due().refreshed, meter.most) == (8, 1)
    Credential.objects.update(lease="", lease_expires_at=None, access_expires_at=before)
    assert refresh_due().refreshed == 10
    assert 1 < meter.most <= 3


def test_upstream_at_which_others_do_all(upstream: Upstream, settings: Any) -> None:
    """Where the others are as many as may be, a round leaves the upstream to them."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["max_concurrent_refreshes_overall"] = 1
    put("up", 3)
    lapses_at = timezone.now() + timedelta(minutes=1)
    Credential.objects.filter(account="2").update(lease="another's", lease_expires_at=lapses_at)
    assert (refresh_due().tried, upstream.refreshes) == (0, 0)


def test_connections_last(upstream: Upstream) -> None:
    """A thread keeps its connection to an upstream, and that to the database, from one refresh to the next."""
    put("up", 12)
    upstream.answers["/refresh"] = Meter(0)
    connected = upstream.connections
    assert refresh_due(threads=2).refreshed == 12
    assert upstream.connections - connected <= 2
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "jwt_upstream refresh"])


def test_slow_upstream_delays_no_other(slow: Upstream) -> None:
    """While one upstream hangs, the others have the rest of the threads."""
    done: list[int] = []

    def hang(_: Seen) -> Answer:
        end = time.monotonic() + 10
        while slow.refreshes < 20 and time.monotonic() < end:
            time.sleep(0.01)
        done.append(slow.refreshes)
        return Answer(503)

    slow.answers["/slow/refresh"] = hang
    put("slow", 8)
    put("up", 20)
    result = refresh_due(threads=2)
    assert (result.refreshed, result.failed, result.given_up) == (20, 3, ["slow"])
    assert done[0] == 20
    assert not Credential.objects.exclude(lease="").exists()


def test_stop(upstream: Upstream) -> None:
    """Once it is told to stop, a round finishes what is under way, gives leases back and begins nothing more."""
    stop = threading.Event()

    def answer(seen: Seen) -> Answer:
        if upstream.refreshes == 6:
            stop.set()
        return Answer(200, {"access": "new"})

    upstream.answers["/refresh"] = answer
    put("up", 30)
    result = refresh_due(stop=stop.is_set)
    assert 6 <= result.refreshed == upstream.refreshes < 14
    assert not Credential.objects.exclude(lease="").exists()
    assert result.tried == Event.objects.filter(kind="refreshed").count()


def test_progress(upstream: Upstream) -> None:
    """Whoever watches is told how far the round is, at its end at the latest."""
    upstream.answers["/refresh"] = Meter(0)
    put("up", 2)
    told: list[int] = []
    refresh_due(on_progress=lambda result: told.append(result.refreshed))
    assert told[-1] == 2


def test_long_round_tells_its_progress(upstream: Upstream) -> None:
    """A round that takes longer is watched meanwhile."""
    upstream.answers["/refresh"] = Meter(0.7)
    put("up", 1)
    told: list[int] = []
    refresh_due(on_progress=lambda result: told.append(result.refreshed))
    assert told == [0, 1]


def test_database_that_cuts_connections(upstream: Upstream) -> None:
    """If the server cuts all connections while answers are on their way, the new pairs are stored all the same."""
    put("up", 3)
    before = connections_to_the_server()

    def answer(seen: Seen) -> Answer:
        if upstream.refreshes == 3:
            cut(connections_to_the_server() - before - {own_number()})
        return Answer(200, {"access": "new", "refresh": f"{seen.json()['refresh']}+"})

    upstream.answers["/refresh"] = answer
    assert refresh_due().refreshed == 3
    assert [row.pair.access for row in Credential.objects.all()] == ["new"] * 3


# Django leaves open what it can't initialize, since the file is locked; Python 3.13 warns of that when collecting it.
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_rows_that_a_transaction_holds(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that somebody's transaction holds are left to the next round; nothing is sent."""
    monkeypatch.setattr("jwt_upstream.refresh.due._LOCKED_SECONDS", 0.1)
    upstream.answers["/refresh"] = Meter(0)
    put("up", 2)
    found: list[list[Leased]] = []
    rows = DueCredentials(get_backend("up"), 60, "default")
    with locked():
        in_threads(1, lambda: found.append(rows.lease(1)), "default")[0].result(30)
    assert found == [[]]
    assert refresh_due().refreshed == 2
    gc.collect()


# -- with something in the place of the rows


class Rows:
    """Stands for the due credentials of one upstream; each method does as it is told."""

    def __init__(self, lease: Any = None, refresh: Any = None, release: Any = None, number: int = 2) -> None:
        self.backend = get_backend("up")
        self.left = [Leased(Credential(upstream="up", account=str(each)), 0.0) for each in range(number)]
        self.hosts = ["up.example.com"]
        self.refreshed, self.is_full = 0, False
        self._lease, self._refresh, self._release = lease, refresh, release

    def lease(self, number: int) -> list[Leased]:
        found, self.left = self.left, []
        return found or (self._lease() if self._lease else [])

    def refresh(self, _: Leased) -> None:
        self.refreshed += 1
        if self._refresh:
            self._refresh()

    def host(self, leased: Leased) -> str:
        return self.hosts[int(leased.row.account) % len(self.hosts)]

    def release(self, _: list[Leased]) -> None:
        if self._release:
            self._release()


def raising(error: Exception) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def turns(rows: Rows, seconds: float = 50) -> tuple[Turns, Round]:
    result = Round()
    return Turns([Turn(rows)], result, None, seconds, 1, lambda: False), result  # type: ignore[arg-type]  # it stands for one


@pytest.mark.parametrize(("hosts", "tried"), [(1, 3), (2, 10), (20, 10)])
def test_hosts_that_are_away(upstream: Upstream, hosts: int, tried: int) -> None:
    """Where accounts have hosts of their own, it takes more of them to be away until the upstream is skipped."""
    rows = Rows(refresh=raising(RefreshUnavailable("away")), number=20)
    rows.hosts = [f"{number}.example.com" for number in range(hosts)]
    work, result = turns(rows)
    work.work()
    assert (result.failed, result.given_up) == (tried, ["up"])


def test_some_hosts_that_are_away(upstream: Upstream) -> None:
    """A few hosts that are away keep no other account of the upstream from being refreshed."""
    outcomes = chain(repeat(RefreshUnavailable("away"), 9), repeat(None))

    def refresh() -> None:
        if error := next(outcomes):
            raise error

    rows = Rows(refresh=refresh, number=40)
    rows.hosts = [f"{number}.example.com" for number in range(40)]
    work, result = turns(rows)
    work.work()
    assert (result.refreshed, result.failed, result.given_up) == (31, 9, [])


def test_many_accounts_do_not_delay_few(upstream: Upstream) -> None:
    """Upstreams take turns refresh by refresh, however many are due, and leased, at one of them."""
    order: list[str] = []
    rows: list[Any] = [
        Rows(refresh=lambda: order.append("many"), number=500),
        Rows(refresh=lambda: order.append("few"), number=3),
    ]
    Turns([Turn(each) for each in rows], Round(), None, 50, 1, lambda: False).work()
    assert order[:6] == ["many", "few"] * 3
    assert order[6:] == ["many"] * 497


def test_slow_upstreams_leave_threads_to_the_others(upstream: Upstream) -> None:
    """Upstreams that answer slowly have half of the threads together while others have work, and then all of them."""
    others_are_done, all_are_slow = threading.Event(), threading.Barrier(4)
    left = iter(range(29, -1, -1))
    waited: list[bool] = []

    def be_slow() -> None:
        waited.append(others_are_done.wait(20))
        all_are_slow.wait(20)  # four at the same time, which takes all threads

    def be_prompt() -> None:
        if next(left) == 0:
            others_are_done.set()

    prompt = Rows(refresh=be_prompt, number=30)
    rows: list[Any] = [Rows(refresh=be_slow), Rows(refresh=be_slow), prompt]
    known = [Turn(each) for each in rows]
    for turn, seconds in zip(known, (5, 5, 0.1), strict=True):
        turn.answered(seconds)
    work = Turns(known, Round(), None, 50, 4, lambda: False)
    threads = [threading.Thread(target=work.work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (waited, prompt.refreshed) == ([True] * 4, 30)
    assert not all_are_slow.broken


def test_database_that_is_away(upstream: Upstream) -> None:
    """What the database raises while leases are taken ends the round, after what had been leased before."""
    rows = Rows(lease=raising(OperationalError("away")))
    work, result = turns(rows)
    work.work()
    assert isinstance(work.error, OperationalError)
    assert result.refreshed == 2


def test_error_of_one_row(upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """What the database raises for one row is that row's trouble, and nothing is said of the upstream."""
    work, result = turns(Rows(refresh=raising(DatabaseError("this row"))))
    work.work()
    assert (result.failed, result.given_up, work.error) == (2, [], None)
    assert "up/0: not refreshed: DatabaseError" in caplog.text
    assert "this row" not in caplog.text


def test_leases_that_can_not_be_given_back(upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    """If leases can't be given back they lapse; that is no reason to fail."""
    rows = Rows(release=raising(OperationalError("away")))
    work, result = turns(rows)
    rows.refresh = lambda _: work.stop()  # type: ignore[method-assign]  # the round is stopped meanwhile
    work.work()
    assert (result.refreshed, work.error) == (1, None)
    assert "up: not refreshed: OperationalError" in caplog.text


def test_error_is_raised_by_the_round(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever started the round gets the database's error."""
    monkeypatch.setattr(DueCredentials, "lease", lambda *_: raising(OperationalError("away"))())
    with pytest.raises(OperationalError):
        refresh_due()
