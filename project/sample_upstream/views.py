"""What the sample upstream answers: simplejwt's own token views, a guarded resource, and the demo's switches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.tokens import AccessToken
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from .orders import orders
from .switchboard import switchboard


class Counted(APIView):
    """Counts its answers, under another name where they are refusals."""

    counted_as: str

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Count the answer, and a refresh token that came twice; access tokens are remembered by their ids."""
        switchboard.count(self.counted_as if response.status_code < 400 else f"{self.counted_as}_refused")
        says = response.data or {}
        if given := says.get("access") or says.get("access_token"):
            switchboard.issued(AccessToken(given)["jti"])
        if "Token is blacklisted" in (says.get("detail"), says.get("error_description")):
            switchboard.count("reused_refresh_tokens")
        return super().finalize_response(request, response, *args, **kwargs)


def refresh_delay() -> None:
    """Take the time that a token endpoint across a network takes."""
    time.sleep(settings.SAMPLE_UPSTREAM_REFRESH_DELAY)


class LoginView(Counted, TokenObtainPairView):
    """Gives a pair of tokens for a username and password."""

    counted_as = "logins"


class RefreshView(Counted, TokenRefreshView):
    """Rotates the refresh token and blacklists the old one, unless the demo has broken it."""

    counted_as = "refreshes"

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer as simplejwt does, or 503 without looking at the token."""
        refresh_delay()
        if switchboard.is_refresh_broken:
            return Response({"detail": "The token service is down."}, status=503)
        response: Response = super().post(request, *args, **kwargs)
        return response


class OrdersView(Counted):
    """The small protected resource."""

    counted_as = "calls"

    def get(self, request: Request) -> Response:
        """Return the orders."""
        calls = switchboard.counts()["calls"]
        return Response({"served_at": timezone.now(), "account": request.user.username, "orders": orders(calls)})


class IsLoopback(BasePermission):
    """Lets in who sits at this machine: whoever can throw the switches can lock the account."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Look at the peer's address; pages of other sites can't send the JSON that the switches want."""
        return str(request.META["REMOTE_ADDR"]).startswith("127.")


class SwitchesView(APIView):
    """For the demo only: shows the counts and makes trouble on demand."""

    authentication_classes = ()
    permission_classes = (AllowAny, IsLoopback)

    def get(self, request: Request) -> Response:
        """Return what is switched how, and the counts."""
        is_locked = not _account().is_active
        is_broken = switchboard.is_refresh_broken
        return Response({"is_locked": is_locked, "is_refresh_broken": is_broken, "counts": switchboard.counts()})

    def post(self, request: Request) -> Response:
        """Throw one switch: {"switch": "lock"}."""
        throw = SWITCHES.get(request.data.get("switch"))
        if throw is None:
            return Response({"detail": f"There are {', '.join(SWITCHES)}."}, status=400)
        throw()
        return self.get(request)


def _account() -> Any:
    return get_user_model().objects.get(username=settings.SAMPLE_UPSTREAM_USERNAME)


def _set_active(is_active: bool) -> None:
    get_user_model().objects.filter(username=settings.SAMPLE_UPSTREAM_USERNAME).update(is_active=is_active)


def _set_broken(is_broken: bool) -> None:
    switchboard.is_refresh_broken = is_broken


SWITCHES: dict[str, Callable[[], None]] = {
    "expire": switchboard.revoke_access_tokens,
    "break": lambda: _set_broken(True),
    "heal": lambda: _set_broken(False),
    "lock": lambda: _set_active(False),
    "unlock": lambda: _set_active(True),
}
