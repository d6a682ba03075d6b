"""Device logins: what each server is sent, and what its settings may be."""

from __future__ import annotations

from typing import Any

import pytest

from jwt_upstream import backends
from jwt_upstream.backends import Backend, DeviceBegun, DevicePending, OAuth2Backend, Verdict
from tests.support.device import CODES, PENDING, answering
from tests.support.exchanges import API, CLIENT
from tests.support.upstream import Answer, Upstream

CLIENT_ID = {"client_id": CLIENT["client_id"]}
BASIC = "Basic dXM6czNjcmV0"
GRANT = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "d1"}
#: Where each server's codes are, what it is sent for them, and what for a poll.
SENT: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "Auth0Backend": ("https://acme.auth0.com/oauth/device/code", CLIENT, {**GRANT, **CLIENT}),
    "DjangoOAuthToolkitBackend": (f"{API}o/device-authorization/", CLIENT_ID, GRANT),
    "EntraBackend": (
        "https://login.microsoftonline.com/acme/oauth2/v2.0/devicecode",
        CLIENT,
        {**GRANT, **CLIENT},
    ),
    "GitHubBackend": ("https://github.com/login/device/code", CLIENT_ID, {**GRANT, **CLIENT}),
    "GoogleBackend": ("https://oauth2.googleapis.com/device/code", CLIENT_ID, {**GRANT, **CLIENT}),
    "KeycloakBackend": (f"{API}realms/shop/protocol/openid-connect/auth/device", CLIENT, {**GRANT, **CLIENT}),
    "OktaBackend": ("https://acme.auth0.com/oauth2/default/v1/device/authorize", CLIENT_ID, GRANT),
    "OryBackend": (f"{API}oauth2/device/auth", CLIENT_ID, GRANT),
    "SalesforceBackend": (
        f"{API}services/oauth2/token",
        {"response_type": "device_code", **CLIENT_ID},
        {"grant_type": "device", "code": "d1", **CLIENT},
    ),
}
KNOWN = {"realm": "shop", "domain": "acme.auth0.com", "tenant": "acme", **CLIENT}


def made(name: str, **options: Any) -> Backend:
    """Return a backend with something for each option that it needs."""
    kind = getattr(backends, name)
    backend: Backend = kind("up", API, **{**{k: v for k, v in KNOWN.items() if k in kind.option_types()}, **options})
    assert list(backend.check()) == []
    return backend


@pytest.mark.parametrize("name", SENT)
def test_sent(name: str) -> None:
    """Codes are requested, and polled for, where and how the server's documentation says."""
    url, codes, poll = SENT[name]
    backend = made(name)
    asked, polled = backend.device_request(), backend.device_login_request({"device_code": "d1"})
    assert (asked.method, asked.url, asked.data) == ("POST", url, codes)
    assert (polled.url, polled.data) == (backend.url(backend.login_path), poll)
    assert polled.headers.get("Authorization") == (BASIC if "client_id" not in poll else None)


def test_backends_that_can() -> None:
    """No other class has a device login by default."""
    kinds = [getattr(backends, name) for name in backends.__all__ if name.endswith("Backend")]
    assert {kind.__name__ for kind in kinds if kind.device_path} == {*SENT}


def test_scope_and_audience() -> None:
    """What is sent with a grant is requested with the codes."""
    backend = made("Auth0Backend", scope="offline_access", audience="https://api.example.com")
    assert backend.device_request().data == {
        "scope": "offline_access",
        "audience": "https://api.example.com",
        **CLIENT,
    }


def test_headers() -> None:
    """The headers of logins are sent with polls, those of all token requests with both."""
    backend = OAuth2Backend(
        "up", API, **CLIENT, device_path="device", headers={"X-A": "{client_id}"}, login_headers={"X-B": "b"}
    )
    asked, polled = backend.device_request().headers, backend.device_login_request({"device_code": "d1"}).headers
    assert (asked["X-A"], asked.get("X-B"), polled["X-A"], polled["X-B"]) == ("us", None, "us", "b")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"device_path": "//other.example.com/device"}, "device_path leads to https://other.example.com:443; if"),
        ({"device_path": "ftp://id.example.com/"}, "device_path is neither a path nor a valid http"),
        ({"device_fields": {"a": "{username}"}}, "a device login may contain {device_code} and text options, not"),
        (
            {"device_authentication": "digest"},
            "device_authentication must be 'none', 'basic', 'basic_plain', 'post', 'private",
        ),
        ({"device_path": 5}, "option 'device_path' must be a string"),
    ],
)
def test_mistakes(options: dict[str, Any], problem: str) -> None:
    """Mistakes in the options of device logins are found by the system checks."""
    (found,) = OAuth2Backend("up", API, **CLIENT, **options).check()
    assert found.startswith(problem)


def test_outcomes(upstream: Upstream) -> None:
    """A backend alone gets the codes and polls, for projects with a store of their own."""
    backend = OAuth2Backend("up", upstream.url, **CLIENT, device_path="device")
    answering(upstream, [PENDING])
    begun = backend.begin_device_login()
    assert isinstance(begun, DeviceBegun)
    assert (begun.verdict, begun.code.user_code, begun.pair) == (Verdict.OK, CODES["user_code"], None)
    pending = backend.poll_device_login(begun.code)
    assert isinstance(pending, DevicePending)
    assert (pending.verdict, pending.slower_by) == (Verdict.TRANSIENT, 0)
    outcome = backend.poll_device_login(begun.code)
    assert outcome.pair is not None
    assert (outcome.verdict, outcome.pair.access) == (Verdict.OK, "access-9")


def test_google(upstream: Upstream) -> None:
    """Google waits with 428, asks for patience with 403, and its address has another name."""
    backend = made("GoogleBackend", login_path=f"{upstream.url}token")
    waits = [Answer(428, {"error": "authorization_pending"}), Answer(403, {"error": "slow_down"})]
    answering(upstream, waits, None)
    upstream.answers["/device/code"] = upstream.answers["/device"]
    begun = backend.begin_device_login()
    assert isinstance(begun, DeviceBegun)
    slower = [backend.poll_device_login(begun.code) for _ in waits]
    assert [each.slower_by for each in slower if isinstance(each, DevicePending)] == [0, 5]


def test_github(upstream: Upstream) -> None:
    """GitHub answers everything with 200; a declined or late login is rejected by its own codes."""
    backend = made("GitHubBackend", login_path=f"{upstream.url}token", device_path=f"{upstream.url}device")
    ends = ["access_denied", "expired_token", "incorrect_device_code", "device_flow_disabled"]
    answering(upstream, [Answer(200, {"error": error}) for error in ["authorization_pending", *ends]])
    begun = backend.begin_device_login()
    assert isinstance(begun, DeviceBegun)
    outcomes = [backend.poll_device_login(begun.code) for _ in range(5)]
    assert isinstance(outcomes[0], DevicePending)
    assert [each.verdict for each in outcomes[1:]] == [*[Verdict.REJECTED] * 3, Verdict.CONFIG]
