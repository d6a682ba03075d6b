"""What the servers share: a port of their own, an ear for the tests' orders, an end when the tests end.

A server program is given the name of a file. Once it listens it writes its addresses there: ``url`` for the app under
test, ``control`` for the tests. An order is a POST to ``control`` with the order's name as path and its arguments as a
JSON list; it does what an operator would do (lock a user, shorten lifetimes), by the product's own means.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Orders = dict[str, Callable[..., Any]]


def listening_socket() -> socket.socket:
    """Return a socket that listens on a free port of the loopback interface."""
    return socket.create_server(("127.0.0.1", 0), backlog=64)


def serve_wsgi(app: Any, orders: Orders, **told: Any) -> None:
    """Serve a WSGI application until the tests end; ``told`` is what else they are to know."""
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, app, threaded=True)
    announce(server.server_port, orders, **told)
    server.serve_forever()


def serve_asgi(app: Any, orders: Orders) -> None:
    """Serve an ASGI application until the tests end."""
    import uvicorn

    listening = listening_socket()
    announce(listening.getsockname()[1], orders)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


def announce(port: int, orders: Orders, on_end: Callable[[], None] = lambda: None, **told: Any) -> None:
    """Tell the tests where this server is, take orders from now on, and end when the tests do."""
    control = ThreadingHTTPServer(("127.0.0.1", 0), _handler(orders))
    threading.Thread(target=control.serve_forever, daemon=True).start()
    threading.Thread(target=_end_with_parent, args=(on_end,), daemon=True).start()
    addresses = {"url": f"http://127.0.0.1:{port}/", "control": f"http://127.0.0.1:{control.server_port}/"}
    target = Path(sys.argv[1])
    written = target.with_suffix(".part")
    written.write_text(json.dumps({**addresses, **told}))
    written.rename(target)


def _end_with_parent(on_end: Callable[[], None]) -> None:
    # The tests hold the other end of standard input; however they end, it closes.
    sys.stdin.buffer.read()
    on_end()
    os._exit(0)


def _handler(orders: Orders) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                status, result = 200, json.dumps(orders[self.path.strip("/")](*given))
            except Exception:
                status, result = 500, traceback.format_exc()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(result.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
