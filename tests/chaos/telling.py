"""What people and receivers were told: logs every message and every signal."""

from __future__ import annotations

from typing import Any

from django.dispatch import Signal

from jwt_upstream import signals
from jwt_upstream.alerts import Alert
from tests.chaos.process import log


def tell(alert: Alert) -> None:
    """Log each incident that a message is about: the notifier of a run."""
    for trouble in alert.troubles:
        log.write("told", incident=trouble.incident, subject=trouble.subject, kind=alert.kind, trouble=trouble.kind)


def connect() -> None:
    """Have every signal of the package logged."""
    for name in signals.__all__:
        signal: Signal = getattr(signals, name)
        signal.connect(_log, dispatch_uid=f"chaos {name}")


def _log(event: Any = None, incident: Any = None, **_: Any) -> None:
    if event is not None:
        log.write("signal", event=event.pk, account=f"{event.upstream}/{event.account}", kind=event.kind)
    else:
        log.write("incident", upstream=incident.upstream, kind=incident.kind)
