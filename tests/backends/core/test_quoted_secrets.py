"""Secrets in a server's messages, in every form in which servers quote them."""

from __future__ import annotations

import html
import json
import re
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from functools import partial
from unicodedata import normalize
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jwt_upstream.backends.core import masked

PASSWORD = 'hunter2/Zebra+ "ä&<'
UMLAUTS = "Pässwörterß"
TOKEN = "Kx7-plain_Opaque.token~value"
SECRETS = [PASSWORD, UMLAUTS, TOKEN, "pin"]


def in_basic(user: str, secret: str) -> str:
    """Return the header of Basic authentication; where the secret begins in base64 depends on the user's name."""
    return f"Basic {b64encode(f'{user}:{secret}'.encode()).decode()}"


def each(text: str, form: str) -> str:
    """Return a text with each of its characters as a number in some form."""
    return "".join(form.format(ord(char)) for char in text)


QUOTED: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a URL, with slashes": quote,
    "in a form": quote_plus,
    "in a whole form": lambda secret: urlencode({"password": secret, "user": "bob"}),
    "in a URL, in small letters": lambda secret: (
        quote(secret, safe="").replace("%2F", "%2f").replace("%C3%A4", "%c3%a4")
    ),
    "in JSON": json.dumps,
    "in JSON of PHP": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "in JSON that isn't ASCII": lambda secret: json.dumps(secret, ensure_ascii=False),
    "in HTML": html.escape,
    "in bytes of Python": lambda secret: repr(secret.encode())[2:-1],
    "in bytes of Python, in Latin-1": lambda secret: repr(secret.encode("latin-1"))[2:-1],
    "in a URL, in Latin-1": lambda secret: quote(secret, safe="", encoding="latin-1"),
    "in a URL, by JavaScript": lambda secret: each(secret, "%u{:04x}"),
    "in braces": lambda secret: each(secret, "\\u{{{:x}}}"),
    "in eight digits": lambda secret: each(secret, "\\U{:08X}"),
    "in octal": lambda secret: each(secret.encode().decode("latin-1"), "\\{:03o}"),
    "in hex": lambda secret: secret.encode().hex()[:24],
    "in capitals": str.upper,
    "in small letters": str.lower,
    "with accents apart": lambda secret: normalize("NFD", secret),
    "without accents": lambda secret: normalize("NFD", secret).encode("ascii", "ignore").decode(),
    "in ASCII": lambda secret: secret.encode("ascii", "replace").decode(),
    "read as ASCII": lambda secret: secret.encode().decode("ascii", "replace"),
    "read as Latin-1": lambda secret: secret.encode().decode("latin-1"),
    "read as what Windows writes": lambda secret: secret.encode().decode("cp1252"),
    "in Latin-1, read as UTF-8": lambda secret: secret.encode("latin-1").decode(errors="replace"),
    "in base64, in Latin-1": lambda secret: b64encode(secret.encode("latin-1")).decode(),
    "in base64": lambda secret: b64encode(secret.encode()).decode(),
    "in base64 for URLs": lambda secret: urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    **{f"in Basic authentication, {user}": partial(in_basic, user) for user in ("u", "us", "bob", "anna")},
}


@pytest.mark.parametrize("form", QUOTED)
def test_form(form: str) -> None:
    """However a secret is quoted, hardly more is left than what stands beside it: a scheme, a user, padding."""
    for secret in (PASSWORD, UMLAUTS, TOKEN):
        text = masked(f"The value {QUOTED[form](secret)} is wrong.", SECRETS)
        assert re.fullmatch(r'The value (Basic |password=|"?)\[…\](&user=bob|\w?=*|"?) is wrong\.', text), text


@pytest.mark.parametrize("cut", [slice(0, -4), slice(4, None), slice(3, -3), slice(0, 14)])
def test_cut_in_the_middle(cut: slice) -> None:
    """A secret of which the server quotes only a part is masked as well."""
    assert masked(f"Bad {PASSWORD[cut]}: no", SECRETS) == "Bad […]: no"
    assert masked(f"Bad {TOKEN[cut]}: no", SECRETS) == "Bad […]: no"


def test_short_secret() -> None:
    """A short secret is masked where it stands as a whole, in its case; a secret that isn't set masks nothing."""
    assert masked("Pin: your pin pi in", ["pin", ""]) == "Pin: your […] pi in"


@pytest.mark.parametrize("secret", ["p", "pin", "hunter", "s3cré!"])
@pytest.mark.parametrize("user", ["u", "us", "bob"])
@pytest.mark.parametrize("escape", [str, quote, quote_plus, lambda text: json.dumps({"Authorization": text})])
def test_short_secret_in_basic(user: str, secret: str, escape: Callable[[str], str]) -> None:
    """Users and passwords for Basic authentication are masked, however short, cut or escaped."""
    header = in_basic(user, secret)
    for value in (header, header.rstrip("="), header.replace("Basic", "basic").replace("/", "_")):
        text = masked(escape(value), [secret])
        assert re.fullmatch(r'(\{"Authorization": ")?[Bb]asic(%20|\+| )\[…\]("\})?', text), text
    assert masked(header[: len(in_basic(user, ""))], [secret]) == "Basic […]"


@pytest.mark.parametrize(
    "words", ["authentication is required", "realm=api", "auth: no", "credentials", "YQ==", "Ym9i", "a"]
)
def test_basic_in_prose(words: str) -> None:
    """The name of the scheme may stand in a sentence."""
    assert masked(f"Use HTTP Basic {words}") == f"Use HTTP Basic {words}"


def test_words_of_the_message() -> None:
    """A word that a long secret has a few letters of stays."""
    assert masked("Invalid token type", SECRETS) == "Invalid token type"


def test_nothing_to_search() -> None:
    """An empty message stays empty, and lone surrogates are no trouble."""
    assert masked("", SECRETS) == ""
    assert masked("no", ["\ud800" * 9]) == "no"


def javascript(text: str) -> str:
    """Escape as Rails, Go and PHP do what HTML would take for its own."""
    return re.sub("[<>\\\\&'\"/\x7f-\U0010ffff]", lambda char: json.dumps(char[0])[1:-1].replace("/", "\\/"), text)


def numbered(text: str) -> str:
    """Escape by numbers, decimal ones as PHP's."""
    return "".join(char if char.isalnum() else f"&#{ord(char):03};" for char in text)


#: All are used upon each other.
ESCAPES: list[Callable[[str], str]] = [
    str,
    partial(quote, safe=""),
    quote,
    quote_plus,
    lambda text: quote(text, safe="").lower() if text.islower() else quote(text, safe=""),
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1].replace("/", "\\/"),
    lambda text: "".join(f"\\u{ord(char):04X}" if ord(char) < 0x10000 else char for char in text),
    partial(each, form="\\u{{{:x}}}"),
    lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    javascript,
    html.escape,
    numbered,
]
secrets = st.text("abcdefXYZ0159 +/=<>&\"'%\\äß€𝄞~._-{}", min_size=12, max_size=40)


@settings(max_examples=30, derandomize=True, database=None, deadline=None)
@given(secret=secrets, escapes=st.lists(st.sampled_from(ESCAPES), max_size=3), data=st.data())
def test_any_escapes(secret: str, escapes: list[Callable[[str], str]], data: st.DataObject) -> None:
    """A secret, its beginning or its end is masked, however servers have escaped it on the way."""
    kept = data.draw(st.integers(8, len(secret)))
    quoted = data.draw(st.sampled_from([secret, secret[:kept], secret[-kept:]]))
    for escape in escapes:
        quoted = escape(quoted)
    assume(len(quoted) < 4000)  # more is cut
    assert masked(f"Said |{quoted}|!", [secret]) == "Said |[…]|!"


def test_secret_that_looks_escaped() -> None:
    """A secret that holds what could be an escape is masked, escaped or not."""
    for secret in ("00000000%00ß", "&amp;Zebra\\u0041 %41"):
        for quoted in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1], html.escape(secret)):
            assert masked(f"Said |{quoted}|!", [secret]) == "Said |[…]|!"


def test_pair_of_escapes() -> None:
    """A character that JSON writes by two escapes is one of the secret's."""
    secret = "Zebra-𝄞-hunter"
    assert masked(f"Said |{json.dumps(secret)[1:-1]}|!", [secret]) == "Said |[…]|!"


@pytest.mark.parametrize("cut", [slice(0, 8), slice(0, 11), slice(-8, None), slice(-10, None)])
@pytest.mark.parametrize("secret", ["k" + "3x9Qz" * 8, "Zw-tiny-Secret_9"])
def test_beginning_or_end(secret: str, cut: slice) -> None:
    """Eight characters are enough where a message begins or ends in the middle of a secret."""
    assert masked(f"token {secret[cut]}, no", [secret]) == "token […], no"


def test_long_message_takes_no_time() -> None:
    """The longest message that is searched, all of it escapes within escapes, takes hardly any time."""
    began = time.perf_counter()
    masked("%2525" * 800 + "&amp;" * 20, [TOKEN * 20, PASSWORD * 20])
    assert time.perf_counter() - began < 2
