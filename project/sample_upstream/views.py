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
        """Count the answer; access tokens in it are remembered by their ids."""
        switchboard.count(self.counted_as if response.status_code < 400 else f"{self.counted_as}_refused")
        if response.data and "access" in response.data:
            switchboard.issued(AccessToken(response.data["access"])["jti"])
        return super().finalize_response(request, response, *args, **kwargs)


class LoginView(Counted, TokenObtainPairView):
    """Gives a pair of tokens for a username and password."""

    counted_as = "logins"


class RefreshView(Counted, TokenRefreshView):
    """Rotates the refresh token and blacklists the old one, unless the demo has broken it."""

    counted_as = "refreshes"

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer as simplejwt does, or 503 without looking at the token."""
        time.sleep(settings.SAMPLE_UPSTREAM_REFRESH_DELAY)
        if switchboard.is_refresh_broken:
            return Response({"detail": "The token service is down."}, status=503)
        response: Response = super().post(request, *args, **kwargs)
        return response

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Count, besides, the refresh tokens that were used a second time."""
        if response.data.get("detail") == "Token is blacklisted":
            switchboard.count("reused_refresh_tokens")
        return super().finalize_response(request, response, *args, **kwargs)


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
