"""Serves the project's page on loopback until Ctrl-C."""

from __future__ import annotations

import logging

from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application

from project.demo.terminal import coloured
from project.sample_upstream.server import listen


def serve(port: int) -> None:
    """Serve at this port, or at any free one if it is busy, and say where."""
    with listen(port, StaticFilesHandler(get_wsgi_application())) as server:
        if server.server_port != port:
            print(f"\nPort {port} is busy, so another one is used.")
        settings.JWT_UPSTREAM_SITE_URL = f"http://127.0.0.1:{server.server_port}"  # for the links in the mails
        address = coloured(f"{settings.JWT_UPSTREAM_SITE_URL}/", "bold")
        print(f"\nSee it live, and make trouble yourself: {address}  (Ctrl-C ends it)", flush=True)
        # The page polls every second: its requests would bury the address.
        logging.getLogger("django.server").setLevel(logging.ERROR)
        logging.getLogger("django.request").setLevel(logging.ERROR)
        server.serve_forever(poll_interval=0.1)
