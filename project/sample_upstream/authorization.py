"""The page on which a person lets the shop act for them, and the token endpoint that takes the code of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import authenticate, get_user_model
from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from rest_framework.exceptions import APIException
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.serializers import TokenRefreshSerializer
from rest_framework_simplejwt.tokens import RefreshToken

from .codes import codes
from .switchboard import switchboard
from .views import Counted, refresh_delay

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


# Nothing is done for who is logged in here, since nobody ever is: the form has the password, so no other site can fill
# it in, and there is no cookie for it to ride on.
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """Ask a person to log in and agree, and send the browser back with a code or an error."""
    redirect_uri = request.GET.get("redirect_uri", "")
    # RFC 6749, section 4.1.2.1: nobody is sent to an address that may be a stranger's.
    if request.GET.get("client_id") != settings.SAMPLE_UPSTREAM_CLIENT_ID or not _is_loopback(redirect_uri):
        return render(request, "authorize.html", {"is_unknown": True}, status=400)
    if error := _error(request.GET):
        return _back(request, redirect_uri, error=error)
    if request.method == "GET":
        return render(request, "authorize.html")
    if "deny" in request.POST:
        return _back(request, redirect_uri, error="access_denied")
    user = authenticate(request, username=request.POST.get("username"), password=request.POST.get("password"))
    if user is None:
        return render(request, "authorize.html", {"is_refused": True}, status=403)
    code = codes.issue(
        user.get_username(), request.GET["client_id"], redirect_uri, request.GET.get("code_challenge", "")
    )
    return _back(request, redirect_uri, code=code)


def _is_loopback(redirect_uri: str) -> bool:
    # RFC 8252, section 7.3: any port, since whoever listens there takes a free one.
    try:
        parts = urlsplit(redirect_uri)
    except ValueError:
        return False
    return parts.scheme == "http" and parts.hostname in _LOOPBACK and not parts.fragment


def _error(asked: Any) -> str:
    if asked.get("response_type") != "code":
        return "unsupported_response_type"
    if asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
        return "invalid_request"
    return ""


def _back(request: HttpRequest, redirect_uri: str, **answer: str) -> HttpResponse:
    # RFC 9207: who it is that answers.
    answer |= {"state": request.GET.get("state", ""), "iss": f"{request.scheme}://{request.get_host()}"}
    separator = "&" if urlsplit(redirect_uri).query else "?"
    return HttpResponseRedirect(f"{redirect_uri}{separator}{urlencode(answer)}")


class InvalidGrant(APIException):
    """The refusal of a code or of a refresh token (RFC 6749, section 5.2)."""

    status_code = 400

    def __init__(self, description: str) -> None:
        super().__init__()
        self.detail = {"error": "invalid_grant", "error_description": description}


class TokenView(Counted):
    """Gives tokens for a code or a refresh token, which it rotates; the client is a public one, without a secret."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = (FormParser,)
    counted_as = "refreshes"

    def post(self, request: Request) -> Response:
        """Answer as RFC 6749 describes (sections 4.1.3 and 6)."""
        grant_type = request.data.get("grant_type")
        if grant_type == "authorization_code":
            self.counted_as = "logins"
            return Response(_described(_for_code(request.data)))
        if grant_type == "refresh_token":
            refresh_delay()
            if switchboard.is_refresh_broken:
                return Response({"error": "temporarily_unavailable"}, status=503)
            return Response(_described(_for_refresh_token(request.data)))
        return Response({"error": "unsupported_grant_type"}, status=400)


def _for_code(data: Any) -> dict[str, str]:
    names = ("code", "client_id", "redirect_uri", "code_verifier")
    username = codes.redeem(*(data.get(name, "") for name in names))
    if username is None:
        raise InvalidGrant("The code is not good, or was used already.")
    refresh = RefreshToken.for_user(get_user_model().objects.get(username=username))
    return {"access": str(refresh.access_token), "refresh": str(refresh)}


def _for_refresh_token(data: Any) -> dict[str, str]:
    serializer = TokenRefreshSerializer(data={"refresh": data.get("refresh_token", "")})
    try:
        serializer.is_valid(raise_exception=True)
    except (APIException, TokenError, ObjectDoesNotExist) as error:
        raise InvalidGrant(str(error)) from None
    return dict(serializer.validated_data)


def _described(pair: dict[str, str]) -> dict[str, object]:
    seconds = settings.SIMPLE_JWT["ACCESS_TOKEN_LIFETIME"].total_seconds()
    return {
        "access_token": pair["access"],
        "refresh_token": pair["refresh"],
        "token_type": "Bearer",
        "expires_in": seconds,
    }
