"""Settings whose keys and options a type checker knows."""

from __future__ import annotations

from jwt_upstream.typing import Options, UpstreamSettings


def password() -> str:
    """Return what is kept elsewhere."""
    return "s3cret"


COMMON: Options = {"timeout": (3.0, 10.0), "retries": 2}

JWT_UPSTREAM: dict[str, UpstreamSettings] = {
    "crm": {
        "BACKEND": "jwt_upstream.backends.LexikBackend",
        "BASE_URL": "https://crm.example.com/api/",
        "OPTIONS": {
            **COMMON,
            "login_path": "login_check",
            "expired_statuses": [401, 419],
            "rules": [{"verdict": "LOCKED", "where": ["api", "refresh"], "status": 403, "json": "error.code"}],
        },
        "LOGIN": {"username": "robot", "password": password},
        "NOTIFY": ["ops@example.com"],
    },
    "graph": {
        "BACKEND": "jwt_upstream.backends.EntraBackend",
        "BASE_URL": "https://graph.example.com/",
        "OPTIONS": {
            "tenant": "contoso.onmicrosoft.com",
            "client_id": "app",
            "client_secret": ["file:/run/secrets/new", password],
            "login_steps": [{"path": "nonce", "keep": {"nonce": "nonce"}}],
        },
    },
}

WITHOUT_URL: UpstreamSettings = {  # type: ignore[typeddict-item]  # pyright: ignore[reportAssignmentType]
    "BACKEND": "jwt_upstream.backends.LexikBackend",
}
UNKNOWN_OPTION: Options = {
    "login_pth": "login_check",  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportAssignmentType]
}
WRONG_TYPE: Options = {
    "retries": "2",  # type: ignore[typeddict-item]  # pyright: ignore[reportAssignmentType]
}
