"""The code of docs/howto/httpx.rst is run as it stands."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from asgiref.sync import async_to_sync
from django.test import RequestFactory

from jwt_upstream.client import UpstreamClient
from jwt_upstream.tokens import TokenPair
from tests.support.pages import blocks
from tests.support.proxy import Proxy
from tests.support.upstream import Upstream


@pytest.fixture
def crm(settings: Any, transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """The upstream of the page at its own address, by a proxy and an authority that the environment names."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("crm.example.com").configure_cert(context)
    authority.cert_pem.write_to_path(str(bundle := tmp_path / "ca.pem"))
    settings.JWT_UPSTREAM = {"crm": {"BASE_URL": "https://crm.example.com/api/"}}
    settings.JWT_UPSTREAM["crm"]["OPTIONS"] = {"refresh_path": "/refresh", "refresh_fields": {"refresh": "{refresh}"}}
    with Upstream(context) as secure, Proxy(secure=secure.url) as proxy:
        for name, value in {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle}.items():
            monkeypatch.setenv(name, str(value))
        UpstreamClient("crm").adopt(TokenPair(**secure.issue()))
        secure.expire()
        yield secure


def test_view(crm: Upstream) -> None:
    """The view of the page answers after a refresh."""
    names: dict[str, Any] = {}
    exec(next(blocks("howto/httpx.rst", "python")), names)
    response = async_to_sync(names["orders"])(RequestFactory().get("/"))
    assert b"access-2" in response.content
    assert [seen.path for seen in crm.seen] == ["/api/orders/?page=2", "/refresh", "/api/orders/?page=2"]


@pytest.mark.parametrize("number", [1, 2])
def test_clients(crm: Upstream, number: int) -> None:
    """The clients of the page call after a refresh."""
    names: dict[str, Any] = {}
    exec(list(blocks("howto/httpx.rst", "python"))[number], names)
    assert names["orders"] == {"path": "/api/orders/", "token": "access-2"}
    assert crm.refreshes == 1
