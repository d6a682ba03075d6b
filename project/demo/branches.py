"""The branches of the shop: each has an account of its own at the sample upstream."""

from __future__ import annotations

import asyncio

from django.conf import settings
from requests import RequestException

from jwt_upstream.client import UpstreamClient


def names() -> list[str]:
    """Return the accounts, by name."""
    return list(settings.SAMPLE_UPSTREAM_BRANCHES)


def log_in() -> None:
    """Log all of them in."""
    for name in names():
        # A person would use upstream_login sample --account NAME.
        password = settings.SAMPLE_UPSTREAM_PASSWORD
        UpstreamClient("sample", name).login(username=name, password=password, by="the demo")


async def call(times: int = 1) -> list[str]:
    """Return what calls with each account get, all of them at once: a status, or the name of an error."""
    return list(await asyncio.gather(*(_call(name) for name in names() * times)))


async def _call(name: str) -> str:
    try:
        return str((await UpstreamClient("sample", name).aget("orders/")).status_code)
    except RequestException as error:
        return type(error).__name__
