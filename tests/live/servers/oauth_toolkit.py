"""django-oauth-toolkit with its defaults, the password grant, and two guards: DRF's class and its own view class."""

from __future__ import annotations

from typing import Any

import django_project
from serving import serve_wsgi

LOGIN_PAGE = '<form method="post">{% csrf_token %}{{ form }}<button>Log in</button></form>'
LOADERS = [
    ("django.template.loaders.locmem.Loader", {"registration/login.html": LOGIN_PAGE}),
    "django.template.loaders.app_directories.Loader",
]
django_project.configure(
    ["django.contrib.sessions", "oauth2_provider"],
    # For its page on which a user consents.
    LOGIN_URL="/login/",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": LOADERS,
                "context_processors": ["django.template.context_processors.request"],
            },
        }
    ],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["oauth2_provider.contrib.rest_framework.OAuth2Authentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    },
    OAUTH2_PROVIDER={
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        # So that a change of the lifetimes is noticed.
        "ALWAYS_RELOAD_OAUTHLIB_CORE": True,
    },
)

# Below, since models and views are imported once the settings are there.
from django.contrib.auth.views import LoginView  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.models import AccessToken, Application, RefreshToken  # noqa: E402
from oauth2_provider.settings import oauth2_settings  # noqa: E402
from oauth2_provider.views.generic import ProtectedResourceView  # noqa: E402
from rest_framework.decorators import api_view  # noqa: E402
from rest_framework.response import Response  # noqa: E402


@api_view(["GET"])
def me(request: Any) -> Response:
    """Say who is asking, behind DRF's authentication class."""
    return Response({"username": request.user.username})


class Me(ProtectedResourceView):
    """Say who is asking, behind the toolkit's own view class."""

    def get(self, request: Any) -> JsonResponse:
        """Answer as ``me`` does."""
        return JsonResponse({"username": request.resource_owner.username})


urlpatterns = [
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("login/", LoginView.as_view()),
    path("me/", me),
    path("plain/me/", Me.as_view()),
]


def lifetimes(access: float, refresh: float) -> None:
    """Set how long the tokens live that are issued from now on."""
    oauth2_settings.ACCESS_TOKEN_EXPIRE_SECONDS = access
    oauth2_settings.REFRESH_TOKEN_EXPIRE_SECONDS = refresh


def revoke(username: str) -> None:
    """Revoke all tokens of a user."""
    for token in RefreshToken.objects.filter(user__username=username, revoked=None):
        token.revoke()
    AccessToken.objects.filter(user__username=username).delete()


def knowing_its_address(app: Any) -> Any:
    """Have device logins name the page to confirm them on, whose port is known only once the server listens."""

    def served(environ: dict[str, Any], start_response: Any) -> Any:
        oauth2_settings.OAUTH_DEVICE_VERIFICATION_URI = f"http://{environ['HTTP_HOST']}/o/device/"
        return app(environ, start_response)

    return served


if __name__ == "__main__":
    app = knowing_its_address(django_project.application())
    Application.objects.create(
        name="app under test",
        client_id="app",
        client_secret="its secret: 100%",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_PASSWORD,
    )
    Application.objects.create(
        name="device under test",
        client_id="device",
        client_type=Application.CLIENT_PUBLIC,
        authorization_grant_type=Application.GRANT_DEVICE_CODE,
    )
    Application.objects.create(
        name="browser under test",
        client_id="browser",
        client_secret="its secret: 100%",
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        # Which it compares without the port (RFC 8252, section 7.3).
        redirect_uris="http://127.0.0.1/",
    )
    orders = {"lifetimes": lifetimes, "revoke": revoke}
    serve_wsgi(app, {**django_project.ORDERS, **orders})
