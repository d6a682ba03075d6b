"""What a fake upstream says: to calls with its canned answers, to tokens by the state that their account is in."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import replace
from typing import NamedTuple

import requests
from requests import Response

from jwt_upstream.accounts import AccountValues
from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.backends.core import without_query
from jwt_upstream.exceptions import AccountMisconfigured
from jwt_upstream.tokens import TokenPair

from .answers import answer
from .calls import Call, Canned
from .wording import good_answer

_UNSAFE = re.compile(r"\W+")


class UnexpectedRequest(AssertionError):
    """A call was made for which there is no canned answer; no network was used."""


class Refusal(NamedTuple):
    """What is said to the tokens of an account in trouble; None where they are accepted."""

    call: Response | None = None
    refresh: Response | None = None


_NOTHING = Refusal()


class Server:
    """Answers in the place of one upstream; knows no transport and no database. Safe to share between threads."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.calls: list[Call] = []
        self.refreshes = self.logins = self.logouts = 0
        #: What no request gets past, such as an upstream that is down.
        self.failure: Callable[[], requests.RequestException] | None = None
        self.refused_logins: Response | None = None
        self.refused_calls: Response | None = None
        self.unexpected: list[str] = []
        self._canned: dict[str, Canned] = {}
        self._refusals: dict[str, Refusal] = {}
        self._own: dict[str, AccountValues] = {}
        self._issued = self._steps_taken = 0
        self._name = _UNSAFE.sub("-", alias)
        self._token = re.compile(rf"\b{re.escape(self._name)}-(?:access|refresh)-\d+")
        self._lock = threading.Lock()

    @property
    def backend(self) -> Backend:
        """The backend as settings are now."""
        return get_backend(self.alias)

    def know(self, values: AccountValues) -> None:
        """Answer at the address of an account that has one of its own."""
        self._own[values.account] = values

    def of_account(self, account: str) -> Backend:
        """Return the backend of an account, with what it has of its own."""
        return get_backend(self.alias, self._own[account]) if account in self._own else self.backend

    @property
    def backends(self) -> list[Backend]:
        """The backends of the accounts that have an address of their own, or the one of all accounts."""
        return list(filter(None, map(self._if_allowed, list(self._own)))) or [self.backend]

    def _if_allowed(self, account: str) -> Backend | None:
        """Return the backend of an account, unless settings don't allow what it has, so that nothing can be sent."""
        try:
            return self.of_account(account)
        except AccountMisconfigured:
            return None

    def at(self, url: str) -> Backend:
        """Return the backend of the account whose address has most of a URL, or that of all accounts."""
        there = [backend for backend in self.backends if url.startswith(backend.base_url)]
        return max(there, key=lambda backend: len(backend.base_url), default=self.backend)

    # -- what the test says

    def can(self, canned: Canned) -> None:
        """Answer so from now on, also in place of what was said before."""
        self._canned.pop(str(canned), None)
        self._canned[str(canned)] = canned

    def accept_all(self) -> None:
        """Forget all troubles."""
        self.failure = self.refused_logins = self.refused_calls = None

    def new_tokens(self, refusal: Refusal = _NOTHING) -> tuple[str, str]:
        """Return an access token and a refresh token, with what is said to whoever sends them."""
        self._issued += 1
        access, refresh = (f"{self._name}-{kind}-{self._issued}" for kind in ("access", "refresh"))
        self._refusals[access] = self._refusals[refresh] = refusal
        return access, refresh

    @property
    def unused(self) -> list[str]:
        """The canned answers that no call has got."""
        return [name for name, canned in self._canned.items() if not canned.number_of_calls]

    # -- what the upstream does

    def made(self, method: str | None, url: str, headers: Mapping[str, str], body: bytes) -> Call:
        """Return a request as a call."""
        url = without_query(url, self.backend.api_query)
        return Call(str(method).upper(), url, url.removeprefix(self.at(url).base_url), headers, body)

    def serves(self, url: str) -> bool:
        """Tell whether a URL is one of the upstream's, or one that the test has an answer for."""
        there = Call("", url, "", {}, b"").url.partition("?")[0]
        return self._is_ours(url) or any(there in name for name in self._canned)

    def _is_ours(self, url: str) -> bool:
        return any(backend.may_call(url) for backend in self.backends)

    def answer_call(self, call: Call, shown: str) -> Response:
        """Answer a call; ``shown`` has the token. Raises UnexpectedRequest, and what a canned answer raises."""
        with self._lock:
            self._fail()
            if (refused := self._refused_call(call, shown)) is not None:
                self.calls.append(call)
                return refused
            canned = self._found(call)
            if canned is None:
                raise self._unexpected(call)
            self.calls.append(call)
        return canned.next(call)

    def answer_token_request(self, call: Call, shown: str) -> Response:
        """Answer a login, a refresh or a logout; ``shown`` has all that was sent."""
        with self._lock:
            self._fail()
            if self._is_logout(call):
                self.logouts += 1
                return answer(200, body={})
            if self._token.search(shown):
                self.refreshes += 1
                refused = self._refusal(shown).refresh
                return self._new_pair() if refused is None else refused
            return self._logged_in()

    def _refused_call(self, call: Call, shown: str) -> Response | None:
        if not self._is_ours(call.url):
            return None
        refused = self._refusal(shown).call  # compared with None, since a response that is an error is false
        return self.refused_calls if refused is None else refused

    def _logged_in(self) -> Response:
        self._steps_taken += 1
        if self._steps_taken <= len(self.backend.steps):
            return good_answer(self.backend, "", "")
        self._steps_taken = 0
        self.logins += 1
        if self.refused_logins is not None:
            return self.refused_logins
        return self._new_pair()

    def _new_pair(self) -> Response:
        access, refresh = self.new_tokens()
        return good_answer(self.backend, access, refresh if self.backend.needs_refresh_token else "")

    def _refusal(self, shown: str) -> Refusal:
        found = (self._refusals.get(token, _NOTHING) for token in self._token.findall(shown))
        return next((refusal for refusal in found if refusal is not _NOTHING), _NOTHING)

    def _found(self, call: Call) -> Canned | None:
        base_url = self.at(call.url).base_url
        if call.url.startswith(base_url):  # a canned answer is for all accounts
            call = replace(call, url=self.backend.base_url + call.url.removeprefix(base_url))
        fitting: Iterator[Canned] = (canned for canned in self._canned.values() if canned.is_for(call))
        return max(fitting, key=lambda canned: canned.has_query, default=None)

    def _unexpected(self, call: Call) -> UnexpectedRequest:
        self.unexpected.append(str(call))
        known = ", ".join(self._canned) or "none at all"
        return UnexpectedRequest(f"{self.alias}: no canned answer for {call}; there is {known}")

    def _is_logout(self, call: Call) -> bool:
        pair, where = TokenPair("access", "refresh"), (call.method, call.url.partition("?")[0])
        requests = (_unsigned(backend).revoke_request(pair) for backend in self.backends)
        return any(request is not None and (request.method, request.url) == where for request in requests)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure()


def _unsigned(backend: Backend) -> Backend:
    """Return a copy that builds requests without signing them, for which it would have to read the key."""
    double = copy(backend)
    double.is_preview = True
    return double
