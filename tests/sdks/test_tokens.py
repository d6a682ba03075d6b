"""SDKs that take a token: it is refused in the middle, and what they speak works with the one in its place."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import grpc
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from websockets.sync.server import serve

from jwt_upstream.exceptions import CredentialRejected
from jwt_upstream.models import Credential
from tests.sdks.conftest import Api, Authority
from tests.support.proxy import Proxy


@pytest.fixture
def feed(api: Api, authority: Authority, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A WebSocket server at feed.example.com, whose handshakes want a good token, and which says what it was given."""
    api.configure(settings, "feed", "https://feed.example.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # With TLS 1.3 one in about 150 handshakes of the sync client of websockets 17.4 hangs, with any server: a session
    # ticket arrives while another of its threads writes.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    authority.certify(context, "feed.example.com")

    def check(connection: Any, request: Any) -> Any:
        if token_of(request) not in api.server.access:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "expired")
        return None

    def token_of(request: Any) -> str:
        return str(request.headers["Authorization"]).removeprefix("Bearer ")

    def talk(connection: Any) -> None:
        connection.send(token_of(connection.request))

    with serve(talk, "127.0.0.1", 0, ssl=context, process_request=check) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Proxy(secure=f"//127.0.0.1:{server.socket.getsockname()[1]}") as proxy:
            trust(proxy, authority, monkeypatch)
            yield
        server.shutdown()


def trust(proxy: Proxy, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what reads the environment take the proxy, and trust the certificates."""
    for name in ("https_proxy", "HTTPS_PROXY", "grpc_proxy"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"):
        monkeypatch.setenv(name, authority.bundle)


@pytest.mark.usefixtures("feed")
def test_websockets(api: Api) -> None:
    """A handshake that is refused is made again, once, with another token."""
    assert api.run("websockets") == ["access-1", "access-2"]
    assert api.run_rejected() == "CredentialRejected"


@pytest.mark.usefixtures("feed")
def test_websockets_with_asyncio(api: Api) -> None:
    """The same where it is awaited."""

    async def use() -> list[str]:
        said = await api.arun("websockets")
        await sync_to_async(api.reject)()
        with pytest.raises(CredentialRejected):
            await api.lines.arun_last()
        return said

    assert async_to_sync(use)() == ["access-1", "access-2"]
    assert api.server.refreshes == 2


@pytest.fixture
def orders(api: Api, authority: Authority, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A gRPC server at orders.example.com, which says what token it was given."""
    api.configure(settings, "orders", "https://orders.example.com")

    def count(request: bytes, context: Any) -> bytes:
        token = str(dict(context.invocation_metadata())["authorization"]).removeprefix("Bearer ")
        if token not in api.server.access:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "expired")
        return request + b" " + token.encode()

    handlers = {"Count": grpc.unary_unary_rpc_method_handler(count)}
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("crm.Orders", handlers)])
    credentials = grpc.ssl_server_credentials([authority.key_and_certificate("orders.example.com")])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    with Proxy(secure=f"//127.0.0.1:{port}") as proxy:
        trust(proxy, authority, monkeypatch)
        yield
    server.stop(None).wait()


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("title", ["grpcio", "grpcio with a plugin"])
def test_grpc(api: Api, title: str) -> None:
    """A call that is UNAUTHENTICATED is made again, once, with another token."""
    assert api.run(title) == [b"screws access-1", b"screws access-2"]
    assert api.run_rejected() == "CredentialRejected"
    if title != "grpcio":
        with pytest.raises(grpc.RpcError, match="orders/default has been rejected"):  # what the plugin got
            api.lines.run_last()
    api.lines.names["channel"].close()


@pytest.mark.usefixtures("orders")
def test_grpc_with_asyncio(api: Api) -> None:
    """The same where it is awaited."""

    async def use() -> list[Any]:
        found = await api.arun("grpcio")
        await api.lines.names["channel"].close()
        return found

    assert async_to_sync(use)() == [b"screws access-1", b"screws access-2"]


@pytest.fixture
def at_the_api(api: Api, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an SDK calls by itself leads to the fake as well."""
    trust(api.proxy, authority, monkeypatch)


@pytest.mark.usefixtures("at_the_api")
@pytest.mark.parametrize("is_awaited", [False, True])
def test_openai(api: Api, settings: Any, is_awaited: bool) -> None:
    """A callable key is asked for before each call; a call that is refused is made again, once."""
    text = {"type": "output_text", "text": "7", "annotations": []}
    output = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [text]}
    api.answer("/v1/responses", {"id": "r1", "object": "response", "output": [output]})
    api.configure(settings, "llm", "https://llm.example.com")
    title = "openai with a callable key"
    answers = async_to_sync(api.arun)(title) if is_awaited else api.run(title)
    assert [answer.output_text for answer in answers] == ["7", "7"]
    if is_awaited:
        return
    row = Credential.objects.get()
    Credential.objects.update(obtained_at=row.now().replace(year=2000), access_expires_at=row.now())
    api.lines.run_last()
    assert [seen.token for seen in api.server.calls("/v1/responses")][-1] == "access-3"
    assert api.run_rejected() == "CredentialRejected"


@pytest.mark.usefixtures("at_the_api")
@pytest.mark.parametrize("title", ["Azure's SDKs", "Azure's SDKs with a credential"])
def test_azure(api: Api, settings: Any, title: str) -> None:
    """Azure's pipeline calls with our session, or with a credential that has our token."""
    api.answer("/secrets/a", lambda seen: {"body": seen.body.decode()})
    api.configure(settings, "vault", "https://vault.example.com", caller_authorization="replace")
    body = "" if "credential" in title else '{"value": "b"}'
    assert api.run(title) == [{"body": body}, {"body": body}]
    expected = {"CredentialRejected"} if "credential" in title else {"ServiceRequestError", "ServiceResponseError"}
    assert api.run_rejected() in expected
