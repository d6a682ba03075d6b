"""System checks of what is installed beside the app: libraries with which a guarantee does not hold."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata

import pytest
import urllib3

from jwt_upstream import checks


def installed(**versions: str) -> Callable[[str], str]:
    """Return what stands in for the metadata of installed packages."""

    def version(name: str) -> str:
        try:
            return versions[name.lower()]
        except KeyError:
            raise metadata.PackageNotFoundError(name) from None

    return version


def ids() -> list[str]:
    """Return the ids of what the checks say of libraries; each says what to do about it."""
    messages = [each for each in checks.check_settings() if each.id in {"jwt_upstream.E011", "jwt_upstream.W004"}]
    assert all(each.hint for each in messages)
    return [str(each.id).removeprefix("jwt_upstream.") for each in messages]


def test_urllib3_future(monkeypatch: pytest.MonkeyPatch) -> None:
    """A urllib3 that niquests has replaced by another library is an error, since deadlines would not hold."""
    assert "E011" not in ids()
    monkeypatch.setattr(urllib3, "ConnectionInfo", object, raising=False)
    assert "E011" in ids()


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        ({}, []),
        ({"brotli": "1.1.0"}, ["W004"]),
        ({"brotli": "1.2.0"}, []),
        ({"brotli": "2.0"}, []),
        ({"brotlicffi": "1.1.0.0"}, ["W004"]),
        ({"brotlicffi": "1.2.0.0"}, []),
        ({"brotlipy": "0.7.0"}, ["W004"]),
        ({"brotlicffi": "1.2.0.0", "brotli": "1.0.9"}, []),
        ({"brotlicffi": "1.0.9", "brotli": "1.2.0"}, ["W004"]),
    ],
    ids=str,
)
def test_brotli(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], found: list[str]) -> None:
    """A Brotli that unpacks without bound is warned of, if it is the one that urllib3 uses."""
    monkeypatch.setattr(metadata, "version", installed(**versions))
    assert ids() == found
