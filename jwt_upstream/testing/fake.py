"""A fake upstream: answers in the place of a configured one, in the state that a test wants, and uses no network."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial, wraps
from typing import Any, Self, TypeVar, cast
from urllib.parse import urljoin

import requests
from django.core.signals import setting_changed
from requests import Response

from jwt_upstream.accounts import values_of
from jwt_upstream.backends import Backend, Verdict
from jwt_upstream.backends.core import Where
from jwt_upstream.clock import host_now
from jwt_upstream.login import adopt, log_out
from jwt_upstream.models import Credential
from jwt_upstream.names import full_name
from jwt_upstream.refresh import hold_token, release_token
from jwt_upstream.signals import credential_configured
from jwt_upstream.tokens import TokenPair

from . import answers, over_httpx, over_requests
from .calls import Answer, Call, Canned
from .credentials import BY, has_database, own_values, stored_accounts
from .server import Refusal, Server
from .wording import NoSuchState, read_pair, wording

Test = TypeVar("Test", bound=Callable[..., Any])


class FakeUpstream:
    """Stands in for a configured upstream, within ``with`` or, as a decorator, a test; sends nothing.

    Calls, logins, refreshes and logouts by ``UpstreamClient`` (awaited ones as well) and by httpx2 and httpx are
    answered in this process, in the words that the upstream's backend reads. At the beginning the account "default"
    is logged in, but none where accounts have parameters of their own: see ``logged_in``. The methods that are named
    after a state put an account, or the upstream, into another one. States of an account are in its row, so they need
    a test that may use the database; one that may not has a token all the same.

    A call for which there is no canned answer raises UnexpectedRequest, an AssertionError, and so does the end of the
    test, in case the code under test has caught that. With ``all_used=True`` a canned answer that no call has got is
    an error as well.
    """

    def __init__(self, alias: str = "default", *, all_used: bool = False) -> None:
        self.alias = alias
        self._all_used = all_used
        self._server = Server(alias)
        self._held: dict[str, TokenPair] = {}
        self._stack = ExitStack()

    def __repr__(self) -> str:
        return f"<FakeUpstream {full_name(self.alias)}>"

    # -- from when until when

    def __enter__(self) -> Self:
        if over_requests.is_active(self.alias):
            raise RuntimeError(f"there is a fake upstream {self.alias!r} already")
        self._server = server = Server(self.alias)
        server.backend  # noqa: B018 -- raises for one that isn't configured
        with ExitStack() as stack:
            for library in (over_requests, over_httpx):
                library.activate(server)
                stack.callback(library.deactivate, server)
            # After the token cache, which forgets everything.
            setting_changed.connect(self._hold_all)
            stack.callback(setting_changed.disconnect, self._hold_all)
            stack.callback(self._release_all)
            if server.backend.accounts:
                self._know_stored(stack)
            else:
                self.logged_in()
            self._stack = stack.pop_all()
        return self

    def _know_stored(self, stack: ExitStack) -> None:
        """Answer at the addresses of the accounts that there are, and of those that are registered later."""
        credential_configured.connect(self._know)
        stack.callback(credential_configured.disconnect, self._know)
        for row in stored_accounts(self.alias):
            self._know(row)

    def _know(self, credential: Credential, **_: Any) -> None:
        if credential.upstream == self.alias:
            self._server.know(values_of(self.alias, credential))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stack.close()
        if kind is None:
            self.assert_nothing_unexpected()
            if self._all_used:
                self.assert_all_used()

    def __call__(self, test: Test) -> Test:
        """Decorate a test, awaited or not; raises TypeError for a class or a generator, which would outlast it."""
        if isinstance(test, type) or inspect.isgeneratorfunction(test) or inspect.isasyncgenfunction(test):
            how = "for a class use self.enterContext() in setUp(), in a generator a with statement"
            raise TypeError(f"a fake upstream decorates functions and methods that are tests: {how}")

        @wraps(test)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return test(*args, **kwargs)

        @wraps(test)
        async def arun(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await test(*args, **kwargs)

        return cast(Test, arun if inspect.iscoroutinefunction(test) else run)

    # -- what it answers to calls

    def answer(
        self,
        method: str,
        path: str,
        *in_order: Answer,
        json: Any = None,
        body: str | bytes | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer calls of this method and path, which is joined to BASE_URL as a client joins it.

        A query in the path must be that of the call; without one, any will do. ``in_order`` has several answers, the
        last of which is for all further calls: responses of ``jwt_upstream.testing.answer()``, errors to raise, or
        functions that are given the ``Call`` and return a response or a value to answer as JSON. Replaces an earlier
        answer of the same method and path.
        """
        if in_order and (json is not None or body is not None or status != 200 or headers):
            raise TypeError("write either answers in order, or json, body, status and headers of one answer")
        one = answers.answer(status, headers, body) if json is None else answers.json_answer(json, status, headers)
        said = in_order or (one,)
        self._server.can(Canned(method, urljoin(self._backend.base_url, path), said))

    # -- states

    def logged_in(
        self,
        account: str = "default",
        *,
        expires_in: float | None = 3600,
        parameters: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        """Accept the account's tokens, which are stored; ends whatever trouble there was.

        ``expires_in`` is in seconds; with None the expiry is unknown, and with 0 or less calls begin with a refresh.

        Where ACCOUNTS in settings names them, ``parameters`` and ``secrets`` are stored, secrets that are left out as
        "test-NAME"; an account that is registered already keeps what it has. Those that the code under test registers
        need none of this: the fake answers at their addresses too.
        """
        self._server.accept_all()
        if self._backend.accounts:
            self._server.know(own_values(self.alias, account, parameters or {}, secrets or {}))
        self._store(account, Refusal(), expires_in)

    def expired(self, account: str = "default", said: Response | None = None) -> None:
        """Refuse the account's access token as one that has expired; a refresh brings a new one."""
        if self._backend.is_static:
            raise self._none("expired", "its key does not expire")
        self._trouble("expired", account, Refusal(call=self._said("expired", "api", Verdict.EXPIRED, said)))

    def rejected(self, account: str = "default", said: Response | None = None) -> None:
        """Refuse the access token, and the refresh token as well; ``said`` answers the refresh.

        A LOGIN in settings is refused too. Calls raise CredentialRejected.
        """
        backend, refresh, login = self._backend, None, None
        if not backend.login_asks:
            raise self._none("rejected", "it logs in with what settings hold: see misconfigured()")
        if backend.can_refresh(self._pair):
            refresh = self._said("rejected", "refresh", Verdict.REJECTED, said)
        if backend.automatic_login and not backend.is_static:
            login = self._said("rejected", "login", Verdict.REJECTED)
        self._refuse("rejected", account, refresh, login)

    def locked(self, account: str = "default", said: Response | None = None) -> None:
        """Say that the account is locked: in answer to calls if the server says so there, else to the refresh.

        Calls raise AccountLocked.
        """
        backend, locked = self._backend, Verdict.LOCKED
        given = [said] if said is not None else []
        call, refresh, login = (wording(backend, where, locked, given) for where in ("api", "refresh", "login"))
        can_refresh = backend.has_token_endpoint and backend.can_refresh(self._pair)
        if call is not None:
            self._trouble("locked", account, Refusal(call, refresh), login)
        elif refresh is not None and can_refresh:
            self._refuse("locked", account, refresh, login)
        else:
            raise self._none("locked", "it reads no answer that is known, or that one, as LOCKED")

    def misconfigured(self, account: str = "default", said: Response | None = None) -> None:
        """Refuse the access token, and the refresh for a reason that lies in settings; ``said`` answers the refresh.

        Calls raise UpstreamMisconfigured.
        """
        backend = self._backend
        if backend.is_static and not backend.login_asks:
            self._refuse("misconfigured", account, None, None)
            return
        if not (backend.has_token_endpoint and (backend.can_refresh(self._pair) or backend.automatic_login)):
            raise self._none("misconfigured", "nothing is sent that could be refused for the settings")
        refresh = self._said("misconfigured", "refresh", Verdict.CONFIG, said)
        self._refuse("misconfigured", account, refresh, self._said("misconfigured", "login", Verdict.CONFIG, said))

    def needs_login(self, account: str = "default") -> None:
        """Forget the account's tokens: calls raise NotLoggedIn until there is a login, which succeeds."""
        if self._backend.logs_in_by_itself and account == "default":
            raise self._none("needs_login", "the account logs in by itself, with what settings hold")
        self._check_database("needs_login")
        self._server.accept_all()
        log_out(self.alias, account, by=BY, local_only=True)

    def refuses_logins(self, said: Response | None = None) -> None:
        """Refuse logins, as with a wrong password: they raise LoginRejected. Tokens go on to be accepted."""
        if not self._backend.has_token_endpoint:
            raise self._none("refuses_logins", "a login sends nothing")
        self._server.refused_logins = self._said("refuses_logins", "login", Verdict.REJECTED, said)

    def down(self) -> None:
        """Accept no connection: every request fails at once, with ``requests.ConnectionError`` or httpx's own."""
        self._server.failure = partial(requests.ConnectionError, f"{self.alias} is down, says its fake")

    def slow(self) -> None:
        """Answer nothing in time: every request fails at once, with ``requests.ReadTimeout`` or httpx's own."""
        self._server.failure = partial(requests.ReadTimeout, f"{self.alias} is slow, says its fake")

    # -- what it was asked

    @property
    def calls(self) -> list[Call]:
        """The calls so far, those included whose token was refused."""
        return list(self._server.calls)

    @property
    def refreshes(self) -> int:
        """How often tokens were refreshed, or were to be; a refresh that is a new login counts as a login."""
        return self._server.refreshes

    @property
    def logins(self) -> int:
        """How often somebody logged in, or tried to."""
        return self._server.logins

    @property
    def logouts(self) -> int:
        """How often the upstream was told of a logout."""
        return self._server.logouts

    def assert_nothing_unexpected(self) -> None:
        """Raise AssertionError if there was a call without a canned answer."""
        unexpected = ", ".join(self._server.unexpected)
        assert not unexpected, f"{self.alias}: calls without a canned answer: {unexpected}"

    def assert_all_used(self) -> None:
        """Raise AssertionError if there is a canned answer that no call has got."""
        unused = ", ".join(self._server.unused)
        assert not unused, f"{self.alias}: canned answers that no call has got: {unused}"

    # -- how

    @property
    def _backend(self) -> Backend:
        return self._server.backend

    @property
    def _pair(self) -> TokenPair:
        """A pair as this upstream gives them."""
        backend = self._backend
        return TokenPair("access", "refresh" if backend.needs_refresh_token and backend.refresh_paths else "")

    def _said(self, state: str, where: Where, verdict: Verdict, said: Response | None = None) -> Response:
        """Return what brings an upstream into a state; a test's own answer must be read so."""
        found = wording(self._backend, where, verdict) if said is None else said
        if found is None:
            why = f"no answer to a {'call' if where == 'api' else where} is known that it reads as {verdict.name}"
            raise self._none(state, why)
        read = self._backend.verdict(where, found)
        if read is not verdict:
            raise self._none(state, f"it reads that answer as {read.name}, not as {verdict.name}")
        return found

    def _none(self, state: str, why: str) -> NoSuchState:
        kind = type(self._backend).__name__
        return NoSuchState(f"{self.alias}: {state}() is no state of this upstream ({kind}): {why}")

    def _refuse(self, state: str, account: str, refresh: Response | None, login: Response | None) -> None:
        call = self._said(state, "api", Verdict.EXPIRED)
        self._trouble(state, account, Refusal(call, refresh), login)
        if self._backend.is_static:  # its key is not one of ours
            self._server.refused_calls = call

    def _trouble(self, state: str, account: str, refusal: Refusal, login: Response | None = None) -> None:
        self._check_database(state)
        self._server.accept_all()
        self._store(account, refusal)
        self._server.refused_logins = login

    def _check_database(self, state: str) -> None:
        if not has_database():
            raise RuntimeError(
                f"{self.alias}: {state}() changes the account's row, so this test needs the database: use Django's "
                "TestCase or pytest.mark.django_db; in code that is awaited, sync_to_async()"
            )

    def _store(self, account: str, refusal: Refusal, expires_in: float | None = 3600) -> None:
        access, refresh = self._server.new_tokens(refusal)
        pair = self._as_stored(account, access, refresh)
        expiry = None if expires_in is None else host_now() + timedelta(seconds=expires_in)
        pair = replace(pair, access_expires_at=expiry)
        self._release(account)
        if has_database():
            adopt(self.alias, account, pair, by=BY)
        else:
            self._held[account] = pair
            hold_token(self._server.of_account(account), account, pair)

    def _as_stored(self, account: str, access: str, refresh: str) -> TokenPair:
        backend = self._server.of_account(account)
        if backend.has_token_endpoint:
            return read_pair(backend, access, refresh if backend.needs_refresh_token else "")
        # A key in OPTIONS is what it is, as the app compares it with the stored one.
        has_key = backend.is_static and not backend.login_asks and not backend.test_path
        return (backend.login({}).pair if has_key else None) or TokenPair(access)

    def _hold_all(self, **_: Any) -> None:
        for account, pair in self._held.items():
            hold_token(self._server.of_account(account), account, pair)

    def _release(self, account: str) -> None:
        if self._held.pop(account, None):
            release_token(self.alias, account)

    def _release_all(self) -> None:
        for account in list(self._held):
            self._release(account)
