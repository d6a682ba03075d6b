"""djangorestframework-simplejwt; with "rotating": rotation, blacklist, and tokens that end with the password."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import django_project
from serving import serve_wsgi

ROTATING = {"ROTATE_REFRESH_TOKENS": True, "BLACKLIST_AFTER_ROTATION": True, "CHECK_REVOKE_TOKEN": True}

django_project.configure(
    ["rest_framework_simplejwt.token_blacklist"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    },
    SIMPLE_JWT=ROTATING if "rotating" in sys.argv else {},
)

from django.urls import path  # noqa: E402 -- once the settings are there
from rest_framework.decorators import api_view  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken  # noqa: E402
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken  # noqa: E402
from rest_framework_simplejwt.views import TokenBlacklistView, TokenObtainPairView, TokenRefreshView  # noqa: E402


@api_view(["GET"])
def me(request: Any) -> Response:
    """Say who is asking."""
    return Response({"username": request.user.username})


urlpatterns = [
    path("api/token/", TokenObtainPairView.as_view()),
    path("api/token/refresh/", TokenRefreshView.as_view()),
    path("api/token/blacklist/", TokenBlacklistView.as_view()),
    path("api/me/", me),
]


def lifetimes(access: float, refresh: float) -> None:
    """Set how long the tokens live that are issued from now on."""
    AccessToken.lifetime, RefreshToken.lifetime = timedelta(seconds=access), timedelta(seconds=refresh)


def revoke(username: str) -> None:
    """Blacklist all refresh tokens of a user."""
    for token in OutstandingToken._default_manager.filter(user__username=username):
        BlacklistedToken._default_manager.get_or_create(token=token)


if __name__ == "__main__":
    serve_wsgi(django_project.application(), {**django_project.ORDERS, "lifetimes": lifetimes, "revoke": revoke})
