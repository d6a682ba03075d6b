"""What tests of the system checks have in common."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage

URL = "https://crm.example.com/api/"
PLAIN = "jwt_upstream.backends.Backend"


def found(messages: list[CheckMessage]) -> list[str]:
    """Return the ids, having seen that each message says what to do and is one sentence."""
    for message in messages:
        assert message.hint
        assert "\n" not in message.msg
    return [str(message.id).removeprefix("jwt_upstream.") for message in messages]


def upstream(**settings: Any) -> dict[str, Any]:
    """Return JWT_UPSTREAM with one upstream."""
    return {"crm": {"BACKEND": PLAIN, "BASE_URL": URL, **settings}}
