"""TLS as the certificates are on disk when a connection is made, as requests has it; httpx would read them once."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH

Verify = bool | str | None
Cert = str | tuple[str, str] | None


def tls(verify: Verify, cert: Cert) -> ssl.SSLContext:
    """Return a context for connections; raises OSError if a file can't be read now."""
    context = _context(verify, cert)
    context.as_of_now()
    return context


class _Context(ssl.SSLContext):
    verify: Verify
    cert: Cert

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        return self.as_of_now().wrap_socket(*args, **kwargs)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self.as_of_now().wrap_bio(*args, **kwargs)

    def as_of_now(self) -> ssl.SSLContext:
        """Return a context that has read the files as they are."""
        return _loaded(self.verify, self.cert, tuple(_states(self.verify, self.cert)))


@lru_cache(maxsize=16)  # ``async_to_sync`` makes an event loop, which wants one, for each call
def _context(verify: Verify, cert: Cert) -> _Context:
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.verify, context.cert = verify, cert
    return context


def _bundle(verify: Verify) -> str:
    """Return what requests would verify with."""
    return verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH


def _states(verify: Verify, cert: Cert) -> Iterator[tuple[int, ...]]:
    """Tell by what a file is seen to have been replaced or written anew."""
    for path in (_bundle(verify), *([cert] if isinstance(cert, str) else cert or ())):
        state = os.stat(path)
        yield state.st_mtime_ns, state.st_ino, state.st_size


@lru_cache(maxsize=16)  # to read the usual CA bundle takes 20 ms
def _loaded(verify: Verify, cert: Cert, _: tuple[tuple[int, ...], ...]) -> ssl.SSLContext:
    # httpx takes a path no more, and a directory never did.
    path = _bundle(verify)
    is_folder = os.path.isdir(path)
    context = ssl.create_default_context(capath=path) if is_folder else ssl.create_default_context(cafile=path)
    context.set_alpn_protocols(["http/1.1"])  # as httpcore does with the context that it has
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if cert:
        context.load_cert_chain(*([cert] if isinstance(cert, str) else cert))
    return context
