"""Secrets in a server's messages, in every form in which servers quote them."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from functools import partial
from urllib.parse import quote, quote_plus, urlencode

import pytest

from jwt_upstream.backends.core import masked

PASSWORD = 'hunter2/Zebra+ "ä&<'
TOKEN = "Kx7-plain_Opaque.token~value"
SECRETS = [PASSWORD, TOKEN, "pin"]


def in_basic(user: str, secret: str) -> str:
    """Return the header of Basic authentication; where the secret begins in base64 depends on the user's name."""
    return f"Basic {b64encode(f'{user}:{secret}'.encode()).decode()}"


QUOTED: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a URL, with slashes": quote,
    "in a form": quote_plus,
    "in a whole form": lambda secret: urlencode({"password": secret, "user": "bob"}),
    "in small letters": lambda secret: quote(secret, safe="").replace("%2F", "%2f").replace("%C3%A4", "%c3%a4"),
    "in JSON": json.dumps,
    "in JSON of PHP": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "in JSON that isn't ASCII": lambda secret: json.dumps(secret, ensure_ascii=False),
    "in HTML": html.escape,
    "in base64": lambda secret: b64encode(secret.encode()).decode(),
    "in base64 for URLs": lambda secret: urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    **{f"in Basic authentication, {user}": partial(in_basic, user) for user in ("u", "us", "bob", "anna")},
}


@pytest.mark.parametrize("form", QUOTED)
def test_form(form: str) -> None:
    """However a secret is quoted, hardly more is left than what stands beside it: a scheme, a user, padding."""
    for secret in (PASSWORD, TOKEN):
        text = masked(f"The value {QUOTED[form](secret)} is wrong.", SECRETS)
        assert re.fullmatch(r'The value (Basic \w{1,7}|password=|"?)\[…\](&user=bob|\w?=*|"?) is wrong\.', text), text


@pytest.mark.parametrize("cut", [slice(0, -4), slice(4, None), slice(3, -3), slice(0, 14)])
def test_cut_in_the_middle(cut: slice) -> None:
    """A secret of which the server quotes only a part is masked as well."""
    assert masked(f"Bad {PASSWORD[cut]}: no", SECRETS) == "Bad […]: no"
    assert masked(f"Bad {TOKEN[cut]}: no", SECRETS) == "Bad […]: no"


def test_short_secret() -> None:
    """A short secret is masked where it stands as a whole; a secret that isn't set masks nothing."""
    assert masked("your pin pi in", ["pin", ""]) == "your […] pi in"


def test_words_of_the_message() -> None:
    """A word that a long secret has a few letters of stays."""
    assert masked("Invalid token type", SECRETS) == "Invalid token type"


def test_nothing_to_search() -> None:
    """An empty message stays empty, and lone surrogates are no trouble."""
    assert masked("", SECRETS) == ""
    assert masked("no", ["\ud800" * 9]) == "no"
