"""Fixtures: a local fake of an SDK's API, over TLS, and the page's lines that call it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from datetime import timedelta
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialRejected
from jwt_upstream.models import Credential
from tests.sdks.page import Lines, blocks
from tests.support.proxy import Proxy
from tests.support.upstream import Answer, Seen, Upstream

if find_spec("zeep") is None:  # make test-sdks installs them
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs other people's SDKs; some of them leave a connection to the garbage collector."""
    for item in items:
        if "sdks" in item.path.parts:
            item.add_marker("sdks")
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


class Authority:
    """Issues certificates that a server has from now on, and keeps its own in a file."""

    def __init__(self, bundle: str) -> None:
        self.bundle = bundle
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(bundle)

    def certify(self, context: ssl.SSLContext, *hosts: str) -> None:
        self._authority.issue_cert(*hosts).configure_cert(context)

    def key_and_certificate(self, host: str) -> tuple[bytes, bytes]:
        issued = self._authority.issue_cert(host)
        return issued.private_key_pem.bytes(), b"".join(each.bytes() for each in issued.cert_chain_pems)


class Api:
    """The API that an SDK calls, at whatever host: each path wants a good token, which expires in the middle."""

    def __init__(self, server: Upstream, proxy: Proxy, authority: Authority, context: ssl.SSLContext) -> None:
        self.server, self.proxy, self.lines = server, proxy, Lines("")
        self._authority, self._context = authority, context

    def answer(self, path: str, body: Any, headers: Mapping[str, str] | None = None, header: str = "") -> None:
        """Have a path answer to whoever has a good token, in another header than Authorization if one is named.

        A body may be a function of the request.
        """

        def answer(seen: Seen) -> Answer:
            token = seen.headers.get(header, "") if header else seen.token
            if token not in self.server.access:
                return Answer(401, {"error": "the token is invalid"})
            return Answer(200, body(seen) if callable(body) else body, headers or {})

        self.server.answers[path] = answer

    def configure(self, settings: Any, alias: str, base_url: str, **options: Any) -> None:
        """Configure an upstream, and log in at it."""
        hosts = [str(urlsplit(url).hostname) for url in (base_url, *options.get("origins", ()))]
        self._authority.certify(self._context, *hosts)
        ours = {"verify": self._authority.bundle, "proxies": {"https": self.proxy.url}}
        ours |= {"login_path": "/login", "refresh_path": "/refresh", "refresh_fields": {"refresh": "{refresh}"}}
        settings.JWT_UPSTREAM = {alias: {"BASE_URL": base_url, "OPTIONS": {**ours, **options}}}
        UpstreamClient(alias).login(username=self.server.user, password=self.server.password)
        self.server.seen.clear()

    def run(self, title: str) -> list[Any]:
        """Run the lines of a section, then the last one again with a token that has expired; return both results."""
        self.lines = Lines(blocks(title)[0])
        first = self.lines.run()
        self.server.expire()
        second = self.lines.run_last()
        assert self.server.refreshes == 1
        return [first, second]

    async def arun(self, title: str) -> list[Any]:
        """Do as ``run`` with the second block of a section, whose last line awaits."""
        self.lines = Lines(blocks(title)[1])
        first = await self.lines.arun()
        self.server.expire()
        second = await self.lines.arun_last()
        assert self.server.refreshes == 1
        return [first, second]

    def reject(self) -> None:
        """Have the tokens be of no use, a while after they were obtained."""
        self.server.expire()
        self.server.refresh = "another"
        before = Credential.objects.get().now() - timedelta(hours=1)
        Credential.objects.update(obtained_at=before, refresh_suppressed_until=None)

    def run_rejected(self) -> str:
        """Run the last line where a person must log in; return the class of the error, whose cause is ours at last."""
        self.reject()
        with pytest.raises(Exception) as caught:  # noqa: PT011 -- of the SDK's own class
            self.lines.run_last()
        found: BaseException | None = caught.value
        while found and not isinstance(found, CredentialRejected):
            found = found.__cause__ or found.__context__ or getattr(found, "inner_exception", None)  # Azure's
        assert found, caught.value
        return caught.type.__name__


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority whose certificates are trusted."""
    return Authority(str(tmp_path_factory.mktemp("sdks") / "ca.pem"))


@pytest.fixture
def api(authority: Authority, transactional_db: None) -> Iterator[Api]:
    """A local fake over TLS, behind a proxy that has every host lead to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with Upstream(context) as server, Proxy(secure=server.url) as proxy:
        yield Api(server, proxy, authority, context)
