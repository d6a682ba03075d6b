"""What the commands have in common: help, names, errors and exit codes, as docs/reference/commands.rst says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class

from jwt_upstream.client import UpstreamClient
from jwt_upstream.clock import host_now
from jwt_upstream.management.arguments import UpstreamCommand
from jwt_upstream.models import Credential, Incident
from tests.support.commands import run, unread
from tests.support.database import replaced_by
from tests.support.upstream import Answer, Upstream

PAGES = Path(__file__).parents[2] / "docs"
PAGE = (PAGES / "reference" / "commands.rst").read_text()
ALL = sorted(name for name, app in get_commands().items() if app == "jwt_upstream")
COMMANDS = [name for name in ALL if isinstance(load_command_class("jwt_upstream", name), UpstreamCommand)]
OPENID_CONNECT = "/protocol/openid-connect/"
#: What every command of Django has.
DJANGOS = {"--help", "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color"}
DJANGOS |= {"--force-color", "--skip-checks"}


def made(name: str) -> UpstreamCommand:
    """Return a command."""
    command = load_command_class("jwt_upstream", name)
    assert isinstance(command, UpstreamCommand)
    return command


@pytest.mark.parametrize("name", COMMANDS)
def test_help(name: str) -> None:
    """Help says what a command does, shows how it is used, and keeps its lines within a terminal."""
    command = made(name)
    text = command.create_parser("manage.py", name).format_help()
    assert f"  manage.py {name} " in text
    assert "exit codes:\n  0  " in text
    assert max(map(len, command.help.splitlines())) <= 81
    assert len(command.help.split()) > 20


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_is_explained(name: str) -> None:
    """The help, which the reference is made of, has a sentence for each argument, and no code is without a meaning."""
    command = made(name)
    for action in command.create_parser("", name)._actions:
        assert action.help, action
    assert all(command.exit_codes.values())
    assert 0 in command.exit_codes


def commands_in_the_docs() -> set[str]:
    """Return the commands that the pages show whole: behind a prompt, and in literals with an alias."""
    pages = [*PAGES.glob("*/*.rst"), *PAGES.glob("*/backends/*.rst"), PAGES.parent / "README.rst"]
    text = "\n".join(page.read_text() for page in pages)
    typed = re.findall(r"^ +\$ .*manage\.py (upstream_\w+.*)$", text, re.MULTILINE)
    named = re.findall(r"``(?:manage\.py |python manage\.py )?(upstream_\w+ [^-`][^`]+)``", text)
    given = {re.sub(r"\s+", " ", words).partition(" <")[0] for words in [*typed, *named]}
    return {words for words in given if not re.search(r"\b[A-Z]+\b|…", words.replace(" GET ", " get "))}


def test_commands_in_the_docs() -> None:
    """Every command that a page shows is one that can be given."""
    given = [words for words in sorted(commands_in_the_docs()) if words.split()[0] in COMMANDS]
    assert len(given) > 12
    for words in given:
        name, *arguments = shlex.split(words)
        made(name).create_parser("manage.py", name).parse_args(arguments)


def test_names() -> None:
    """An account that can't be one is refused before anything is done."""
    for account in ("", "a\nb", "a\x1b[2J", "x" * 256):
        code, _, failed = run("upstream_logout", "up", "--account", account)
        assert (code, failed) == (1, "Error: argument --account: must be 1 to 255 printable characters")


def test_unknown_account(client: UpstreamClient) -> None:
    """Of an account that nobody has logged in it is asked whether another one of the upstream was meant."""
    for words in (["upstream_request", "up", "GET", "orders/"], ["upstream_try_again", "up"]):
        _, _, failed = run(*words, "--account", "defualt")
        assert failed.startswith("up/defualt was never logged in; log in: ")
        assert failed.endswith("; did you mean 'default'?")
        assert "did you mean" not in run(*words, "--account", "ann")[2]
    client.logout()
    assert "did you mean" not in run("upstream_request", "up", "GET", "orders/")[2]


@pytest.mark.parametrize(
    ("file", "end"),
    [
        (":memory:", (1, "The database failed (OperationalError): run manage.py migrate.")),
        ("/nowhere/s3cr", (2, "The database is away (OperationalError); try again later.")),
    ],
    ids=["without tables", "away"],
)
def test_database_that_fails(upstream: Upstream, transactional_db: None, file: str, end: Any) -> None:
    """Every command tells what is wrong with the database in a line, and whether the same may work later."""
    commands = ["try_again up --all", "rebind up --all", "status", "status up --json", "rekey", "rekey --check"]
    with replaced_by(file):
        for words in [*commands, "prune", "refresh"]:
            code, _, failed = run(*f"upstream_{words}".split())
            assert (words, code, failed) == (words, *end)


def test_output_that_nobody_reads(client: UpstreamClient) -> None:
    """A reader such as head, which doesn't read to the end, ends every command without a traceback."""
    Credential.objects.update(state="locked")
    for words in ("status --all", "status --all --json", "rekey --check", "try_again up --all"):
        assert unread(*f"upstream_{words}".split()) == 141, words


# -- JSON


def shape(value: Any) -> Any:
    """Return the keys of JSON, at any depth; what a list holds is that of its first item."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return "value"


def documented_json(command: str) -> list[Any]:
    """Return the examples of the page for a command."""
    section = re.split(r"^``(\w+) --json``\n-+$", PAGE, flags=re.MULTILINE)
    text = dict(zip(section[1::2], section[2::2], strict=True))[command]
    return [json.loads(block) for block in re.findall(r"code-block:: json\n\n((?:    .*\n|\n)+)", text)]


def test_json_of_login(
    upstream: Upstream, transactional_db: None, stdin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a login prints has the documented keys."""
    stdin("correct horse\n")
    out = run("upstream_login", "up", "--username", "bob", "--password-stdin", "--json")[1]
    assert [shape(json.loads(out))] == list(map(shape, documented_json("upstream_login")))


def test_json_of_logout(client: UpstreamClient) -> None:
    """What a logout prints has the documented keys."""
    out = run("upstream_logout", "up", "--yes", "--json")[1]
    assert [shape(json.loads(out))] == list(map(shape, documented_json("upstream_logout")))


def test_json_of_status(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """What the status prints has the documented keys."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["client_secret_expires_at"] = host_now().date().isoformat()
    Incident.objects.create(upstream="up", kind="down", reason="HTTP 503")
    out = run("upstream_status", "--json")[1]
    assert [shape(json.loads(out))] == list(map(shape, documented_json("upstream_status")))


def test_json_of_try_again(client: UpstreamClient, upstream: Upstream) -> None:
    """What trying again prints has the documented keys."""
    upstream.answers["/refresh"] = Answer(503)
    out = run("upstream_try_again", "up", "--json")[1]
    assert [shape(json.loads(out))] == list(map(shape, documented_json("upstream_try_again")))


def test_json_of_refresh(client: UpstreamClient) -> None:
    """What a round prints has the documented keys."""
    out = run("upstream_refresh", "--json")[1]
    assert [shape(json.loads(out))] == list(map(shape, documented_json("upstream_refresh")))


def test_json_of_prune(db: None) -> None:
    """What pruning prints has the documented keys."""
    out = run("upstream_prune", "--json")[1]
    assert [shape(json.loads(out))] == list(map(shape, documented_json("upstream_prune")))


def test_json_of_rebind(client: UpstreamClient, settings: Any) -> None:
    """What confirming prints has the documented keys."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["client_id"] = "another"
    out = run("upstream_rebind", "up", "--json")[1]
    assert [shape(json.loads(out))] == list(map(shape, documented_json("upstream_rebind")))


def test_json_of_rekey(client: UpstreamClient) -> None:
    """What encrypting anew prints has the documented keys."""
    out = run("upstream_rekey", "--json")[1]
    assert [shape(json.loads(out))] == list(map(shape, documented_json("upstream_rekey")))


def test_json_of_probe(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """What a probe prints has the documented keys, with and without an answer, and of a server that is discovered."""
    answers = run("upstream_probe", "up", "--refresh", "--json")[1]
    settings.JWT_UPSTREAM["up"]["OPTIONS"]["nonsense"] = 1
    preview = run("upstream_probe", "up", "--json")[1]
    *_, example = documented = documented_json("upstream_probe")
    said = {
        "issuer": f"{upstream.url}realms/shop",
        "token_endpoint": f"{upstream.url}realms/shop{OPENID_CONNECT}token",
    }
    upstream.answers["/realms/shop/.well-known/openid-configuration"] = Answer(200, said)
    found = json.loads(run("upstream_probe", "--discover", said["issuer"], "--json")[1])
    found["settings"]["OPTIONS"] = example["settings"]["OPTIONS"]  # which depend on the server
    told = [shape(json.loads(text)) for text in (preview, answers)]
    assert [*told, shape(found)] == list(map(shape, documented))
