"""A backend's settings as they were understood, with "[…]" in place of secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

from jwt_upstream.backends.base import Backend
from jwt_upstream.backends.core import shown_url

from .previews import USER_IN_URL, redacted_option


def shown_settings(backend: Backend) -> Iterator[tuple[str, str]]:
    """Yield what a backend was made of, by name: its class, its addresses, and the options that are set."""
    yield "BACKEND", type(backend).__name__
    yield "BASE_URL", backend.base_url if backend.accounts is None else backend.accounts.base_url
    if backend.accounts:
        yield "ACCOUNTS", backend.accounts.summary
    labels = {"login_path": _("login URL"), "refresh_path": _("refresh URL"), "test_path": _("test URL")}
    for name, label in labels.items() if not backend.is_of_no_account else ():
        if (path := getattr(backend, name)) and (backend.has_token_endpoint or name == "test_path"):
            yield label, shown_url(backend.url(path), backend.own_secrets)
    for name, value in sorted(backend._options.items()):
        yield name, _shown(name, value)
    if backend.automatic_login:
        yield "LOGIN", ", ".join(sorted(backend.automatic_login.names))


def _shown(name: str, value: Any) -> str:
    value = redacted_option(name, value)
    # What is neither may be a function, say, that knows a secret.
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=lambda _: "[…]")
    return USER_IN_URL.sub("[…]@", text)
