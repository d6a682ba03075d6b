"""Which of httpx2 and httpx are installed."""

from __future__ import annotations

import sys

import httpx
import httpx2
import pytest

from jwt_upstream.client.over_httpx.modules import _installed


def test_both() -> None:
    """The newer one comes first."""
    assert _installed() == (httpx2, httpx)


def test_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them is enough."""
    monkeypatch.setitem(sys.modules, "httpx2", None)
    assert _installed() == (httpx,)


def test_both_names_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """After ``httpx2.alias_httpx()`` both names stand for one module, of whose classes a class derives once."""
    monkeypatch.setitem(sys.modules, "httpx", httpx2)
    assert _installed() == (httpx2,)


def test_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without either the error says what to install."""
    monkeypatch.setitem(sys.modules, "httpx2", None)
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(ImportError, match=r"django-jwt-upstream\[httpx\]"):
        _installed()
