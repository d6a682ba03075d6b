"""One refresh at a time per process and key: whoever asks while it runs shares its result, its failure included."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, NamedTuple

from jwt_upstream.process import PerProcess
from jwt_upstream.store import connections


class Flight:
    """A refresh under way and those who wait for it.

    Callers inside a transaction may be the very ones whose locks keep the refresh from being recorded, so they wait
    for a future of their own, which can fail while that of the others stays open.
    """

    def __init__(self) -> None:
        self.outside: Future[Any] = Future()
        self.in_transaction: Future[Any] = Future()
        self.has_waiters_outside = False
        #: Whether a caller's transaction may hold the row, which nobody has tried yet.
        self.has_unchecked_transaction = False

    def join(self, *, in_transaction: bool) -> Future[Any]:
        """Return what a caller waits for."""
        self.has_waiters_outside = self.has_waiters_outside or not in_transaction
        self.has_unchecked_transaction = self.has_unchecked_transaction or in_transaction
        return self.in_transaction if in_transaction else self.outside

    def fail_in_transaction(self, error: BaseException) -> None:
        """Fail the callers inside transactions, whose locks are released when they leave."""
        if not self.in_transaction.done():
            self.in_transaction.set_exception(error)

    def land(self, result: Any = None, error: BaseException | None = None) -> None:
        """Give the result, or the error, to everybody who still waits."""
        for future in (self.outside, self.in_transaction):
            if not future.done():
                future.set_exception(error) if error else future.set_result(result)


class Place(NamedTuple):
    """A caller's place in a flight: what it waits for, and whether it started the flight."""

    future: Future[Any]
    flight: Flight
    leads: bool


class SingleFlight:
    """The flights of one process, by database and key."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight] = {}
        self._lock = threading.Lock()

    def share(self, key: Hashable, using: str, work: Callable[[Flight], Any]) -> Place:
        """Have ``work(flight)`` done, or join whoever is doing it under the same key."""
        joins_caller = connections.must_join(using)
        in_transaction = not joins_caller and connections.in_transaction(using)
        place = connections.scope(using), key
        with self._lock:
            flight = self._flights.get(place)
            leads = flight is None
            if flight is None:
                flight = self._flights[place] = Flight()
            future = flight.join(in_transaction=in_transaction)
        if leads and joins_caller:
            self._fly(place, flight, work)
        elif leads:
            self._start(using, place, flight, work)
        return Place(future, flight, leads)

    def is_under_way(self, key: Hashable, using: str) -> bool:
        """Tell whether a thread of this process is refreshing under the key."""
        return (connections.scope(using), key) in self._flights

    def _start(self, using: str, place: Hashable, flight: Flight, work: Callable[[Flight], Any]) -> None:
        try:
            connections.in_own_thread(using, lambda: self._fly(place, flight, work))
        except BaseException:  # a signal's; if the thread did not start, nobody would ever land this flight
            self._flights.pop(place, None)
            raise

    def _fly(self, place: Hashable, flight: Flight, work: Callable[[Flight], Any]) -> None:
        # First out of the table, then the result: whoever comes now starts anew and finds that the row has moved on.
        try:
            result = work(flight)
        except BaseException as error:  # the thread has nobody else to tell
            self._flights.pop(place, None)
            flight.land(error=error)
        else:
            self._flights.pop(place, None)
            flight.land(result)


single_flight = PerProcess(SingleFlight)
