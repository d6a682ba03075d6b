"""What the lowest versions in requirements/base.txt are needed for: with older ones these tests fail."""

from __future__ import annotations

import gzip
import ssl
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import RefreshUnavailable
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Answer, Upstream

#: 64 MB of spaces.
BOMB = gzip.compress(b" " * (1 << 26), mtime=0)
MOST_BYTES = 16 << 20


def peak(call: Any) -> int:
    """Return how much memory a call takes at most."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_refusal_that_unpacks_to_a_lot(client: UpstreamClient, upstream: Upstream) -> None:
    """urllib3 2.6: of a 401 whose body is compressed only what is read is unpacked."""
    upstream.answers["/orders/"] = Answer(401, BOMB, {"Content-Encoding": "gzip"})
    client.get("orders/")
    assert upstream.refreshes == 1
    assert peak(lambda: client.get("orders/", stream=True).close()) < MOST_BYTES


def test_refresh_that_unpacks_to_a_lot(client: UpstreamClient, upstream: Upstream) -> None:
    """urllib3 2.6: of the answer to a refresh no more is unpacked than an answer with tokens has."""
    upstream.answers["/refresh"] = Answer(200, BOMB, {"Content-Encoding": "gzip"})

    def refresh() -> None:
        with pytest.raises(RefreshUnavailable):
            client.refresh()

    assert peak(refresh) < MOST_BYTES


def test_client_certificate_of_another_upstream(
    client: UpstreamClient, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """requests 2.32.5: no upstream is shown the client certificate of another one at the same host."""
    authority, both, bundle = trustme.CA(), tmp_path / "both.pem", tmp_path / "bundle.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(bundle))
    authority.issue_cert("client.example").private_key_and_cert_chain_pem.write_to_path(str(both))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Upstream(context) as secure:
        plain = {"BACKEND": "jwt_upstream.backends.Backend", "BASE_URL": secure.url}
        settings.JWT_UPSTREAM = {
            "with": {**plain, "OPTIONS": {"cert": str(both)}},
            "without": plain,
        }
        for alias in settings.JWT_UPSTREAM:
            UpstreamClient(alias).adopt(TokenPair("any"))
        secure.access = {"any"}
        assert UpstreamClient("with").get("orders/").status_code == 200
        with pytest.raises(requests.ConnectionError):
            UpstreamClient("without").get("orders/")
        assert UpstreamClient("with").get("orders/").status_code == 200
