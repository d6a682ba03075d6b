"""Fixtures: where a command reads its values, and saved answers."""

from __future__ import annotations

import getpass
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Terminal
from tests.support.upstream import Upstream


@pytest.fixture
def saved(tmp_path: Path, upstream: Upstream) -> Callable[..., str]:
    """Write a file and return its name."""

    def write(content: bytes | str) -> str:
        file = tmp_path / "answer.txt"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(file)

    return write


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Feed a text to standard input: ``stdin("text")``."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, upstream: Upstream, transactional_db: None) -> None:
    """Username and password are in the environment."""
    monkeypatch.setenv("JWT_UPSTREAM_USERNAME", upstream.user)
    monkeypatch.setenv("JWT_UPSTREAM_PASSWORD", upstream.password)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, upstream: Upstream, transactional_db: None) -> list[str]:
    """Somebody types the username and, hidden, the password; the fixture lists what was asked hidden."""
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return upstream.password

    monkeypatch.setattr("sys.stdin", Terminal(f"{upstream.user}\n"))
    monkeypatch.setattr(getpass, "getpass", ask)
    return asked
