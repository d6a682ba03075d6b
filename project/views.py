"""The views: one that a project would have, and the live page of the demo."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST
from requests import RequestException

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential, Event
from project.demo.mails import mails
from project.demo.sample import Sample


@require_GET
def orders(request: HttpRequest) -> JsonResponse:
    """Hand on what the upstream says: all the code that calling it takes."""
    response = UpstreamClient("sample").get("orders/")
    response.raise_for_status()
    return JsonResponse(response.json())


@require_GET
def live(request: HttpRequest) -> HttpResponse:
    """Show how everything is, and the buttons that make trouble."""
    return render(request, "project/live.html", _context())


@require_GET
def fragment(request: HttpRequest) -> HttpResponse:
    """Return the part of the page that changes, for the page to fetch every second."""
    return render(request, "project/fragment.html", _context())


@require_POST
def do(request: HttpRequest, action: str) -> HttpResponse:
    """Throw a switch of the upstream, or log in, and show the page again."""
    try:
        if action == "login":
            username, password = settings.SAMPLE_UPSTREAM_USERNAME, settings.SAMPLE_UPSTREAM_PASSWORD
            UpstreamClient("sample").login(username=username, password=password, by="the demo page")
        elif action in {"expire", "break", "heal", "lock", "unlock"}:
            _sample().throw(action)
        else:
            raise Http404
    except RequestException as error:
        messages.error(request, str(error))
    return redirect("live")


def _sample() -> Sample:
    return Sample(settings.JWT_UPSTREAM["sample"]["BASE_URL"])


def _context() -> dict[str, Any]:
    # First the call, since it may change everything else that is shown.
    answer = _answer()
    credential = Credential.objects.filter(upstream="sample").first()
    return {
        **answer,
        "credential": credential,
        "seconds_left": _seconds_left(credential),
        "sample": _sample_state(),
        "events": _events(),
        "mails": mails()[:6],
    }


def _events() -> list[tuple[Event, int]]:
    # A page that calls every second refreshes all the time, which must not push what matters off the list.
    newest = Event.objects.filter(upstream="sample")[:400]
    runs = [list(run) for _, run in groupby(newest, key=lambda event: (event.kind, event.reason))]
    return [(run[0], len(run)) for run in runs[:14]]


def _answer() -> dict[str, Any]:
    try:
        response = UpstreamClient("sample").get("orders/")
        response.raise_for_status()
        return {"data": response.json()}
    except RequestException as error:
        return {"error": type(error).__name__, "error_text": str(error)}


def _seconds_left(credential: Credential | None) -> float | None:
    if credential is None or credential.access_expires_at is None:
        return None
    left: float = (credential.access_expires_at - timezone.now()).total_seconds()
    return max(0.0, left)


def _sample_state() -> dict[str, object] | None:
    try:
        return _sample().state()
    except RequestException:
        return None
