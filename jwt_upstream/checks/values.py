"""The settings that are one value: numbers, switches, and the names of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import util
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from jwt_upstream.conf import DEFAULTS, METRICS_LIBRARIES, conf
from jwt_upstream.formatting import sentence
from jwt_upstream.names import alternatives

#: Thirty years.
MOST_SECONDS = 1_000_000_000
_WHOLE_NUMBERS = {
    "JWT_UPSTREAM_ASYNC_THREADS": "awaited calls of an upstream may be under way at a time",
    "JWT_UPSTREAM_CACHE_ENTRIES": "accounts' access tokens a process may cache",
}


def values() -> Iterator[CheckMessage]:
    """Yield the problems of all of them."""
    for find in (_names, _seconds, _whole_numbers, _switches, _metrics):
        yield from find()


def _names() -> Iterator[CheckMessage]:
    for name in dir(settings):
        if name.startswith("JWT_UPSTREAM") and name not in DEFAULTS:
            hint = sentence(f"Remove it or correct the name; the settings are {alternatives(name, DEFAULTS)}")
            yield Error(f"Unknown setting {name}.", hint=hint, id="jwt_upstream.E007")


def _seconds() -> Iterator[CheckMessage]:
    for name in DEFAULTS:
        value = getattr(settings, name, DEFAULTS[name])
        if name.endswith("_SECONDS") and not is_seconds(value):
            hint = f"Set it to a number from 0 to {MOST_SECONDS:_}, such as {DEFAULTS[name]:g}."
            yield Error(f"{name} must be a number of seconds, not {value!r}.", hint=hint, id="jwt_upstream.E008")


def _whole_numbers() -> Iterator[CheckMessage]:
    for name, meaning in _WHOLE_NUMBERS.items():
        value = getattr(settings, name, DEFAULTS[name])
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            hint = f"Set it to how many {meaning}, such as {DEFAULTS[name]}."
            yield Error(f"{name} must be a whole number from 1, not {value!r}.", hint=hint, id="jwt_upstream.E008")


def _switches() -> Iterator[CheckMessage]:
    for name, default in DEFAULTS.items():
        value = getattr(settings, name, default)
        if isinstance(default, bool) and not isinstance(value, bool):
            yield Error(
                f"{name} must be True or False, not {value!r}.",
                hint=f"The default is {default}.",
                id="jwt_upstream.E008",
            )


def _metrics() -> Iterator[CheckMessage]:
    names = conf.metrics
    is_list = isinstance(names, list | tuple)
    wrong = [name for name in names if name not in [*METRICS_LIBRARIES]] if is_list else [""]
    if wrong:
        hint = sentence(f"Set it to a list of these: {alternatives(wrong[0], METRICS_LIBRARIES)}")
        yield Error(f"JWT_UPSTREAM_METRICS can't be {names!r}.", hint=hint, id="jwt_upstream.E018")
        return
    for name in names:
        library = METRICS_LIBRARIES[name]
        if not util.find_spec(library):
            text = f"JWT_UPSTREAM_METRICS names {name!r}, but {library} is not installed, so nothing is measured."
            hint = f"pip install {'opentelemetry-api' if name == 'opentelemetry' else library}"
            yield Error(text, hint=hint, id="jwt_upstream.E018")


def is_seconds(value: Any) -> bool:
    """Tell whether a value is a number of seconds that dates can be reckoned with."""
    return is_number(value, MOST_SECONDS)


def is_number(value: Any, most: int) -> bool:
    """Tell whether a value is a number from 0 to ``most``."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most
