"""The LOGIN of settings: which values it has, whom it is for, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jwt_upstream.backends.secrets import Login
from jwt_upstream.exceptions import UpstreamMisconfigured

ASKS = ("username", "password")


def test_values(tmp_path: Path) -> None:
    """Values are read together, from wherever each is, and known to those who redact them from then on."""
    (tmp_path / "password").write_text("hunter2\n")
    login = Login({"username": lambda: "bob", "password": f"file:{tmp_path}/password"})
    assert (bool(login), login.names, login.known) == (True, ["username", "password"], ["", ""])
    assert dict(login.read().items()) == {"username": "bob", "password": "hunter2"}
    assert login.known == ["bob", "hunter2"]
    assert not login.has_changed()
    (tmp_path / "password").write_text("hunter3\n")
    assert login.has_changed()
    assert login.read()["password"] == "hunter3"
    assert "hunter" not in repr(login)


@pytest.mark.parametrize(
    ("written", "username", "is_for"),
    [
        ({"username": "bob"}, "bob", True),
        ({"username": "bob"}, "ann", False),
        ({"username": lambda: "bob"}, "bob", True),
        ({"api_key": "x"}, "", True),
        ({"api_key": "x"}, "bob", False),
    ],
)
def test_username(written: dict[str, Any], username: str, is_for: bool) -> None:
    """It is for those who logged in with the same username, or with none if it has none."""
    assert Login(written).is_for(username) == is_for


def test_mistakes(tmp_path: Path) -> None:
    """What is missing or isn't used is a mistake; what can't be read just now is not one."""
    assert list(Login().check(ASKS)) == []
    assert list(Login({"username": "", "password": 5}).check(ASKS)) == [
        "LOGIN has no 'username'",
        "LOGIN has no 'password'",
    ]
    login = Login({"username": "bob", "password": f"file:{tmp_path}/none", "otp": "1"})
    assert list(login.check(ASKS)) == ["LOGIN has 'otp', which the login doesn't use"]
    login = Login({"username": "bob", "password": f"file:{tmp_path}/none"})
    assert list(login.check(ASKS)) == []
    (sentence,) = login.unreadable()
    assert sentence.startswith("LOGIN['password'] can't be read from")
    with pytest.raises(UpstreamMisconfigured, match=r"^LOGIN\['password'\] can't be read"):
        login.read()
