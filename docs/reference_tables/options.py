"""Every OPTION: what it does by the comments of ``jwt_upstream.typing.options``, its default by the backends."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, get_type_hints, is_typeddict

from sphinx.pycode import ModuleAnalyzer

from jwt_upstream import backends
from jwt_upstream.backends import Backend
from jwt_upstream.backends.core.options import spelled
from jwt_upstream.typing import options as typed

from .rst import docstring, literal, split_example, table

#: Where the options are that are not Backend's own.
_OF_SOME = typed.ProductOptions


def lines() -> Iterator[str]:
    """Yield a section for each group of options."""
    for group in groups():
        title = docstring(group.__doc__)[0].rstrip(".")
        yield from ("", title, "-" * len(title), "")
        for name in names(group):
            yield from _entry(name, _defaults_of_some(name) if group is _OF_SOME else literal(getattr(Backend, name)))


def by_backend() -> Iterator[str]:
    """Yield for each backend the options that it adds, and the defaults that differ from those of Backend."""
    for cls in classes():
        yield from ("", cls.__name__, "-" * len(cls.__name__), "")
        yield from (f":doc:`backends/{cls.__module__.rpartition('.')[2]}` has its servers, and what they need.", "")
        own = [name for name in cls.option_types() if _is_own(cls, name)]
        if own:
            yield from table(
                ("Option", "Default"),
                [(f":confval:`{name}`" + _added(name), _shown(getattr(cls, name))) for name in own],
                (34, 66),
            )
        else:
            yield "All as in the section above."


def groups() -> list[type]:
    """Return the classes that the type of OPTIONS is made of."""
    parts = [cls for name, cls in vars(typed).items() if name.endswith("Options") and is_typeddict(cls)]
    return [cls for cls in parts if cls is not typed.Options]


def names(group: type) -> list[str]:
    """Return the options of a group, in the order of the code."""
    return [*get_type_hints(group)]


@cache
def described(name: str) -> tuple[str, str]:
    """Return what an option does, and an example."""
    comments = ModuleAnalyzer.for_module(typed.__name__).find_attr_docs()
    for (_, attribute), text in comments.items():
        if attribute == name:
            return split_example(" ".join(text))
    raise LookupError(f"{name} has no comment")


def classes() -> list[type[Backend]]:
    """Return all backends but Backend itself."""
    found = [getattr(backends, name) for name in sorted(backends.__all__)]
    return [cls for cls in found if isinstance(cls, type) and issubclass(cls, Backend) and cls is not Backend]


def _entry(name: str, default: str) -> Iterator[str]:
    text, example = described(name)
    kind = spelled(get_type_hints(typed.Options)[name]).replace("Callable", "a function")
    if name == "rules":
        default = "the default rules"
    yield from (f".. confval:: {name}", f"   :type: {kind}", f"   :default: {default}", "")
    yield from (f"   {text}", "", f'   ``"{name}": {example}``', "")


def _is_own(cls: type[Backend], name: str) -> bool:
    return not hasattr(Backend, name) or getattr(cls, name) != getattr(Backend, name)


def _added(name: str) -> str:
    return "" if name in Backend.option_types() else " (added)"


def _shown(value: Any) -> str:
    is_rules = isinstance(value, tuple) and value and isinstance(value[0], backends.Rule)
    return f"{len(value)} rules of its own, before the default ones" if is_rules else literal(value)


def _defaults_of_some(name: str) -> str:
    having = [cls for cls in classes() if name in cls.option_types()]
    if not having:
        raise LookupError(f"no backend has {name}")
    by_default: dict[str, list[str]] = {}
    for cls in having:
        by_default.setdefault(literal(getattr(cls, name)), []).append(f"``{cls.__name__}``")
    return "; ".join(f"{default} of {', '.join(found)}" for default, found in by_default.items())
