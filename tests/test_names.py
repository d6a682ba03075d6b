"""Names of accounts and users: checked where they come in, before anything is sent."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jwt_upstream.accounts import AccountValues
from jwt_upstream.backends import Backend
from jwt_upstream.client import UpstreamClient
from jwt_upstream.httpx_auth import AsyncUpstreamClient, UpstreamAuth, UpstreamTransport
from jwt_upstream.models import Credential
from jwt_upstream.names import alternatives, check_name, command, did_you_mean, is_name, listed
from jwt_upstream.testing import FakeUpstream
from jwt_upstream.tokens import TokenPair
from tests.support.upstream import Upstream

WRONG = [
    "",
    "a" * 256,
    "a\0b",
    "a\nb",
    "\x1b[31mred",
    "safe\u202egnp.exe",
    "a\u200bb",
    "\ud800",
    " ",
    "\u3164",
    "a\ufe0f",
]


@pytest.mark.parametrize("name", ["default", "a" * 255, "Ann O'Neil", "customer 42", "Zoë", "日本", "a/b", "ﻋﻠﻲ"])
def test_name(name: str) -> None:
    """A name is 1 to 255 printable characters of any language."""
    check_name("account", name)


@pytest.mark.parametrize("name", [*WRONG, None, 42])
def test_no_name(name: Any) -> None:
    """A control, bidirectional or invisible character, nothing at all or too much of it is no name."""
    assert not is_name(name)
    with pytest.raises(ValueError, match="account must be 1 to 255 printable characters"):
        check_name("account", name)


@pytest.mark.parametrize("name", WRONG)
def test_account_of_a_client(upstream: Upstream, name: str) -> None:
    """A client can't be made for an account that no row can hold."""
    with pytest.raises(ValueError, match="account must be"):
        UpstreamClient("up", name)


@pytest.mark.parametrize("name", WRONG[1:])
def test_username(upstream: Upstream, transactional_db: None, name: str) -> None:
    """A username that no row can hold is refused before the password is sent anywhere."""
    with pytest.raises(ValueError, match="username must be"):
        UpstreamClient("up").login(username=name, password="x")
    assert (upstream.seen, Credential.objects.count()) == ([], 0)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["upstream_login", "upstream_probe"])
def test_option(name: str) -> None:
    """A command says which option holds no name."""
    with pytest.raises(CommandError, match="argument --account: must be 1 to 255 printable characters"):
        call_command(name, "crm", "--account", "a\nb")


@pytest.mark.parametrize(
    "account", ["ann", "Ann O'Neil", "$(rm -rf ~)", "a;reboot", "`id`", "-x", "--version", "a b", "日本"]
)
def test_command_to_copy(account: str) -> None:
    """A command that people copy means the account of that name to a shell, and nothing else."""
    text = command("upstream_login", "crm & co", account)
    parser = argparse.ArgumentParser()
    parser.add_argument("alias")
    parser.add_argument("--account")
    words = shlex.split(text)
    parsed = parser.parse_args(words[2:])
    assert (words[:2], parsed.alias, parsed.account) == (["manage.py", "upstream_login"], "crm & co", account)


def test_command_for_the_default_account() -> None:
    """The usual account needs no option."""
    assert command("upstream_login", "crm") == "manage.py upstream_login crm"


@pytest.mark.django_db
def test_longest_names_are_stored() -> None:
    """What is a name fits its column."""
    UpstreamClient("crm", "ä" * 255).adopt(TokenPair("a"))
    assert Credential.objects.get().account == "ä" * 255


def test_did_you_mean() -> None:
    """The name that is most like an unknown one is asked for, and none where none is like it."""
    assert did_you_mean("crn", ["erp", "crm"]) == "; did you mean 'crm'?"
    assert did_you_mean("hr", ["erp", "crm"]) == ""
    assert did_you_mean("CRM", ["cry", "crm"]) == "; did you mean 'crm'?"
    assert did_you_mean(505, [55]) == "; did you mean '55'?"


def test_alternatives() -> None:
    """Ten names at most are listed: all in their order, or those most like the unknown one."""
    assert alternatives("x", []) == "none"
    assert alternatives("crn", ["erp", "crm"]) == "erp, crm; did you mean 'crm'?"
    many = [f"customer-{number}" for number in range(98)] + ["crm", "crn-2"]
    said = alternatives("crn", many)
    assert said.startswith("crn-2, crm, customer-")
    assert said.endswith(" and 90 more; did you mean 'crn-2'?")


def test_listed() -> None:
    """The first ten are listed, and what no terminal may be told is escaped."""
    assert listed([]) == "none"
    assert listed(["a", "\x1b[31m\u3164"]) == "a, \\x1b[31m\\u3164"
    assert listed([*"abcdefghij"]) == "a, b, c, d, e, f, g, h, i, j"
    assert listed([*"abcdefghijkl"]) == "a, b, c, d, e, f, g, h, i, j and 2 more"


HARMFUL = "a\x1b[31m\u202eb"


@pytest.mark.parametrize("kind", [UpstreamClient, AsyncUpstreamClient, UpstreamAuth, UpstreamTransport])
def test_repr_where_a_name_is_refused(upstream: Upstream, kind: Any) -> None:
    """A tool that shows variables of the error shows a refused name escaped, so that no terminal obeys it."""
    half_made = kind.__new__(kind)
    with pytest.raises(ValueError, match="account must be"):
        kind.__init__(half_made, "up", HARMFUL)
    assert repr(half_made) == f"<{kind.__name__} up/a\\x1b[31m\\u202eb>"


@pytest.mark.parametrize("kind", [AccountValues, FakeUpstream, lambda name: Backend(name, "https://example.com/")])
def test_repr_where_no_name_is_refused(upstream: Upstream, kind: Any) -> None:
    """A name from the database or from settings is escaped in the repr of what has it."""
    assert "a\\x1b[31m\\u202eb>" in repr(kind(HARMFUL))
