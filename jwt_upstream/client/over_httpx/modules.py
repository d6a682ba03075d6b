"""httpx2 and httpx: whichever of them are installed, and classes that belong to both."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any


def _installed() -> tuple[Any, ...]:
    # After httpx2.alias_httpx() both names stand for one module.
    found = dict.fromkeys(import_module(name) for name in ("httpx2", "httpx") if find_spec(name))
    if not found:
        raise ImportError("this needs httpx2 or httpx: pip install 'django-jwt-upstream[httpx]'")
    return tuple(found)


#: The installed ones, the newer first. One code serves both, since they differ in nothing that is used here.
MODULES = _installed()


def both(*names: str) -> type[Any]:
    """Return a class derived from the classes of these names, of every module that is installed."""
    return type("Both", tuple(getattr(module, name) for module in MODULES for name in names), {})


def module_of(request: Any) -> Any:
    """Return the module that a request belongs to."""
    return next(module for module in MODULES if isinstance(request, module.Request))
