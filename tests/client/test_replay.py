"""Exactly the same call again: which bodies can be sent twice, and what becomes of those that can't."""

from __future__ import annotations

import io
import mmap
import os
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from requests_toolbelt import MultipartEncoder

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import BodyNotReplayable
from jwt_upstream.models import Credential
from tests.support.upstream import Upstream


class Files(ExitStack):
    """Files of all kinds to upload, closed in the end."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "upload"
        self.path.write_bytes(b"0123456789" * 1000)

    def opened(self, offset: int = 0) -> Any:
        return at(offset, self.enter_context(self.path.open("rb")))

    def mapped(self) -> Any:
        return self.enter_context(mmap.mmap(self.opened().fileno(), 0, access=mmap.ACCESS_READ))

    def several(self) -> Any:
        return [("file", ("a.txt", self.opened(), "text/plain")), ("file", ("b.bin", io.BytesIO(b"b")))]


def at(offset: int, body: Any) -> Any:
    body.seek(offset)
    return body


class ReadAndLen:
    """An object with ``read`` and ``__len__`` and nothing else, which requests sends as well."""

    def __init__(self, content: bytes) -> None:
        self._stream, self._length = io.BytesIO(content), len(content)

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def __len__(self) -> int:
        return self._length


class Seekable(ReadAndLen):
    """One that can go back, but isn't iterable, so that requests doesn't note where it began."""

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, *where: int) -> int:
        return self._stream.seek(*where)


REPLAYABLE: dict[str, Callable[[Files], dict[str, Any]]] = {
    "none": lambda _: {},
    "bytes": lambda _: {"data": b"raw"},
    "bytearray": lambda _: {"data": bytearray(b"raw")},
    "memoryview": lambda _: {"data": memoryview(b"raw")},
    "str": lambda _: {"data": "text"},
    "str beyond ASCII": lambda _: {"data": "naïve €"},
    "empty": lambda _: {"data": b""},
    "json": lambda _: {"json": {"a": [1, 2]}},
    "form": lambda _: {"data": {"a": "1", "b": "2"}},
    "multipart": lambda files: {"data": {"a": "1"}, "files": {"file": files.opened()}},
    "several files": lambda files: {"files": files.several()},
    "empty file": lambda _: {"data": io.BytesIO()},
    "file at its end": lambda _: {"data": at(6, io.BytesIO(b"buffer"))},
    "read and len": lambda _: {"data": Seekable(b"going back")},
    "read and len from an offset": lambda _: {"data": at(4, Seekable(b"going back"))},
    "text stream": lambda _: {"data": at(2, io.StringIO("text"))},
    "mapped file": lambda files: {"data": files.mapped()},
    "BytesIO": lambda _: {"data": io.BytesIO(b"buffer")},
    "file": lambda files: {"data": files.opened()},
    "file from an offset": lambda files: {"data": files.opened(4)},
}


@pytest.mark.parametrize("kind", REPLAYABLE)
def test_replayable_body(client: UpstreamClient, upstream: Upstream, tmp_path: Path, kind: str) -> None:
    """The second request has the same bytes and, but for Authorization, the same headers as the first."""
    upstream.expire()
    with Files(tmp_path) as files:
        given = REPLAYABLE[kind](files)
        assert client.post("orders/", headers={"Idempotency-Key": "k1"}, **given).status_code == 200
    first, again = upstream.calls("/orders/")
    assert first.body == again.body
    assert without_token(first.headers) == without_token(again.headers)
    assert re.fullmatch("Bearer access-2", again.headers["Authorization"])


def without_token(headers: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name != "Authorization"]


def a_pipe() -> Any:
    read, write = os.pipe()
    os.write(write, b"piped")
    os.close(write)
    return os.fdopen(read, "rb")


class Unseekable(io.BytesIO):
    """A stream that knows where it is but can't go back."""

    def seek(self, *_: Any) -> int:
        raise OSError("can't seek")


ONCE_ONLY: dict[str, Callable[[], Any]] = {
    "generator": lambda: (piece for piece in (b"one", b"two")),
    "iterator": lambda: iter([b"one", b"two"]),
    "pipe": a_pipe,
    "unseekable": lambda: Unseekable(b"once"),
    "read and len": lambda: ReadAndLen(b"once"),
    "iterable": lambda: map(bytes, [b"one", b"two"]),
    "multipart encoder": lambda: MultipartEncoder({"a": "1", "file": ("a.txt", io.BytesIO(b"once"))}),
}


@pytest.mark.parametrize("kind", ONCE_ONLY)
def test_body_that_can_be_sent_only_once(client: UpstreamClient, upstream: Upstream, kind: str) -> None:
    """The token is refreshed, and the caller is told to call again; never is another body sent instead."""
    upstream.expire()
    body = ONCE_ONLY[kind]()
    with pytest.raises(BodyNotReplayable) as caught:
        client.post("orders/", data=body)
    getattr(body, "close", int)()
    assert caught.value.response is not None
    assert caught.value.response.status_code == 401
    assert (len(upstream.calls("/orders/")), upstream.refreshes) == (1, 1)
    assert client.post("orders/", data=ONCE_ONLY["generator"]()).status_code == 200
    assert upstream.calls("/orders/")[-1].body == b"onetwo"


def test_file_that_was_closed(client: UpstreamClient, upstream: Upstream) -> None:
    """A file which the first sending left closed can't be sent again."""
    upstream.expire()

    class ClosedAtItsEnd(io.BytesIO):
        def read(self, *args: Any) -> bytes:
            content = super().read(*args)
            if not content:
                self.close()
            return content

    with pytest.raises(BodyNotReplayable):
        client.post("orders/", data=ClosedAtItsEnd(b"once"))


def test_token_known_to_have_expired(client: UpstreamClient, upstream: Upstream) -> None:
    """A body that can be sent only once meets no 401 if the token was known to have expired."""
    from django.utils import timezone

    Credential.objects.update(access_expires_at=timezone.now())
    upstream.expire()
    assert client.post("orders/", data=ONCE_ONLY["generator"]()).status_code == 200
