"""Where in the settings of an upstream the values of its accounts go."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from jwt_upstream.backends.core import filled_within, placeholders, template
from jwt_upstream.backends.steps import as_dict

from .rules import Place, is_host

_URL = re.compile(r"\s*(https?:)?[/\\]{2}(?P<netloc>[^/?#\\]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_PORT = re.compile(r":(?=[^:\]]*$)")
#: The options that are a path or a whole URL, and those that have a list of hosts or URLs.
_PATHS = ("login_path", "refresh_path", "revoke_path", "device_path", "authorize_path", "issuer", "test_path")
_HEADERS = ("headers", "login_headers", "refresh_headers", "revoke_headers", "api_headers")
#: What a secret must not go to: a browser's history and mails show it.
_SHOWN = ("authorize_params",)
#: The options that are templates themselves, and are filled in for each request.
TEMPLATES = frozenset((*_PATHS, "key_format", "collection"))
#: The options of this process rather than of the upstream, and lists of hosts, which accounts have no say in.
FIXED = ("verify", "cert", "proxies", "assertion_file", "base_url_hosts", "base_url_paths", "client_secret_expires_at")
#: The options that are secrets as a whole, or not at all.
SECRETS = ("client_secret", "api_key", "signing_key")
#: The templates of one text that may have a secret beside other texts.
MIXED = ("key_format",)


class Use(NamedTuple):
    """A placeholder, and where it is; ``needs_hosts`` if that says nothing of the domain that it leads to."""

    name: str
    place: Place
    where: str
    needs_hosts: bool = False


class _Texts:
    """The texts of an upstream's settings, where a placeholder may stand for another option."""

    def __init__(self, kind: type[Any], written: Mapping[str, Any], names: Collection[str]) -> None:
        self._kind, self._options, self.known = kind, written.get("OPTIONS", {}), frozenset(names)

    def option(self, name: str) -> Any:
        return self._options.get(name, getattr(self._kind, name, ""))

    def expanded(self, text: str) -> str:
        """Return a text with the options that it names, and so with what these contain of accounts' values."""
        named = {name: self.option(name) for name in template(text).names if name not in self.known}
        return filled_within(text, {name: value for name, value in named.items() if isinstance(value, str) and value})

    def names(self, value: Any) -> Iterator[str]:
        """Yield which values of accounts something contains, at any depth."""
        yield from (name for name in placeholders(value) if name in self.known)

    def names_in_all(self, value: Any) -> Iterator[str]:
        """Yield the same, what options in it contain included."""
        for name in placeholders(value):
            yield from self.names(self.expanded(f"{{{name}}}"))


def uses(kind: type[Any], written: Mapping[str, Any], names: Collection[str]) -> Iterator[Use]:
    """Yield each use of these names in the settings of an upstream with a backend of this class.

    Raises ValueError for a host of which it can't be told where it leads.
    """
    texts = _Texts(kind, written, names)
    yield from _in_url(texts, written.get("BASE_URL", ""), "BASE_URL")
    steps = [as_dict(step) for step in texts.option("login_steps")]
    paths = {name: texts.option(name) for name in (*_PATHS, "redirect_uri")}
    paths |= {
        f"login_steps[{number}]": step.get("path") for number, step in enumerate(steps) if isinstance(step, dict)
    }
    paths |= {f"origins[{number}]": text for number, text in enumerate(texts.option("origins"))}
    for where, path in paths.items():
        yield from _in_url(texts, path, where)
    stepped = [step.get("headers") for step in steps if isinstance(step, dict)]
    for where, headers in [*((name, texts.option(name)) for name in _HEADERS), ("login_steps", stepped)]:
        yield from (Use(name, Place.HEADER, where) for name in texts.names_in_all(headers))
    for where, value in {**written.get("OPTIONS", {}), "login_steps": steps}.items():
        yield from (Use(name, Place.TEXT, where) for name in texts.names(value))
    yield from (Use(name, Place.TEXT, "LOGIN") for name in texts.names(written.get("LOGIN", {})))
    yield from (Use(name, Place.PATH, where) for where in _SHOWN for name in texts.names_in_all(texts.option(where)))


def _in_url(texts: _Texts, text: Any, where: str) -> Iterator[Use]:
    if not isinstance(text, str):
        return
    _check_host(texts, text, where)
    written = texts.expanded(text)
    _check_host(texts, written, where)
    match = _URL.fullmatch(written)
    if match is None:
        yield from (Use(name, Place.PATH, where) for name in texts.names(written))
        return
    yield from (Use(name, Place.PATH, where) for name in texts.names(match["rest"]))
    host, port = [*_PORT.split(match["netloc"], maxsplit=1), ""][:2]
    yield from (Use(name, Place.PORT, where) for name in texts.names(port))
    yield from _in_host(texts, host, where)


def _check_host(texts: _Texts, text: str, where: str) -> None:
    match = _URL.fullmatch(text)
    netloc = match["netloc"] if match else ""
    names = {*template(netloc).names}
    has_braces = any(isinstance(part, str) and {*"{}"} & {*part} for part in template(netloc).parts)
    if names & texts.known and (has_braces or not template(netloc).is_plain(names)):
        raise ValueError(f"{where}: the host may contain parameters and text options, and nothing else in braces")


def _in_host(texts: _Texts, host: str, where: str) -> Iterator[Use]:
    labels = host.split(".")
    own = [bool([*texts.names(label)]) for label in labels]
    if not any(own):
        return
    fixed = labels[len(own) - own[::-1].index(True) :]
    needs_hosts = len(fixed) < 2 and fixed != ["localhost"]
    is_whole = len(labels) == 1 and len(template(host).parts) == 1
    for name in texts.names(host):
        yield Use(name, Place.HOST if is_whole else Place.LABEL, where, needs_hosts or not is_host(fixed[-1]))
