"""Every setting, of the docstrings and annotations of ``jwt_upstream.conf``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

from sphinx.pycode import ModuleAnalyzer

from jwt_upstream import fields
from jwt_upstream.conf import DEFAULTS, Conf
from jwt_upstream.typing import settings as typed

from .rst import docstring, literal, split_example

_UPSTREAMS = "JWT_UPSTREAM"
#: Those that the fields read themselves.
_KEYS = {
    "JWT_UPSTREAM_ENCRYPTION_KEYS": fields.configured_keys,
    "JWT_UPSTREAM_ACCEPT_OLD_VALUES": fields.accepts_old_values,
}
#: In words.
_TYPES = {
    "Mapping[str, Mapping[str, Any]]": "dict of dicts",
    "Mapping[str, str | Callable[..., Any]]": "list of paths or callables",
    "Sequence[str]": "list of strings",
    "bool": "True or False",
    "float": "number",
    "float | None": "number, or None",
    "int": "whole number",
    "str": "string",
}


def lines() -> Iterator[str]:
    """Yield an entry for each, in the order of the code."""
    for name, default in DEFAULTS.items():
        text, example = described(name)
        yield from (f".. confval:: {name}", f"   :type: {_type(name)}", f"   :default: {literal(default)}", "")
        yield from (f"   {text}", "", f"   ``{name} = {example}``", "")


def keys() -> Iterator[str]:
    """Yield an entry for each key of an upstream."""
    comments = ModuleAnalyzer.for_module(typed.__name__).find_attr_docs()
    for name in get_type_hints(typed.UpstreamSettings):
        text, example = split_example(" ".join(comments[typed.UpstreamSettings.__name__, name]))
        yield from (f".. confval:: {name}", "", f"   {text}", "", f'   ``"{name}": {example}``', "")


def described(name: str) -> tuple[str, str]:
    """Return what a setting means, and an example."""
    return split_example(" ".join(docstring(_reader(name).__doc__)))


def _reader(name: str) -> Callable[..., Any]:
    """Return the function that reads a setting."""
    if name in _KEYS:
        return _KEYS[name]
    found = vars(Conf)["upstreams" if name == _UPSTREAMS else name.removeprefix(f"{_UPSTREAMS}_").lower()]
    reader: Callable[..., Any] = found.fget
    return reader


def _type(name: str) -> str:
    return _TYPES[inspect.signature(_reader(name)).return_annotation]
