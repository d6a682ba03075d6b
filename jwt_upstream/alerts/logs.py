"""The notifier that logs, for projects whose logs are watched."""

from __future__ import annotations

import logging

from jwt_upstream.languages import for_programs

from .messages import Alert

logger = logging.getLogger("jwt_upstream.alerts")

_LEVELS = {"opened": logging.ERROR, "reminder": logging.ERROR, "expiring": logging.WARNING}


@for_programs
def log(alert: Alert) -> None:
    """Log a line for each trouble, at level ERROR while it lasts; ``extra`` has upstream, account and kind."""
    level = _LEVELS.get(alert.kind, logging.INFO)
    for trouble in alert.troubles:
        said = f"{trouble.reason}; {trouble.what_to_do} {trouble.link or trouble.page}".strip("; ")
        extra = {"upstream": trouble.upstream, "account": trouble.account, "kind": trouble.kind}
        logger.log(level, "%s: %s: %s", alert.kind, trouble.subject, said, extra=extra)
    if alert.more or not alert.troubles:
        logger.log(level, "%s: %s", alert.kind, alert.subject)
