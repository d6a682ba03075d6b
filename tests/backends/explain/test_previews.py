"""Previews: requests as they would be sent, with placeholders where secrets go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from requests import Request

from jwt_upstream.backends import Backend, OAuth2Backend
from jwt_upstream.backends.explain.previews import previews

URL = "https://up.example.com/"


def test_requests_are_built_by_the_backend_itself() -> None:
    """A preview has the method, the URL and the body that the backend would send, with names in place of secrets."""
    login, refresh, call = previews(Backend("up", URL)).values()
    assert (login.method, login.url) == ("POST", f"{URL}login")
    assert login.body == '{"username": "{username}", "password": "{password}"}'
    assert refresh.body == '{"refresh_token": "{refresh}"}'
    assert (call.method, call.url) == ("GET", URL)
    assert ("Authorization", "Bearer {access}") in call.headers


def test_options_that_are_secret() -> None:
    """The value of an option whose name says that it is secret is shown as the option's name."""
    fields = {"grant_type": "refresh_token", "client_secret": "{client_secret}", "client_id": "{client_id}"}
    backend = OAuth2Backend("up", URL, client_id="us", client_secret="s3cret", refresh_fields=fields)
    assert previews(backend)["refresh"].body == "grant_type=refresh_token&client_secret={client_secret}&client_id=us"
    assert "s3cret" not in repr(previews(backend))


def test_device_login() -> None:
    """Where there is a device login, the request for its codes is shown without the client's secret."""
    options: dict[str, Any] = {"client_id": "us", "client_secret": "s3cret", "device_path": "device"}
    assert "device" not in previews(OAuth2Backend("up", URL, **options, grant_type="client_credentials"))
    device = previews(OAuth2Backend("up", URL, **options))["device"]
    assert (device.method, device.url, device.body) == ("POST", f"{URL}device", "client_id=us")
    assert ("Authorization", "Basic […]") in device.headers


def test_browser_login() -> None:
    """Where there is a login by a browser, the page's URL is shown, with nothing that belongs to one login."""
    code = {"grant_type": "authorization_code", "authorize_path": "authorize", "scope": "read"}
    shown = previews(OAuth2Backend("up", URL, client_id="us", client_secret="s3cret", **code))["browser"]
    assert (shown.method, shown.url) == (
        "GET",
        f"{URL}authorize?scope=read&state=[…]&code_challenge=[…]&code_challenge_method=S256&response_type=code"
        "&client_id=us&redirect_uri=http%3A%2F%2F127.0.0.1%3A8400%2F",
    )


def test_logout() -> None:
    """Where a logout is told to the upstream, what would be sent is shown with names in place of the tokens."""
    backend = OAuth2Backend("up", URL, client_id="us", client_secret="s3cret", revoke_path="./revoke")
    logout = previews(backend)["logout"]
    assert (logout.method, logout.url) == ("POST", f"{URL}revoke")
    assert logout.body == "token={refresh}&token_type_hint=refresh_token"
    assert "s3cret" not in repr(logout)


def test_options_that_are_missing() -> None:
    """What OPTIONS lacks is shown as a placeholder, so that one sees where it goes."""
    backend = Backend("up", URL, refresh_path="{client_id}/refresh")
    assert previews(backend)["refresh"].url == f"{URL}{{client_id}}/refresh"


class Signs(Backend):
    """A project's own backend, which can't sign a placeholder."""

    def login_request(self, credentials: Mapping[str, Any]) -> Request:
        """Return a request with the number of a person."""
        return Request("POST", self.base_url, json={"number": int(credentials["username"])})


def test_method_that_needs_the_real_values() -> None:
    """Where a project's own method accepts no placeholder, the preview says so and the others are shown."""
    login, refresh, _ = previews(Signs("up", URL)).values()
    assert login.problem == "can't be shown without the real secrets (ValueError)"
    assert (login.url, login.body) == ("", "")
    assert refresh.problem == ""


def test_secret_in_a_path() -> None:
    """A key that is part of a configured path is redacted; the rest of the URL stays readable."""
    login = previews(Backend("up", URL, login_path="login?lang=en&api_key=s3cret"))["login"]
    assert login.url == f"{URL}login?lang=en&api_key=[…]"
    login = previews(Backend("up", URL, login_path="http://bob:hunter2@sso.example.com/"))["login"]
    assert login.url == "http://[…]@sso.example.com/"


def test_values_of_headers() -> None:
    """Of a header only the scheme is shown, except for those that never hold a secret."""
    backend = Backend("up", URL, headers={"X-Gateway": "s3cret", "Accept-Language": "de"})
    headers = dict(previews(backend)["login"].headers)
    assert (headers["X-Gateway"], headers["Accept-Language"]) == ("[…]", "de")
