"""drf-jwt, the kept-up fork of django-rest-framework-jwt: an access token renews itself while it is good."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import django_project
from serving import serve_wsgi

django_project.configure(
    ["rest_framework_jwt", "rest_framework_jwt.blacklist"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_jwt.authentication.JSONWebTokenAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    },
    JWT_AUTH={"JWT_AUTH_HEADER_PREFIX": "Bearer", "JWT_TOKEN_ID": "include"},
)

from django.urls import path  # noqa: E402 -- once the settings are there
from rest_framework.decorators import api_view  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework_jwt.settings import api_settings  # noqa: E402
from rest_framework_jwt.views import obtain_jwt_token, refresh_jwt_token  # noqa: E402


@api_view(["GET"])
def me(request: Any) -> Response:
    """Say who is asking."""
    return Response({"username": request.user.username})


urlpatterns = [
    path("api-token-auth/", obtain_jwt_token),
    path("api-token-refresh/", refresh_jwt_token),
    path("me/", me),
]


def lifetimes(access: float, refresh: float) -> None:
    """Set how long the tokens live that are issued from now on."""
    api_settings.JWT_EXPIRATION_DELTA = timedelta(seconds=access)


if __name__ == "__main__":
    serve_wsgi(django_project.application(), {**django_project.ORDERS, "lifetimes": lifetimes})
