"""What a state means for a caller."""

from __future__ import annotations

import copy
import pickle
import threading

import pytest
from django.db import connection, transaction

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked, CredentialRejected, CredentialUnreadable, NotLoggedIn
from jwt_upstream.models import Credential
from jwt_upstream.refresh import states
from jwt_upstream.tokens import TokenPair
from tests.support.clock import pass_time
from tests.support.upstream import Answer, Upstream


def test_error_of_a_state(credential: Credential) -> None:
    """The error says what, since when, why and what to do, survives a copy and a pickle, and shows no token."""
    Credential.objects.update(state="rejected", reason="HTTP 401: no")
    Credential.objects.update(failed_fingerprint=credential.pair.fingerprint)
    with pytest.raises(CredentialRejected) as caught:
        UpstreamClient("up").get("orders/")
    for error in (caught.value, copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert (error.credential, error.since, error.reason) == (credential, credential.since, "HTTP 401: no")
        assert str(error).startswith("up/default has been rejected since ")
        assert str(error).endswith(" (HTTP 401: no); log in: manage.py upstream_login up")
    assert b"access-1" not in pickle.dumps(caught.value)


def test_row_is_gone(credential: Credential) -> None:
    """A credential that was deleted was never logged in."""
    Credential.objects.all().delete()
    with pytest.raises(NotLoggedIn):
        states.reread(credential)


def test_unreadable_row_that_was_replaced_meanwhile(credential: Credential) -> None:
    """Somebody else's login is not marked for what was wrong with the row before."""
    Credential.objects.update(access_token="x", generation=5)
    credential.access_token = credential.refresh_token = type(credential.access_token)("garbage")
    with pytest.raises(CredentialUnreadable):
        states.usable(credential)
    assert Credential.objects.get().state == "active"


def test_locked_while_the_row_is_held(client: UpstreamClient, upstream: Upstream) -> None:
    """A caller that keeps the state from being recorded gets its error all the same; the next call records it."""
    client.get("orders/")
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})
    with transaction.atomic():
        Credential.objects.update(username="changed")
        with pytest.raises(AccountLocked):
            client.get("orders/")
    assert Credential.objects.get().state == "active"
    with pytest.raises(AccountLocked):
        client.get("orders/")
    assert Credential.objects.get().state == "locked"


def test_fresh_token_replaced_before_it_is_left_alone(client: UpstreamClient, upstream: Upstream) -> None:
    """A second 401 for a token that was replaced meanwhile says nothing about its successor."""

    def answer(_: object) -> Answer:
        if upstream.refreshes:
            UpstreamClient("up").adopt(TokenPair("newer"))
        return Answer(401, {})

    upstream.answers["/orders/"] = answer
    assert client.get("orders/").status_code == 401
    assert Credential.objects.get().refresh_suppressed_until is None


def test_restored_by_two_at_once(credential: Credential) -> None:
    """Two workers that find other tokens in a rejected row restore it once."""
    Credential.objects.update(state="rejected", access_token="other")
    rows = [Credential.objects.get(), Credential.objects.get()]
    assert [states.usable(row).access for row in rows] == ["other", "other"]
    assert [event.kind for event in credential.events.all()] == ["restored", "logged_in"]


def test_marks_of_many_threads(client: UpstreamClient, upstream: Upstream) -> None:
    """However many threads meet the locked account at once, one event is recorded."""
    client.get("orders/")
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."}, delay=0.1)
    errors: list[str] = []

    def call() -> None:
        with pytest.raises(AccountLocked) as caught:
            client.get("orders/")
        errors.append(type(caught.value).__name__)
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == ["AccountLocked"] * 8
    assert [event.kind for event in Credential.objects.get().events.all()] == ["locked", "logged_in"]


@pytest.mark.parametrize(("state", "message"), [("locked", "Account is disabled."), ("rejected", "Expired.")])
def test_found_out_by_another_process(client: UpstreamClient, upstream: Upstream, state: str, message: str) -> None:
    """A process that has cached a token which another one has found useless asks the upstream once more at most."""
    other = UpstreamClient("up")
    client.get("orders/")
    row = Credential.objects.get()
    with connection.cursor() as cursor:  # of which this process's clients hear nothing
        told = "UPDATE jwt_upstream_credential SET state = %s, failed_fingerprint = %s"
        cursor.execute(told, [state, row.pair.fingerprint])
    upstream.answers["/orders/"] = Answer(401, {"message": message})
    for each in (client, client, other, other):
        with pytest.raises((AccountLocked, CredentialRejected)):
            each.get("orders/")
    assert len(upstream.calls("/orders/")) == 2
    assert [event.kind for event in row.events.all()] == ["logged_in"]


def test_token_that_is_fresh_no_longer(client: UpstreamClient, upstream: Upstream) -> None:
    """A 401 is left alone for a token just obtained, not for one that expired while its process was frozen."""
    row, minute = Credential.objects.get(), 60.0
    pass_time(minute + 1)
    states.suppress_refresh(row, row.pair, minute)
    assert Credential.objects.get().refresh_suppressed_until is None
    pass_time(-minute)
    states.suppress_refresh(row, row.pair, minute)
    assert Credential.objects.get().refresh_suppressed_until is not None
