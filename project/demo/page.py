"""Serves the project's page on loopback until Ctrl-C."""

from __future__ import annotations

import logging

from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application
from django.urls import reverse

from project.demo.terminal import coloured
from project.sample_upstream.server import listen


def serve(port: int, password: str) -> None:
    """Serve at this port, or at any free one if it is busy, and say where, and how to get into the admin."""
    with listen(port, StaticFilesHandler(get_wsgi_application())) as server:
        if port and server.server_port != port:
            print(f"\nPort {port} is busy, so another one is used.")
        settings.JWT_UPSTREAM_SITE_URL = f"http://127.0.0.1:{server.server_port}"  # for the links in the mails
        _say(password)
        # The page polls every second: its requests would bury the address.
        logging.getLogger("django.server").setLevel(logging.ERROR)
        logging.getLogger("django.request").setLevel(logging.ERROR)
        server.serve_forever(poll_interval=0.1)


def _say(password: str) -> None:
    # Whoever else has an account on this machine reaches the page as well, but not the admin.
    address = settings.JWT_UPSTREAM_SITE_URL + reverse("sign-in", args=[password])
    print(f"\nSee it live, and make trouble yourself: {coloured(address, 'bold')}  (Ctrl-C ends it)")
    print(f"This address signs you in to the admin too, as the user demo, password {password}.", flush=True)
