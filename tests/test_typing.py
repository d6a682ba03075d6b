"""The types of what projects write are those of what the app reads."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from requests import Session

from jwt_upstream import backends, typing
from jwt_upstream.backends import KEYS, Backend, Rule, Step
from jwt_upstream.client import UpstreamClient

#: Options of which projects write something else than a class has: what may be kept elsewhere, and dicts for objects.
SPECIAL = dict.fromkeys(("client_secret", "signing_key", "assertion_file"), "Secret | Sequence[Secret]")
SPECIAL |= {"rules": "Sequence[RuleSettings]", "login_steps": "Sequence[StepSettings]"}
VERBS = ["aget", "aoptions", "ahead", "apost", "aput", "apatch", "adelete"]


def typed(cls: Any) -> dict[str, str]:
    """Return the fields of a TypedDict as they are written in its source."""
    return {name: hint.__forward_arg__ for name, hint in cls.__annotations__.items()}


def options() -> dict[str, Any]:
    """Return the type of every option of every backend."""
    found: dict[str, Any] = {}
    for cls in (getattr(backends, name) for name in backends.__all__):  # which imports it
        if isinstance(cls, type) and issubclass(cls, Backend):
            found |= cls.option_types()
    return found


def written(name: str, hint: Any) -> str:
    """Return the type of what a project writes for an option of a type: any sequence, or a dict for an object."""
    if name in SPECIAL:
        return SPECIAL[name]
    parts = get_args(hint)
    if get_origin(hint) is tuple and parts[1:] == (...,):
        return f"Sequence[{parts[0].__name__}]"
    return inspect.formatannotation(hint).replace("collections.abc.", "").replace("typing.", "")


def test_options() -> None:
    """Every option of every backend is there with its type, and no other."""
    assert typed(typing.Options) == {name: written(name, hint) for name, hint in options().items()}


def test_settings() -> None:
    """An upstream's keys are those that settings may have."""
    assert set(get_type_hints(typing.UpstreamSettings)) == {*KEYS}


@pytest.mark.parametrize(("written", "cls"), [(typing.RuleSettings, Rule), (typing.StepSettings, Step)])
def test_parts_of_options(written: Any, cls: Any) -> None:
    """Rules and steps have the fields that they may have."""
    assert is_typeddict(written)
    assert [*get_type_hints(written)] == [each.name for each in fields(cls)]


def test_call_options() -> None:
    """A call may be given what requests may be given, the method and the URL aside."""
    parameters = [*inspect.signature(Session.request).parameters]
    assert [*get_type_hints(typing.CallOptions)] == parameters[3:]


@pytest.mark.parametrize("name", ["arequest", *VERBS])
def test_verbs(name: str) -> None:
    """Each verb to be awaited says so."""
    (kwargs,) = [
        p for p in inspect.signature(getattr(UpstreamClient, name)).parameters.values() if p.kind is p.VAR_KEYWORD
    ]
    assert kwargs.annotation == "Unpack[CallOptions]"


def test_import_in_settings() -> None:
    """Settings may import it: nothing of Django is imported, nor anything else of the app."""
    code = (
        "import sys, jwt_upstream.typing; print(*filter(lambda name: name[:6] in ('django', 'jwt_up'), sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    imported = {name for name in run.stdout.split() if not name.startswith("jwt_upstream.typing")}
    assert imported == {"jwt_upstream"}
