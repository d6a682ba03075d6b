"""What a value may be in the place where it goes: a host, a port, a path, a header or any text."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from enum import StrEnum
from ipaddress import IPv4Address
from typing import TypeGuard

from jwt_upstream.backends.core import as_normalized, is_host_pattern

MOST_CHARACTERS = 255
#: Of a secret, which may be a key in PEM.
MOST_SECRET_CHARACTERS = 16 * 1024
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_MOST_HOST_CHARACTERS = 253
_HEADER = re.compile(r"(?! )[\x20-\x7e]*(?<! )", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
#: What ends a segment of a path, or what servers undo to something that does.
_NOT_IN_PATH = frozenset("/%?#;")
#: What a text in settings begins with that names a file or a function.
_REFERENCES = ("file:", "call:")


class Place(StrEnum):
    """Where a value goes."""

    LABEL = "label"
    HOST = "host"
    PORT = "port"
    PATH = "path"
    HEADER = "header"
    TEXT = "text"


def is_label(text: str) -> bool:
    """Tell whether a text is a label of a host, in ASCII and not one that stands for other characters (IDNA)."""
    return bool(_LABEL.fullmatch(text)) and not text.lower().startswith("xn--")


def is_host(text: str) -> bool:
    """Tell whether a text is the name of a host: labels, the last of which is no number, as in an address."""
    return _has_labels(text) and all(map(is_label, text.split(".")))


def _has_labels(text: str) -> bool:
    """Tell the same, but of a name in ASCII that may stand for other characters."""
    labels = text.split(".")
    is_name = all(map(_LABEL.fullmatch, labels)) and not _is_number(labels[-1])
    return len(text) <= _MOST_HOST_CHARACTERS and is_name


def _is_number(label: str) -> bool:
    # Whatever C libraries take for a part of an IPv4 address, such as 0x7f.
    return label.isdigit() or re.fullmatch(r"0[xX][0-9a-fA-F]*", label) is not None


def _is_port(text: str) -> bool:
    return bool(_PORT.fullmatch(text)) and int(text) < 2**16


def _is_segment(text: str) -> bool:
    # Some servers normalize what they have decoded, such as dots and slashes of full width.
    read = as_normalized(text)
    return read not in {".", ".."} and not _NOT_IN_PATH & set(read)


def _is_header(text: str) -> bool:
    return bool(_HEADER.fullmatch(text))


_LABEL_RULE = "one label of a host: up to 63 letters of a to z, digits and hyphens, none of these at an end, no 'xn--'"
#: By place whether a text may go there, and what is allowed.
_RULES: dict[Place, tuple[Callable[[str], bool], str]] = {
    Place.LABEL: (is_label, _LABEL_RULE),
    Place.HOST: (is_host, "the name of a host, such as shop.example.com, and no IP address"),
    Place.PORT: (_is_port, "a port, 1 to 65535"),
    Place.PATH: (_is_segment, "one segment of a path: neither '.' nor '..', and without / \\ % ? # ;"),
    Place.HEADER: (_is_header, "printable ASCII, as headers are, without a space at an end"),
}


def parameter_problem(value: object, places: Collection[Place]) -> str:
    """Return what a parameter must be that goes to these places, and isn't; "" if it may go there."""
    if not _is_string(value):
        return f"a string, not {type(value).__name__}"
    if not 0 < len(value) <= MOST_CHARACTERS or not value.isprintable():
        return f"1 to {MOST_CHARACTERS} printable characters"
    if set("{}") & set(value) or is_reference(value):
        return "without braces, and not begin with file: or call:"
    return _problem_there(value, places)


def _is_string(value: object) -> TypeGuard[str]:
    # By its own type: what a lazy object says of its class is no string to a regular expression, nor to JSON.
    return issubclass(type(value), str)


def secret_problem(value: object, places: Collection[Place], *, has_lines: bool = False) -> str:
    """Return what a secret must be that goes to these places, and isn't; "" if it may go there."""
    if not _is_string(value):
        return f"a string, not {type(value).__name__}"
    if not 0 < len(value) <= MOST_SECRET_CHARACTERS or "\0" in value:
        return f"1 to {MOST_SECRET_CHARACTERS} characters, none of them NUL"
    if is_reference(value):
        return "a secret itself, and not begin with file: or call:"
    if not has_lines and not value.isprintable():
        return "printable characters on one line"
    return _problem_there(value, places)


def is_reference(text: object) -> bool:
    """Tell whether a text names a file or a function, as those of secrets in settings may."""
    return isinstance(text, str) and text.startswith(_REFERENCES)


def _problem_there(value: str, places: Collection[Place]) -> str:
    wrong = (rule for place, (fits, rule) in _RULES.items() if place in places and not fits(value))
    return next(wrong, "")


def is_allowed_host(host: str, hosts: Collection[str]) -> bool:
    """Tell whether a host is one of these: itself, or the name of one below a domain that begins with a dot."""
    host, domains = host.lower(), tuple(each.lower() for each in hosts)
    is_below = host.endswith(tuple(each for each in domains if each.startswith(".")))
    return host in domains or (is_below and is_host(host))


def is_named(value: object, hosts: Collection[str]) -> bool:
    """Tell whether a value is one of these hosts as it is written there, and no domain."""
    return _is_string(value) and not value.startswith(".") and value in hosts


def is_host_rule(text: object) -> bool:
    """Tell whether a text names a host, or all those below a domain, as ``is_allowed_host`` finds them."""
    if not isinstance(text, str):
        return False
    if text.startswith("."):
        return is_host(text[1:]) and is_host_pattern(f"*{text}")
    return _has_labels(text) or _is_address(text)


def _is_address(text: str) -> bool:
    # Of IPv4: the brackets of IPv6 are no part of a host's name where names are compared.
    try:
        return str(IPv4Address(text)) == text
    except ValueError:
        return False
