"""The environment's proxies and certificates, looked up as requests does, but not on every call."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, NamedTuple

from jwt_upstream.backends.core import Session

_NAMES = (
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "REQUEST_METHOD",
)
#: As os.environ keeps them.
_KEYS = tuple(map(os.environ.encodekey, _NAMES))


class Environment(NamedTuple):
    """Proxies by scheme, and the CA bundle or True."""

    proxies: dict[str, str]
    verify: bool | str


NO_ENVIRONMENT = Environment({}, True)


def environment_for(url: str) -> Environment:
    """Return what the environment says of a prepared URL's origin just now; a change of it is noticed."""
    origin = "/".join(url.split("/", 3)[:3])
    return _look_up(origin, _values())


def _values() -> tuple[Any, ...]:
    # From where os.environ keeps them. It raises and catches two exceptions for each name that is not set, for all of
    # these a fiftieth of the time of a call of requests.
    kept: dict[Any, Any] | None = getattr(os.environ, "_data", None)
    return tuple(map(kept.get, _KEYS) if kept else map(os.environ.get, _NAMES))


@lru_cache(maxsize=256)
def _look_up(origin: str, _: tuple[Any, ...]) -> Environment:
    with Session() as session:
        settings = session.merge_environment_settings(origin, {}, None, None, None)
    return Environment(dict(settings["proxies"]), settings["verify"])
