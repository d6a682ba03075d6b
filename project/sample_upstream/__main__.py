"""``python -m project.sample_upstream [--port PORT]``: serves until interrupted, printing its address first."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from contextlib import suppress

import django
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

from project.sample_upstream.server import Server, listen


def main() -> None:
    """Bring the database up to date, make sure of the accounts, serve."""
    arguments = _arguments()
    os.environ["DJANGO_SETTINGS_MODULE"] = "project.sample_upstream.settings"
    django.setup()
    call_command("migrate", verbosity=0)
    _create_accounts()
    with listen(arguments.port, get_wsgi_application()) as server:
        print(f"http://127.0.0.1:{server.server_port}/api/", flush=True)
        if arguments.until_stdin_ends:
            threading.Thread(target=_stop_with_parent, args=(server,), daemon=True).start()
        _serve(server)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m project.sample_upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=8001, help="any free port is taken if it is busy")
    parser.add_argument("--until-stdin-ends", action="store_true", help="stop when whoever started this is gone")
    return parser.parse_args()


def _create_accounts() -> None:
    password = make_password(settings.SAMPLE_UPSTREAM_PASSWORD)  # once, since hashing takes its time
    for username in (settings.SAMPLE_UPSTREAM_USERNAME, *settings.SAMPLE_UPSTREAM_BRANCHES):
        account = {"password": password, "is_active": True}
        get_user_model().objects.update_or_create(username=username, defaults=account)


def _stop_with_parent(server: Server) -> None:
    sys.stdin.read()
    server.shutdown()


def _serve(server: Server) -> None:
    with suppress(KeyboardInterrupt):
        server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
