"""The views: two that a project would have, and the live page of the demo."""

from __future__ import annotations

from collections import Counter

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, login
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_POST
from requests import RequestException

from jwt_upstream.client import UpstreamClient
from project.demo import branches, live, tenants


@require_GET
def orders(request: HttpRequest) -> JsonResponse:
    """Hand on what the upstream says: all the code that calling it takes."""
    response = UpstreamClient("sample").get("orders/")
    response.raise_for_status()
    return JsonResponse(response.json())


@require_GET
async def all_orders(request: HttpRequest) -> JsonResponse:
    """Call with every branch's account at once, and say what each got."""
    return JsonResponse(dict(zip(branches.names(), await branches.call(), strict=True)))


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show how everything is, and the buttons that make trouble."""
    return render(request, "project/live.html", live.context())


@require_GET
def fragment(request: HttpRequest) -> HttpResponse:
    """Return the part of the page that changes, for the page to fetch every second."""
    return render(request, "project/fragment.html", live.context())


@sensitive_variables("password")
@require_GET
def sign_in(request: HttpRequest, password: str) -> HttpResponse:
    """Log the demo's superuser in by the address that the terminal shows, on this machine only."""
    user = authenticate(request, username="demo", password=password)
    if user is None or not request.META["REMOTE_ADDR"].startswith("127."):
        raise Http404
    login(request, user)
    return redirect("live")


@require_POST
def do(request: HttpRequest, action: str) -> HttpResponse:
    """Throw a switch of the upstream, log in, sign a customer up, or call with all accounts; show the page again."""
    try:
        messages.success(request, _done(action))
    except RequestException as error:
        messages.error(request, str(error))
    return redirect("live")


def _done(action: str) -> str:
    if action == "login":
        username, password = settings.SAMPLE_UPSTREAM_USERNAME, settings.SAMPLE_UPSTREAM_PASSWORD
        UpstreamClient("sample").login(username=username, password=password, by="the demo page")
        return "Logged in again."
    if action == "call":
        return _called()
    if action == "sign-up":
        return _signed_up()
    if action not in _SWITCHED:
        raise Http404
    live.sample().throw(action)
    return _SWITCHED[action]


_SWITCHED = {
    "expire": "Every access token has ended before its time.",
    "break": "The refresh endpoint answers 503 from now on.",
    "heal": "The refresh endpoint works again.",
    "lock": "The account is locked at the upstream.",
    "unlock": "The account is unlocked at the upstream.",
}


def _signed_up() -> str:
    for name in tenants.expected()[:1]:
        response = tenants.sign_up(name).get("orders/")
        response.raise_for_status()
        return f"{name} is a row now, and its own server answered with {len(response.json()['orders'])} orders."
    return "All customers have signed up."


def _called() -> str:
    before = live.sample().counts()
    answers = Counter(async_to_sync(branches.call)())
    told = ", ".join(f"{times} × {answer}" for answer, times in sorted(answers.items()))
    refreshes = live.sample().counted_since(before)["refreshes"]
    return f"Called with {answers.total()} accounts at once: {told or 'none'}. Tokens refreshed: {refreshes}."
