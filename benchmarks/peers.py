"""The peers, each used as its documentation says, with the token in the database that all workers share.

Each is made per call, as a web request would: it loads the token, and is told how to store another one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

from django.db import connections

from benchmarks.settings import Router

Call = Callable[[], int]
CLIENT = {"client_id": "client", "client_secret": "secret"}


def load() -> dict[str, Any]:
    """Read the token as the workers share it."""
    with connections[Router.alias].cursor() as cursor:
        cursor.execute("SELECT token FROM benchmark_token")
        token: dict[str, Any] = json.loads(cursor.fetchone()[0])
    return token


def store(token: dict[str, Any], **_: Any) -> None:
    """Write the token, as the callback that each documentation asks for."""
    with connections[Router.alias].cursor() as cursor:
        cursor.execute("UPDATE benchmark_token SET token = %s", [json.dumps(token)])


def create(token: dict[str, Any]) -> None:
    """Make the table of one row."""
    with connections[Router.alias].cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS benchmark_token (token TEXT)")
        cursor.execute("DELETE FROM benchmark_token")
        cursor.execute("INSERT INTO benchmark_token VALUES (%s)", [json.dumps(token)])


def requests_oauthlib(url: str) -> Call:
    """https://requests-oauthlib.readthedocs.io/en/latest/oauth2_workflow.html, "Refreshing tokens", the third way."""
    from requests_oauthlib import OAuth2Session

    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

    def call() -> int:
        session = OAuth2Session(
            CLIENT["client_id"],
            token=load(),
            auto_refresh_url=f"{url}token",
            auto_refresh_kwargs=CLIENT,
            token_updater=store,
        )
        status: int = session.get(f"{url}orders").status_code
        return status

    return call


def authlib(url: str) -> Call:
    """https://docs.authlib.org/en/latest/client/oauth2.html, "Auto Update Token"."""
    from authlib.integrations.requests_client import OAuth2Session

    def call() -> int:
        # Its leeway is a minute by default, all of these tokens' life.
        session = OAuth2Session(**CLIENT, token=load(), token_endpoint=f"{url}token", update_token=store, leeway=0)
        status: int = session.get(f"{url}orders").status_code
        return status

    return call


def google_auth(url: str) -> Call:
    """https://google-auth.readthedocs.io: Credentials with a refresh token, stored again when they have changed."""
    from google.auth.transport.requests import AuthorizedSession
    from google.oauth2.credentials import Credentials

    def call() -> int:
        token = load()
        ends_at = datetime.fromtimestamp(token.get("expires_at", 0), UTC).replace(tzinfo=None)
        credentials = Credentials(
            token["access_token"], token["refresh_token"], token_uri=f"{url}token", expiry=ends_at, **CLIENT
        )
        status: int = AuthorizedSession(credentials).get(f"{url}orders").status_code
        if credentials.token != token["access_token"]:
            ends = credentials.expiry.replace(tzinfo=UTC).timestamp()
            new = {"access_token": credentials.token, "refresh_token": credentials.refresh_token, "expires_at": ends}
            store({**token, **new})
        return status

    return call


def httpx_auth(url: str) -> Call:
    """https://www.python-httpx.org/advanced/authentication/, "Custom authentication schemes"."""
    import httpx

    class RefreshingAuth(httpx.Auth):
        requires_response_body = True

        def __init__(self, token: dict[str, Any]) -> None:
            self.token = token

        def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            request.headers["Authorization"] = f"Bearer {self.token['access_token']}"
            response = yield request
            if response.status_code == 401:
                fields = {"grant_type": "refresh_token", "refresh_token": self.token["refresh_token"], **CLIENT}
                answer = yield httpx.Request("POST", f"{url}token", data=fields)
                answer.raise_for_status()
                self.token = answer.json()
                store(self.token)
                request.headers["Authorization"] = f"Bearer {self.token['access_token']}"
                yield request

    client = httpx.Client()

    def call() -> int:
        status: int = client.get(f"{url}orders", auth=RefreshingAuth(load())).status_code
        return status

    return call


def by_hand(url: str) -> Call:
    """Do what projects write themselves: requests, and after a 401 refresh, store, and call again."""
    import requests

    session = requests.Session()

    def get(token: dict[str, Any]) -> requests.Response:
        return session.get(f"{url}orders", headers={"Authorization": f"Bearer {token['access_token']}"})

    def call() -> int:
        token = load()
        response = get(token)
        if response.status_code == 401:
            fields = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"], **CLIENT}
            answer = session.post(f"{url}token", data=fields)
            answer.raise_for_status()
            store(answer.json())
            response = get(answer.json())
        return response.status_code

    return call


def jwt_upstream(url: str) -> Call:
    """Do as the README says."""
    from django.conf import settings

    from jwt_upstream.client import UpstreamClient

    backend = {"BACKEND": "jwt_upstream.backends.OAuth2Backend", "BASE_URL": url}
    settings.JWT_UPSTREAM = {"up": {**backend, "OPTIONS": {**CLIENT, "refresh_path": "token"}}}

    def call() -> int:
        return UpstreamClient("up").get("orders").status_code

    return call


ALL: dict[str, Callable[[str], Call]] = {
    "UpstreamClient": jwt_upstream,
    "requests and a 401 retry by hand": by_hand,
    "httpx, custom Auth": httpx_auth,
    "requests-oauthlib": requests_oauthlib,
    "Authlib": authlib,
    "google-auth": google_auth,
}
