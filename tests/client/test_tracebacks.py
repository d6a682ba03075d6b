"""What an error of a call shows: no token, neither in its request nor in its frames."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
import requests

from jwt_upstream.client import UpstreamClient


def test_token_is_not_in_an_error(client: UpstreamClient, settings: Any) -> None:
    """An error of the network shows the token neither in its request nor in the frames of its chain."""
    client.get("orders/")
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://127.0.0.1:1/"
    with pytest.raises(requests.ConnectionError) as caught:
        client.get("orders/")
    assert caught.value.request is not None
    assert "Authorization" not in caught.value.request.headers
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert "access-1" not in "".join(shown.format())
