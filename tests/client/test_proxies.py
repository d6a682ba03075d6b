"""Proxies, certificates, passwords and cookies: what counts, of the environment, of the settings and of the call."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair
from tests.support.proxy import Proxy
from tests.support.rows import unbind
from tests.support.upstream import Answer, Upstream


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that no one trusts who isn't told to."""
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file to trust it by."""
    path = tmp_path_factory.mktemp("authority") / "bundle.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    """How a server at 127.0.0.1 or api.x shows who it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "api.x").configure_cert(context)
    return context


@pytest.fixture
def secure(client: UpstreamClient, context: ssl.SSLContext, settings: Any) -> Iterator[Upstream]:
    """An upstream behind TLS, configured as "up"; the stored access token is bad, the refresh token is good."""
    with Upstream(context) as secure:
        settings.JWT_UPSTREAM["up"]["BASE_URL"] = secure.url
        unbind()
        secure.issue()
        secure.expire()
        Credential.objects.update(refresh_token=secure.refresh)
        yield secure


def is_served(**how: Any) -> bool:
    """Tell whether a call, which takes a refresh, comes through."""
    response = UpstreamClient("up").get("orders/", **how)
    return [past.status_code for past in [*response.history, response]] == [401, 200]


# -- .netrc


@pytest.mark.parametrize("named_by", ["NETRC", "HOME"])
def test_netrc(
    client: UpstreamClient, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named_by: str
) -> None:
    """An entry in .netrc replaces the token nowhere: at first, on a redirect, at the refresh, at another host."""
    file = tmp_path / ".netrc"
    file.write_text("machine 127.0.0.1 login me password secret\ndefault login me password secret\n")
    file.chmod(0o600)
    monkeypatch.setenv(named_by, str(file if named_by == "NETRC" else tmp_path))
    assert requests.utils.get_netrc_auth(upstream.url) == ("me", "secret")
    upstream.expire()
    with Upstream() as foreign:
        upstream.answers["/old/"] = Answer(302, b"", {"Location": "/older/"})
        upstream.answers["/older/"] = Answer(302, b"", {"Location": "/orders/"})
        upstream.answers["/away/"] = Answer(302, b"", {"Location": foreign.url})
        assert client.get("old/").json()["token"] == "access-2"
        client.get("away/")
    sent = [seen.headers["Authorization"] for seen in [*upstream.seen, *foreign.seen]]
    assert sent == [*["Bearer access-1"] * 3, None, "Bearer access-2", "Bearer access-2", None]


# -- proxies


def test_http_proxy(
    client: UpstreamClient, upstream: Upstream, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY counts from the moment it is set, for the refresh too, and so does NO_PROXY."""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://api.x/"
    unbind()
    upstream.expire()
    with Proxy(upstream.url) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert client.get("orders/").status_code == 200
        assert client.send(requests.Request("GET", "http://api.x/by/hand/").prepare()).status_code == 200
        assert {url.partition("?")[0] for url in proxy.seen} == {"http://api.x/orders/", "http://api.x/refresh"}
        assert [seen.path for seen in upstream.seen][-1] == "http://api.x/by/hand/"
        monkeypatch.setenv("NO_PROXY", "other.example,api.x")
        with pytest.raises(requests.ConnectionError):
            client.get("orders/", timeout=0.1)
        monkeypatch.setenv("NO_PROXY", "other.example")
        assert client.get("orders/").status_code == 200
        client.trust_env = False
        with pytest.raises(requests.ConnectionError):
            client.get("orders/", timeout=0.1)


def test_environment_that_is_replaced(
    client: UpstreamClient, upstream: Upstream, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY counts as well where a test has put a dict in the place of the environment."""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://api.x/"
    unbind()
    with Proxy(upstream.url) as proxy:
        monkeypatch.setattr(os, "environ", {**os.environ, "HTTP_PROXY": proxy.url})
        assert client.get("orders/").status_code == 200
        assert proxy.seen == ["http://api.x/orders/"]


def test_https_proxy(secure: Upstream, bundle: str, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY tunnels; the proxy sees the name of the host and no more."""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "https://api.x/"
    unbind()
    with Proxy(secure=secure.url) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
        assert is_served()
        assert set(proxy.seen) == {"api.x:443"}
        monkeypatch.setenv("NO_PROXY", "api.x")
        with pytest.raises(requests.ConnectionError):
            UpstreamClient("up").get("orders/", timeout=0.1)


def test_proxy_of_the_upstream_or_the_call(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Proxies can be set per upstream, and per call, which comes first."""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://api.x/"
    unbind()
    with Proxy(upstream.url) as of_upstream, Proxy(upstream.url) as of_call, Proxy(upstream.url) as of_another:
        assert client.get("orders/", proxies={"http": of_call.url}).status_code == 200
        settings.JWT_UPSTREAM["up"]["OPTIONS"] |= {"proxies": {"http": of_upstream.url}, "refresh_path": "/refresh"}
        unbind()
        upstream.expire()
        assert is_served()
        assert UpstreamClient("up").get("orders/", proxies={"http": of_another.url}).status_code == 200
    assert of_call.seen == of_another.seen == ["http://api.x/orders/"]
    assert set(of_upstream.seen) == {"http://api.x/orders/", "http://api.x/refresh"}


# -- certificates


def test_certificate_of_nobody(secure: Upstream) -> None:
    """A server that shows nobody's certificate gets no token."""
    with pytest.raises(requests.exceptions.SSLError):
        UpstreamClient("up").get("orders/")
    assert secure.seen == []


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_bundle_of_the_environment(secure: Upstream, bundle: str, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The environment says whom to trust, for calls and for the refresh, and from the moment it does."""
    client = UpstreamClient("up")
    with pytest.raises(requests.exceptions.SSLError):
        client.get("orders/")
    monkeypatch.setenv(name, bundle)
    assert client.get("orders/").status_code == 200
    assert secure.refreshes == 1


def test_bundle_of_the_upstream(
    secure: Upstream, bundle: str, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``verify`` of the upstream comes before the environment's bundle, and that of the call before both."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["verify"] = bundle
    assert is_served()
    with pytest.raises(requests.exceptions.SSLError):
        UpstreamClient("up").get("orders/", verify=str(other))
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["verify"] = str(other)
    assert UpstreamClient("up").get("orders/", verify=bundle).status_code == 200


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_no_verification(secure: Upstream, settings: Any, monkeypatch: pytest.MonkeyPatch, bundle: str) -> None:
    """Certificates can be left unverified, per upstream; what another upstream's connections demand is not touched."""
    settings.JWT_UPSTREAM["other"] = {**settings.JWT_UPSTREAM["up"], "OPTIONS": {}}
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["verify"] = False
    UpstreamClient("other").adopt(TokenPair("any"))
    assert is_served()
    with pytest.raises(requests.exceptions.SSLError):
        UpstreamClient("other").get("orders/")


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("proxies", [None, {"http": "http://127.0.0.1:1/"}])
@pytest.mark.parametrize("trust_env", [True, False])
def test_call_that_wants_verification(
    secure: Upstream, settings: Any, bundle: str, monkeypatch: pytest.MonkeyPatch, trust_env: bool, proxies: Any
) -> None:
    """A call's ``verify=True`` is kept where the upstream's certificate is not verified by default."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["verify"] = False
    client = UpstreamClient("up")
    client.trust_env = trust_env
    assert client.get("orders/", proxies=proxies).status_code == 200
    with pytest.raises(requests.exceptions.SSLError):
        client.get("orders/", verify=True, proxies=proxies)
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["verify"] = bundle
    client = UpstreamClient("up")
    client.trust_env = trust_env
    assert client.get("orders/", verify=True, proxies=proxies).status_code == 200


@pytest.mark.parametrize("as_written", [lambda both, _: both, lambda both, key: [both, key]], ids=["one", "two"])
def test_client_certificate(
    secure: Upstream,
    context: ssl.SSLContext,
    authority: trustme.CA,
    bundle: str,
    settings: Any,
    tmp_path: Path,
    as_written: Callable[[str, str], Any],
) -> None:
    """A client certificate, in one file with its key or in two, is shown in calls and when the token is refreshed."""
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["verify"] = bundle
    with pytest.raises(requests.RequestException):
        UpstreamClient("up").get("orders/")
    assert secure.seen == []
    both, key = tmp_path / "both.pem", tmp_path / "key.pem"
    issued = authority.issue_cert("client.example")
    issued.private_key_and_cert_chain_pem.write_to_path(str(both))
    issued.private_key_pem.write_to_path(str(key))
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["cert"] = as_written(str(both), str(key))
    assert is_served()
    assert secure.refreshes == 1


# -- cookies


def cookies(upstream: Upstream) -> list[str | None]:
    return [seen.headers.get("Cookie") for seen in upstream.calls("/orders/")]


def test_cookies(client: UpstreamClient, upstream: Upstream) -> None:
    """Cookies of the upstream are not kept, not even for the next hop; those given with a call or client are sent."""
    upstream.answers["/old/"] = Answer(302, {}, {"Set-Cookie": "hop=theirs; Path=/", "Location": "/orders/"})
    upstream.answers["/orders/"] = Answer(200, {}, {"Set-Cookie": "session=theirs; Path=/"})
    response = client.get("old/")
    assert [past.cookies.items() for past in [*response.history, response]] == [
        [("hop", "theirs")],
        [("session", "theirs")],
    ]
    client.get("old/", cookies={"mine": "1"})
    client.cookies.set("ours", "2")
    client.get("orders/")
    assert cookies(upstream) == [None, "mine=1", "ours=2"]
    assert list(client.cookies.keys()) == ["ours"]


def test_cookies_that_are_asked_for(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """With ``keep_cookies`` a client keeps them for its own life; no other client or account gets to see them."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["keep_cookies"] = True
    upstream.access.add("tenant")
    upstream.answers["/orders/"] = lambda seen: Answer(
        200 if seen.token in upstream.access else 401, {}, {"Set-Cookie": f"session={seen.token}; Path=/"}
    )
    keeping, tenant = UpstreamClient("up"), UpstreamClient("up", account="tenant-42")
    tenant.adopt(TokenPair("tenant"))
    for each in (keeping, tenant, UpstreamClient("up"), keeping, tenant):
        assert each.get("orders/").status_code == 200
    assert cookies(upstream) == [None, None, None, "session=access-1", "session=tenant"]
    upstream.answers["/old/"] = Answer(302, {}, {"Set-Cookie": "hop=theirs; Path=/", "Location": "/orders/"})
    UpstreamClient("up").get("old/")
    assert cookies(upstream)[-1] == "hop=theirs"


def test_cookie_of_a_401(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """What the 401 sets is kept for later calls, but the same call again has the same headers."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["keep_cookies"] = True
    keeping = UpstreamClient("up")
    upstream.expire()
    upstream.answers["/orders/"] = lambda seen: (
        Answer(401, {}, {"Set-Cookie": "seen=yes; Path=/"}) if seen.token == "access-1" else None
    )
    for _ in range(2):
        assert keeping.get("orders/", cookies={"mine": "1"}).status_code == 200
    assert cookies(upstream) == ["mine=1", "mine=1", "seen=yes; mine=1"]
