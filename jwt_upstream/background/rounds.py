"""One round of the background refresh, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field

from jwt_upstream.backends import get_backend
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.refresh import DueCredentials, in_threads
from jwt_upstream.store import queries
from jwt_upstream.tracebacks import without_variables

from .turns import Turn, Turns

#: How often whoever watches a round is told how far it is, in seconds.
_PROGRESS_SECONDS = 0.5


@dataclass
class Round:
    """The result of one round: how many credentials were refreshed, failed or need a human, and upstreams skipped.

    ``mismatched`` of those that need a human were left alone, since their tokens were obtained for other settings, and
    ``misconfigured``, since settings don't allow the parameters or secrets that their accounts have of their own.
    """

    refreshed: int = 0
    failed: int = 0
    need_human: int = 0
    given_up: list[str] = field(default_factory=list)
    mismatched: int = 0
    misconfigured: int = 0

    @property
    def tried(self) -> int:
        """How many attempts were made."""
        return self.refreshed + self.failed + self.need_human - self.mismatched - self.misconfigured


@without_variables
def refresh_due(
    *,
    limit: int | None = None,
    seconds: float = 50.0,
    ahead: float = 60.0,
    upstreams: Sequence[str] = (),
    threads: int = 8,
    stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[Round], None] = lambda _: None,
) -> Round:
    """Refresh credentials that calls would have to refresh within ``ahead`` seconds, in the order of their expiry.

    Makes at most ``limit`` attempts (None: as many as are due) and begins none after ``seconds``, nor once ``stop()``
    is true; those under way are finished. Uses up to ``threads`` threads, each with a database connection of its own,
    and at most ``max_concurrent_refreshes`` of them for one upstream. Upstreams take turns, so that one that has many
    credentials or is down doesn't delay the others. Credentials in backoff, or that another worker is refreshing, are
    skipped, so any number of processes and hosts share the work, as are those whose tokens were obtained for other
    settings, or whose own parameters and secrets settings don't allow. Where ``LOGIN`` is configured and nothing is
    stored, it logs in. ``on_progress`` is called in this thread, twice a second.

    Raises nothing for what upstreams do; raises the database's error if that is away.
    """
    result, using = Round(), queries.database()
    turns = Turns(_turns(upstreams or conf.upstreams, ahead, using, result), result, limit, seconds, threads, stop)
    try:
        _watch(in_threads(threads, turns.work, using), lambda: on_progress(result))
    finally:
        turns.stop()
    result.mismatched, result.misconfigured = turns.mismatched, turns.misconfigured
    result.need_human += result.mismatched + result.misconfigured
    if turns.error:
        raise turns.error
    turns.announce_misconfigured()
    return result


def _turns(upstreams: Iterable[str], ahead: float, using: str, result: Round) -> list[Turn]:
    turns = []
    for upstream in upstreams:
        try:
            turns.append(Turn(DueCredentials(get_backend(upstream), ahead, using)))
        except UpstreamNotConfigured:
            result.given_up.append(upstream)
    return turns


def _watch(running: list[Future[None]], on_progress: Callable[[], None]) -> None:
    while wait(running, timeout=_PROGRESS_SECONDS).not_done:
        on_progress()
    on_progress()
    for future in running:
        future.result()
