"""Secrets that settings only refer to: where they are read, when, and that no message shows one."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from copy import copy, deepcopy
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from jwt_upstream.backends.secrets import Reference
from jwt_upstream.exceptions import UpstreamMisconfigured

SECRET = "hunter2-of-the-vault"


def of_vault() -> str:
    """What a project's own function may do."""
    return SECRET


def broken() -> str:
    secret = SECRET
    raise ValueError(f"the vault says no to {secret}")


NO_FUNCTION = 7
HERE = __name__


def read(written: Any) -> str:
    return Reference("client_secret", written).read()


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (SECRET, SECRET),
        (f"{SECRET}\n", SECRET),
        (f"{SECRET}\r\n", SECRET),
        (f" {SECRET} \n", f" {SECRET} "),
        (f"\ufeff{SECRET}", SECRET),
    ],
)
def test_file(tmp_path: Path, content: str, secret: str) -> None:
    """A file's content is the secret, without the line break at its end and a byte order mark."""
    (tmp_path / "secret").write_text(content, newline="")
    assert read(f"file:{tmp_path}/secret") == read(f"file://{tmp_path}/secret") == secret


@pytest.mark.parametrize("written", [SECRET, of_vault, f"call:{HERE}.of_vault", lambda: SECRET])
def test_text_or_callable(written: Any) -> None:
    """A text is the secret itself; a callable, or the path of one, returns it."""
    assert read(written) == SECRET


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda folder: f"file:{folder}/none", "No such file or directory"),
    "a folder": (lambda folder: f"file:{folder}", "it is not a file"),
    "empty": (lambda folder: f"file:{folder}/empty", "it is empty"),
    "large": (lambda folder: f"file:{folder}/large", "it is not a file of at most 65536 bytes"),
    "binary": (lambda folder: f"file:{folder}/binary", "it is not UTF-8"),
    "relative": (lambda _: "file:secrets/crm", "the path is not absolute"),
    "no module": (lambda _: "call:nowhere.at_all", "No module named 'nowhere'"),
    "no path": (lambda _: "call:vault", "doesn't look like a module path"),
    "no function": (lambda _: f"call:{HERE}.NO_FUNCTION", "it is not callable"),
    "raises": (lambda _: broken, r"broken\(\) raised ValueError"),
    "returns nothing": (lambda _: lambda: None, "returned NoneType, no text"),
    "returns an empty text": (lambda _: lambda: "", "returned an empty text"),
}


@pytest.mark.parametrize("case", WRONG)
def test_unreadable(tmp_path: Path, case: str) -> None:
    """The message says where the secret should be and what is wrong, and neither it nor its traceback shows one."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "large").write_text(SECRET * 10_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe" + SECRET.encode())
    written, message = WRONG[case]
    with pytest.raises(UpstreamMisconfigured, match=f"^client_secret can't be .*{message}") as caught:
        read(written(tmp_path))
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert SECRET not in shown


def interrupted() -> str:
    secret = SECRET
    raise KeyboardInterrupt(len(secret))


def test_interrupted() -> None:
    """A signal that arrives in somebody's function goes on without the variables of that function."""
    for ask in (read, lambda written: Reference("client_secret", written).has_changed()):
        with pytest.raises(KeyboardInterrupt) as caught:
            ask(interrupted)
        shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
        assert "in interrupted" in shown
        assert SECRET not in shown


def test_problems_are_found_without_a_call(tmp_path: Path) -> None:
    """A check looks at files and dotted paths, and calls nothing."""
    assert "No such file" in Reference("client_secret", f"file:{tmp_path}/none").problem()
    assert "No module" in Reference("client_secret", "call:nowhere.at_all").problem()
    for fine in (SECRET, broken, f"call:{HERE}.broken"):
        assert Reference("client_secret", fine).problem() == ""


def test_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read at the first use, again after a while, and when asked whether it has changed."""
    numbers = count(1)
    reference = Reference("client_secret", lambda: f"secret-{next(numbers)}")
    assert reference.known == ""
    assert [reference.read() for _ in range(3)] == ["secret-1"] * 3
    assert reference.has_changed()
    assert reference.read() == reference.known == "secret-2"
    monkeypatch.setattr("jwt_upstream.backends.secrets.reference.KEPT_SECONDS", 0.0)
    assert reference.has_changed()
    assert reference.read() == "secret-4"
    assert not Reference("client_secret", SECRET).has_changed()


def test_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that can't be read any more is still used; one that never could be is tried again after a while."""
    path = tmp_path / "secret"
    reference = Reference("client_secret", f"file:{path}")
    with pytest.raises(UpstreamMisconfigured):
        reference.read()
    path.write_text(SECRET)
    with pytest.raises(UpstreamMisconfigured):
        reference.read()
    assert reference.has_changed()
    path.unlink()
    monkeypatch.setattr("jwt_upstream.backends.secrets.reference.FAILED_SECONDS", 0.0)
    assert not reference.has_changed()
    assert reference.read() == SECRET
    reference = Reference("client_secret", f"file:{path}")
    with pytest.raises(UpstreamMisconfigured):
        reference.read()
    path.write_text(SECRET)
    assert reference.read() == SECRET


def test_opaque() -> None:
    """It shows nothing, can't be pickled, and is its own copy."""
    reference = Reference("client_secret", SECRET)
    assert repr(reference) == "<Reference client_secret>"
    assert copy(reference) is deepcopy(reference) is reference
    with pytest.raises(TypeError):
        pickle.dumps(reference)
