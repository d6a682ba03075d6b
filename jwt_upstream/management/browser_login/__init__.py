"""Logs in by a browser from a command: on this host, from another one, or in two steps."""

from __future__ import annotations

from .loopback import Loopback, port_of
from .steps import PORT, add_arguments, check, complete, log_in, print_url

__all__ = ["PORT", "Loopback", "add_arguments", "check", "complete", "log_in", "port_of", "print_url"]
