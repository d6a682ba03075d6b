"""What the live page shows: a call of now, all accounts, what happened, and what the upstream counted."""

from __future__ import annotations

from itertools import groupby
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone
from requests import RequestException

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential, Event
from project.demo import tenants
from project.demo.mails import mails
from project.demo.sample import Sample

_UPSTREAM, _ACCOUNT = "sample", "default"


def context() -> dict[str, Any]:
    """Return what the template needs, after one call."""
    # First the call, since it may change everything else that is shown.
    answer = _answer()
    rows = Credential.objects.order_by("upstream", "account")
    credential = rows.filter(upstream=_UPSTREAM, account=_ACCOUNT).first()
    return {
        **answer,
        "credential": credential,
        "seconds_left": _seconds_left(credential),
        "others": [row for row in rows if row != credential],
        "customer": next(iter(tenants.expected()), None),
        "sample": sample_state(),
        "runs": _runs(),
        "mails": mails()[:6],
        "person": settings.SAMPLE_UPSTREAM_USERNAME,
        "password": settings.SAMPLE_UPSTREAM_PASSWORD,
    }


def sample() -> Sample:
    """Return the sample upstream, at the address that the settings have."""
    return Sample(settings.JWT_UPSTREAM[_UPSTREAM]["BASE_URL"])


def sample_state() -> dict[str, object] | None:
    """Return how the sample upstream is switched and what it counted, if it answers."""
    try:
        return sample().state()
    except RequestException:
        return None


class Run(NamedTuple):
    """Events of one kind that came one after the other; ``first`` stays as it grows."""

    newest: Event
    first: Event
    times: int


def _runs() -> list[Run]:
    # A page that calls every second refreshes all the time, which must not push what matters off the list.
    newest = Event.objects.filter(upstream=_UPSTREAM, account=_ACCOUNT)[:400]
    runs = [list(run) for _, run in groupby(newest, key=lambda event: (event.kind, event.reason))]
    return [Run(run[0], run[-1], len(run)) for run in runs[:12]]


def _answer() -> dict[str, Any]:
    try:
        response = UpstreamClient(_UPSTREAM, _ACCOUNT).get("orders/")
        response.raise_for_status()
        return {"data": response.json()}
    except RequestException as error:
        return {"error": type(error).__name__, "error_text": str(error)}


def _seconds_left(credential: Credential | None) -> float | None:
    if credential is None or credential.access_expires_at is None:
        return None
    left: float = (credential.access_expires_at - timezone.now()).total_seconds()
    return max(0.0, left)
