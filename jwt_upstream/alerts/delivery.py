"""Delivers what the outbox holds: each message by one worker, all notifiers at the same time."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from jwt_upstream.conf import conf
from jwt_upstream.store import connections, outbox, queries

from .expiries import warn_of_client_secrets
from .messages import alert_of
from .notifiers import in_language_of, notify, running, started

T = TypeVar("T")

logger = logging.getLogger("jwt_upstream")

#: How much longer than a notifier may take nobody else tells what it is telling.
_SLACK_SECONDS = 10.0


def deliver(*, ahead: float = 0.0, seconds: float | None = None) -> int:
    """Deliver what is due, or will be within ``ahead`` seconds; return how many messages were delivered meanwhile.

    Takes ``seconds`` at most, JWT_UPSTREAM_NOTIFIER_SECONDS by default: what a notifier that hangs has taken is left
    to it, in a thread that goes on, and told by others later if nothing comes of it. Safe to be called at any time, in
    any thread and by any number of workers; raises nothing for what notifiers or the database do.
    """
    using = queries.database()
    if connections.must_join(using):
        names = _names_due(using, ahead)
        return sum(_deliver_of(name, using, ahead) for name in names)
    give_up_at = time.monotonic() + (conf.notifier_seconds if seconds is None else seconds)
    looking = started(using, partial(_begin, using, ahead), "jwt_upstream outbox")
    return sum(_result(telling, give_up_at) or 0 for telling in _result(looking, give_up_at) or [])


def _result(future: Future[T], give_up_at: float) -> T | None:
    try:
        return future.result(max(give_up_at - time.monotonic(), 0.0))
    except TimeoutError:
        return None
    except Exception as error:  # the database is away, say: whoever comes by next tries again
        logger.warning("what is to be told was not delivered: %s", type(error).__name__)
        return None


def _begin(using: str, ahead: float) -> list[Future[int]]:
    """Have each notifier that has anything to tell do so, in a thread of its own."""
    begun = [running().start(name, partial(_deliver_of, name, using, ahead)) for name in _names_due(using, ahead)]
    return [telling for telling in begun if telling]


def _names_due(using: str, ahead: float) -> list[str]:
    warn_of_client_secrets(using)
    return sorted({group.notifier for group in outbox.due(conf.notifiers, using, ahead)})


def _deliver_of(name: str, using: str, ahead: float) -> int:
    """Tell all that a notifier has to tell, a message for each upstream; return how many were delivered."""
    groups = list(outbox.due([name], using, ahead))
    delivered = sum(_tell(group, using, ahead) for group in groups)
    if delivered:
        outbox.tidy(using)
    return delivered


def _tell(group: outbox.Group, using: str, ahead: float) -> bool:
    batch = outbox.take(group, conf.notifier_seconds + _SLACK_SECONDS, using, ahead)
    if batch is None:
        return False
    with in_language_of(group.notifier):
        alert = alert_of(batch)
    failure = notify(group.notifier, alert)
    if failure:
        note = partial(outbox.not_told, batch, failure, using)
    else:
        note = partial(outbox.told, batch, using)
    # Again and again: if this is lost, the same is told twice.
    connections.write_with_retry(note, using, conf.notifier_seconds)
    return not failure
