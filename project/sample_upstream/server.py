"""A small threaded HTTP server on loopback, for one WSGI application."""

from __future__ import annotations

from typing import Any

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler


class Server(ThreadedWSGIServer):
    """Django's development server, with room for a crowd that arrives at once."""

    request_queue_size = 128


class Handler(WSGIRequestHandler):
    """Sends headers and body without the 40 ms that Nagle's algorithm makes of them."""

    disable_nagle_algorithm = True


def listen(port: int, application: Any) -> Server:
    """Return a server at this port, or at any free one if it is taken."""
    try:
        server = Server(("127.0.0.1", port), Handler)
    except OSError:
        server = Server(("127.0.0.1", 0), Handler)
    server.set_app(application)
    return server
