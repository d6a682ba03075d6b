"""manage.py upstream_probe: what would be sent, what an answer means, and that no secret is shown nor a pair lost."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from requests import Response

from jwt_upstream.backends import Backend, Rule, Verdict
from jwt_upstream.backends.explain.previews import previews
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountLocked
from jwt_upstream.models import Credential
from jwt_upstream.tokens import TokenPair, fingerprint
from tests.support.authorization_server import AuthorizationServer
from tests.support.commands import JSON, paragraphs, probe
from tests.support.rows import unbind
from tests.support.upstream import Answer, Upstream
from tests.support.wire_cases import KINDS


@pytest.fixture
def known(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """The upstream, with its username and password in the environment."""
    monkeypatch.setenv("JWT_UPSTREAM_USERNAME", upstream.user)
    monkeypatch.setenv("JWT_UPSTREAM_PASSWORD", upstream.password)
    return upstream


# -- what would be sent


def test_preview(upstream: Upstream) -> None:
    """Without an option the requests are shown as they would be sent, and nothing is."""
    text, failed = probe("up")
    assert (
        text
        == f"""\
up: Backend at {upstream.url}
The settings have no problems.

A login would send:

    POST {upstream.url}login
    Accept: application/json
    Accept-Language: en
    Content-Type: application/json

    {{"username": "{{username}}", "password": "{{password}}"}}

A refresh would send:

    POST {upstream.url}refresh
    Accept: application/json
    Accept-Language: en
    Content-Type: application/json

    {{"refresh": "{{refresh}}"}}

A call would send:

    GET {upstream.url}
    Authorization: Bearer {{access}}

Nothing was sent. {{name}} is a placeholder for a value, and […] for a possible
secret. To explain an answer, give --login, --refresh, --api PATH, or --response
FILE --where login, refresh or api.
"""
    )
    assert (failed, upstream.seen) == ("", [])


class OwnBackend(Backend):
    """A project's own, with a secret of its own name."""

    hmac_key: str = ""
    api_headers = {"Authorization": "Bearer {access}", "X-Mac": "{hmac_key}", "Cookie": "sid=s3cret-cookie"}


def test_preview_shows_no_secret(upstream: Upstream, settings: Any) -> None:
    """Secrets are masked wherever settings may hold them: options, fields, queries, headers, Basic authentication."""
    settings.JWT_UPSTREAM["up"] = {
        "BACKEND": "tests.management.test_upstream_probe.OwnBackend",
        "BASE_URL": upstream.url,
        "OPTIONS": {
            "client_id": "us",
            "client_secret": "s3cret-client",
            "client_authentication": "basic",
            "api_key": "s3cret-key",
            "hmac_key": "s3cret-mac",
            "login_fields": {
                "user": {"name": "{username}", "password": "{password}", "token_type": "Bearer"},
                "assertion": "s3cret-assertion",
                "audience": "https://api.example.com/a/rather/long/name",
                "device": ["phone", 5, True, "s3cr3t" * 5],
            },
            "login_query": {"key": "{api_key}", "sig": "1", "signature": "s3cret-signature"},
            "headers": {"X-Api-Key": "{api_key}", "X-Anything": "s3cret header", "User-Agent": "us/1"},
        },
        "LOGIN": {"username": "bob", "password": "s3cret-login"},
    }
    text, failed = probe("up")
    assert failed == ""
    for shown in (
        f"POST {upstream.url}login?key={{api_key}}&sig=1&signature=[…]\n",
        "X-Api-Key: {api_key}\n    X-Anything: […]\n    User-Agent: us/1\n    Authorization: Basic […]\n",
        '"name": "{username}",\n        "password": "{password}",\n        "token_type": "Bearer"\n',
        '"assertion": "[…]"',
        '"audience": "https://api.example.com/a/rather/long/name"',
        '"device": [\n        "phone",\n        5,\n        true,\n        "[…]"\n      ]',
        "Authorization: Bearer {access}\n    X-Mac: {hmac_key}\n    Cookie: […]\n",
    ):
        assert shown in text


def test_preview_of_secrets_in_addresses(upstream: Upstream, settings: Any) -> None:
    """A secret that a path brings along in its query is not shown, nor is a BASE_URL with a password."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = {"login_path": "token?key=s3cret-key&tenant=7"}
    out = io.StringIO()
    call_command("upstream_probe", "up", stdout=out)
    assert "/token?key=[…]&tenant=7\n" in out.getvalue()
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "https://us:s3cret-password@up.example.com/"
    with pytest.raises(
        CommandError, match="BASE_URL must be an http:// or https:// URL without user and password"
    ) as caught:
        call_command("upstream_probe", "up", stdout=out)
    assert "s3cret" not in f"{caught.value}{out.getvalue()}"


def test_preview_of_a_long_form(upstream: Upstream, settings: Any) -> None:
    """A form that is wider than the terminal has a line for each field."""
    fields = {"username": "{username}", "password": "{password}", "audience": "https://example.com/some/where/else"}
    options = {"login_fields": fields, "client_id": "us", "client_authentication": "post"}
    settings.JWT_UPSTREAM["up"] = {"BACKEND": "jwt_upstream.backends.OAuth2Backend", "BASE_URL": upstream.url}
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = options
    text, _ = probe("up")
    assert "\n    grant_type=password\n    &username={username}\n    &password={password}\n    &audience=http" in text
    assert "\n    grant_type=refresh_token&refresh_token={refresh}&client_id=us\n" in text


def test_preview_of_a_browser_login(drive: AuthorizationServer) -> None:
    """Where a person is sent to the upstream's page, its URL is shown, too."""
    text, _ = probe("drive")
    assert f"\nA person's browser would send:\n\n    GET {drive.upstream.url}authorize?" in text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_preview_of_every_backend(kind: type[Backend]) -> None:
    """Every backend's requests can be shown, with the names of what its settings lack."""
    backend = kind("up", "https://up.example.com/")
    shown = previews(backend)
    assert {preview.problem for preview in shown.values()} == {""}
    assert ("logout" in shown) == bool(backend.revoke_path)
    assert ("device" in shown) == backend.has_device_login
    assert ("browser" in shown) == backend.has_browser_login
    # What is inside a JWT can't be seen.
    hides = "Basic […]" in str(shown) or "{assertion}" in str(shown) or not backend.has_token_endpoint
    assert all(f"{{{name}}}" in str(shown) or hides for name in backend.missing())


class BrokenBackend(Backend):
    """A project's own, which can't do with stand-ins."""

    def login_body(self, credentials: Any) -> dict[str, Any]:
        return {"pin": int(credentials["password"])}


def test_preview_that_needs_real_secrets(upstream: Upstream, settings: Any) -> None:
    """A backend that fails on a stand-in is said to, without its message, and the rest is shown."""
    settings.JWT_UPSTREAM["up"]["BACKEND"] = "tests.management.test_upstream_probe.BrokenBackend"
    text, failed = probe("up")
    assert "can't be shown without the real secrets (ValueError)" in text
    assert "POST" in text.partition("A refresh would send")[2]
    assert failed == ""


def test_wrong_settings(upstream: Upstream, settings: Any) -> None:
    """What is missing or wrong is listed with what to do, before the requests, and the exit code is 1."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = {"client_authentication": "basic", "body_format": "xml"}
    text, failed = probe("up")
    assert "JWT_UPSTREAM['up']: body_format must be 'json', 'form' or 'query', not 'xml'.\n    Fix OPTIONS.\n" in text
    assert "A login would send" in text
    assert failed == "1 error in the settings of up."
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = {"client_authentication": "basic"}
    text, failed = probe("up")
    assert "client_id" in text
    assert failed == "1 error in the settings of up."
    problem = json.loads(probe("up", "--json")[0])["problems"][0]
    assert problem["id"].startswith("jwt_upstream.E")


def test_warning(upstream: Upstream, settings: Any) -> None:
    """A warning is shown, and is no error."""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://up.example.com/"
    text, failed = probe("up")
    assert "BASE_URL is http://, so passwords and tokens are sent unencrypted.\n    Use https://.\n" in text
    assert failed == ""


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (None, "no upstream 'up' in JWT_UPSTREAM; it has none"),
        ({}, "no upstream 'up' in JWT_UPSTREAM; it has none"),
        ({"up": 5}, "JWT_UPSTREAM['up'] must be a dict"),
        (
            {"up": {"BASE_URL": "ftp://x"}},
            "JWT_UPSTREAM['up']: BASE_URL must be an http:// or https:// URL without user and password",
        ),
    ],
)
def test_settings_that_make_no_backend(settings: Any, written: Any, line: str) -> None:
    """Settings of which no backend can be made are one line."""
    settings.JWT_UPSTREAM = written
    assert probe("up") == ("", line)
    assert probe("up", "--login") == ("", line)


def test_preview_as_json(upstream: Upstream) -> None:
    """--json gives the same to machines."""
    told = json.loads(probe("up", "--json")[0])
    assert told["problems"] == []
    assert told["requests"]["refresh"]["url"] == f"{upstream.url}refresh"
    assert told["requests"]["api"]["headers"] == [["Authorization", "Bearer {access}"]]


# -- logging in


def test_login(known: Upstream, transactional_db: None) -> None:
    """A login is made once and explained; nothing is stored."""
    known.lifetime = 3600
    text, failed = probe("up", "--login")
    assert failed == ""
    assert len(known.calls("/login")) == 1
    assert text.startswith("The answer to a login: HTTP 200, application/json, ")
    assert f"access token      at access: 8 characters, opaque, fingerprint {fingerprint('access-1')}\n" in text
    assert "(59 min), from expires_in: 3600" in paragraphs(text)
    assert f"refresh token     at refresh: 9 characters, opaque, fingerprint {fingerprint('refresh-1')}\n" in text
    assert "unknown expiry\n" in text
    assert "body fields       access (text), refresh (text), expires_in (number)\n" in text
    assert "upstream_login would store the pair, and the credential would be active." in paragraphs(text)
    assert "is stored" not in text
    assert paragraphs(text).endswith("Nothing was stored: give --store to keep the pair, or use upstream_login.")
    assert not Credential.objects.exists()


def test_login_that_is_stored(known: Upstream, transactional_db: None) -> None:
    """With --store the pair is kept, for the account that was named."""
    text, failed = probe("up", "--login", "--store", "--account", "ann")
    assert (text.splitlines()[-1], failed) == ("up/ann: the pair is stored.", "")
    assert Credential.objects.get().pair == TokenPair("access-1", "refresh-1")


@pytest.mark.parametrize("store", [(), ("--store",)])
def test_login_that_is_refused(
    known: Upstream, transactional_db: None, store: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal is explained, nothing is stored, and the exit code is 1; a password that is quoted isn't shown."""
    known.answers["/login"] = Answer(401, {"detail": f"{known.password} is wrong"})
    text, failed = probe("up", "--login", *store)
    assert "verdict           REJECTED\n" in text
    assert "default           a 401 with a JSON or an empty body\n" in text
    assert "reason            HTTP 401: […] is wrong\n" in text
    assert "LoginRejected is raised" in text
    assert text.endswith("othing was stored.\n")
    assert failed == "up: the verdict is REJECTED."
    assert not Credential.objects.exists()


def test_login_at_a_wrong_path(known: Upstream) -> None:
    """The reason names the URL that was asked if the answer is not a login's."""
    known.answers["/login"] = Answer(404, b"<!doctype html>", {"Content-Type": "text/html"})
    assert f"reason HTTP 404: an HTML page (POST {known.url}login)" in paragraphs(probe("up", "--login")[0])


@pytest.mark.parametrize("store", [(), ("--store",)])
def test_login_without_an_answer(
    known: Upstream, transactional_db: None, store: tuple[str, ...], settings: Any
) -> None:
    """Where nobody answers there is nothing to explain."""
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://127.0.0.1:9/"
    text, failed = probe("up", "--login", *store)
    assert "Connection refused; nothing was stored." in paragraphs(text)
    assert failed == "up: there is no answer."


def test_login_needs_a_password(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Username and password come as with upstream_login."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n"))
    assert probe("up", "--login")[1].startswith("There is no username, and no terminal to ask for it")
    text, failed = probe("up", "--login", "--username", "bob", "--password-stdin")
    assert ("verdict           OK" in text, failed) == (True, "")


# -- refreshing


def test_refresh(client: UpstreamClient, upstream: Upstream) -> None:
    """A refresh is the app's own: it spends the stored token, and the new pair is stored."""
    text, failed = probe("up", "--refresh")
    assert text.startswith("The answer to a refresh: HTTP 200, application/json, ")
    assert "consequence       The new pair is stored, and all workers use it.\n" in text
    assert text.endswith("up/default: the new pair is stored.\n")
    assert (failed, upstream.refreshes, upstream.reuses) == ("", 1, 0)
    assert Credential.objects.get().pair == TokenPair("access-2", "refresh-2")
    assert client.get("orders/").json()["token"] == "access-2"
    assert client.backend.recorder is None


def test_refresh_that_is_refused(client: UpstreamClient, upstream: Upstream) -> None:
    """A refusal has all its consequences: the credential is rejected and the admins get a mail."""
    upstream.answers["/refresh"] = Answer(401, {"detail": f"no {upstream.refresh}"})
    text, failed = probe("up", "--refresh")
    assert "reason            HTTP 401: no […]\n" in text
    assert "The credential is rejected until somebody logs in: calls fail at once" in paragraphs(text)
    assert "up/default has been rejected since" in text
    assert failed == "up: the verdict is REJECTED."
    assert Credential.objects.get().state == "rejected"
    assert len(mail.outbox) == 1
    text, failed = probe("up", "--refresh")
    told = (
        "This command sent nothing. Refreshes are off while the credential is rejected. To try the stored tokens now:"
    )
    assert paragraphs(text).endswith(f"{told} manage.py upstream_try_again up")
    assert (failed, upstream.refreshes) == ("up: there is no answer.", 1)


def test_refresh_of_a_locked_account(client: UpstreamClient, upstream: Upstream) -> None:
    """Nothing is sent for an account that is locked, and the command to use instead is named."""
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})
    with pytest.raises(AccountLocked):
        client.get("orders/")
    text, failed = probe("up", "--refresh")
    told = "This command sent nothing. Refreshes are off while the credential is locked."
    assert paragraphs(text).endswith(f"{told} To try the stored tokens now: manage.py upstream_try_again up")
    assert (failed, upstream.refreshes) == ("up: there is no answer.", 0)


def test_refresh_with_automatic_login(client: UpstreamClient, upstream: Upstream, settings: Any) -> None:
    """Where LOGIN takes the place of a refused refresh, both answers are explained."""
    settings.JWT_UPSTREAM["up"]["LOGIN"] = {"username": "bob", "password": "correct horse"}
    upstream.answers["/refresh"] = Answer(401, {"detail": "no"})
    text, failed = probe("up", "--refresh")
    assert "LOGIN is tried once. If that fails too, the credential is rejected" in paragraphs(text)
    assert (text.count("The answer to a refresh: HTTP 401"), text.count("The answer to a login: HTTP 200")) == (1, 1)
    assert failed == ""


def test_refresh_without_a_credential(upstream: Upstream, transactional_db: None) -> None:
    """Where nobody has logged in there is nothing to refresh."""
    text, failed = probe("up", "--refresh")
    assert paragraphs(text).startswith("up/default was never logged in; ")
    assert (failed, upstream.seen) == ("up: there is no answer.", [])


def test_refresh_with_a_lost_key(client: UpstreamClient, settings: Any) -> None:
    """Tokens that no key opens are said to be so."""
    settings.JWT_UPSTREAM_ENCRYPTION_KEYS = ["YW5vdGhlciBrZXkgb2YgdGhpcnR5LXR3byBieXRlcyE="]
    text, failed = probe("up", "--refresh")
    assert "up/default has been unreadable since" in text
    assert failed == "up: there is no answer."


# -- calling


def test_call(client: UpstreamClient, upstream: Upstream) -> None:
    """A call is made with the stored token, and its answer explained."""
    text, failed = probe("up", "--api", "orders/")
    assert text.startswith("The answer to a call: HTTP 200, application/json, ")
    assert "default           no error\n" in text
    assert "consequence       The caller gets the answer.\n" in text
    assert "access token" not in text
    assert (failed, len(upstream.calls("/orders/"))) == ("", 1)


def test_call_with_an_expired_token(client: UpstreamClient, upstream: Upstream) -> None:
    """The 401, the refresh and the second answer are explained in the order in which they came."""
    upstream.expire()
    told = json.loads(probe("up", "--api", "orders/", "--json")[0])["answers"]
    assert [(each["where"], each["status"], each["verdict"]) for each in told] == [
        ("api", 401, "EXPIRED"),
        ("refresh", 200, "OK"),
        ("api", 200, "OK"),
    ]
    assert "same call is sent again once" in told[0]["consequence"]


def test_call_of_a_locked_account(client: UpstreamClient, upstream: Upstream) -> None:
    """An answer that locks the credential is explained."""
    upstream.answers["/orders/"] = Answer(401, {"message": "Account is disabled."})
    text, failed = probe("up", "--api", "orders/")
    assert 'rule default rules[0] {"verdict": "LOCKED", ' in paragraphs(text)
    assert "The caller gets AccountLocked." in paragraphs(text)
    assert failed == "up: the verdict is LOCKED."
    assert Credential.objects.get().state == "locked"


def test_call_without_an_answer(client: UpstreamClient, settings: Any) -> None:
    """Where no answer comes, or none was asked for, that is said in a line without the URL."""
    assert probe("up", "--api", "https://evil.example/")[0].startswith("not sent: the URL is not on")
    settings.JWT_UPSTREAM["up"]["BASE_URL"] = "http://127.0.0.1:9/"
    unbind()
    assert probe("up", "--api", "orders/") == ("No answer: ConnectionError.\n", "up: there is no answer.")


# -- saved answers


TOKENS = '{"access": "a-token", "refresh": "r-token"}'


def test_saved_answer(saved: Callable[..., str], upstream: Upstream) -> None:
    """A saved answer is explained without a request."""
    text, failed = probe("up", "--response", saved(f"HTTP/1.1 200 OK\n{JSON}\n\n{TOKENS}"), "--where", "login")
    assert text.startswith("The answer to a login: HTTP 200, application/")
    assert f"at access: 7 characters, opaque, fingerprint {fingerprint('a-token')}\n" in text
    assert f"at refresh: 7 characters, opaque, fingerprint {fingerprint('r-token')}\n" in text
    assert "token, it is used" not in text
    assert (failed, upstream.seen) == ("", [])


def test_file_that_is_no_answer(saved: Callable[..., str]) -> None:
    """A file that is something else is one line, which shows nothing of it."""
    name = saved(TOKENS)
    text, failed = probe("up", "--response", name, "--where", "api")
    assert text == ""
    assert failed.startswith(f"{name}: this is not an HTTP response")
    assert "-token" not in failed


def test_file_that_is_not_there(upstream: Upstream, tmp_path: Path) -> None:
    """A file that can't be read is one line."""
    assert probe("up", "--response", f"{tmp_path}/no", "--where", "api")[1] == (
        f"{tmp_path}/no: No such file or directory."
    )
    assert probe("up", "--response", str(tmp_path), "--where", "api")[1] == f"{tmp_path}: Is a directory."


def test_standard_input(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """ "-" reads the answer from a pipe; a status alone is enough."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"HTTP/1.1 503 Busy\r\nRetry-After: 30\r\n\r\n")))
    text, failed = probe("up", "--response", "-", "--where", "refresh")
    assert text.startswith("The answer to a refresh: HTTP 503, no Content-Type, 0 bytes\n")
    assert "Retry-After       30\n" in text
    assert "but at least the 30 s that the upstream asks for" in paragraphs(text)
    assert "The upstream may have spent the refresh token although no pair came back." in paragraphs(text)
    assert failed == "up: the verdict is TRANSIENT."


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
def test_what_curl_prints(upstream: Upstream, tmp_path: Path) -> None:
    """What a real curl prints of a real server is explained as if it had been asked by ourselves."""
    body = json.dumps({"username": upstream.user, "password": upstream.password})
    command = ["curl", "-si", "--noproxy", "*", "-H", "Expect: 100-continue", "-d", body, f"{upstream.url}login"]
    file = tmp_path / "answer.txt"
    file.write_bytes(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=30).stdout)
    text, failed = probe("up", "--response", str(file), "--where", "login")
    assert fingerprint("access-1") in text
    assert failed == ""


def test_invalid_utf_8(saved: Callable[..., str]) -> None:
    """A body that is no text is shown as one that says nothing."""
    text, failed = probe(
        "up", "--response", saved(b"HTTP/1.1 401 No\r\nX: \xff\r\n\r\n\xff\xfe\x80"), "--where", "refresh"
    )
    assert "default a 401 with a body that is not a token endpoint's" in paragraphs(text)
    assert failed == "up: the verdict is TRANSIENT."


# -- how it is explained


@pytest.mark.parametrize(
    ("options", "body", "told"),
    [
        ({}, {"access": jwt.encode({"iat": 1000, "exp": 4600}, "x" * 32)}, "a JWT, fingerprint"),
        ({}, {"access": jwt.encode({"iat": 1000, "exp": 4600}, "x" * 32)}, "(59 min), from exp claim"),
        ({"lifetime": 600}, {"access": "a"}, "(9 min), from option lifetime: 600"),
        ({"lifetime_unit": "ms"}, {"access": "a", "expires_in": 600000}, "(9 min), from expires_in: 600000"),
        (
            {},
            {"access": "a", "expires_at": "2019-01-01"},
            "expires 2019-01-01 00:00:00 UTC (expired), from expires_at: 2019",
        ),
        ({}, {"access": "a"}, "unknown expiry; it is used until a call gets a 401"),
        ({"access_paths": ["x", "data.access"]}, {"data": {"access": "a"}}, "at data.access: 1 characters"),
    ],
)
def test_lifetime(saved: Callable[..., str], settings: Any, options: Any, body: Any, told: str) -> None:
    """An expiry is told with what it was taken from."""
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = options
    file = saved(f"HTTP/1.1 200 OK\n{JSON}\n\n{json.dumps(body)}")
    assert told in paragraphs(probe("up", "--response", file, "--where", "login")[0])


class Unruly(Backend):
    """A project's own, which decides by methods."""

    def verdict(self, where: Any, response: Response) -> Verdict:
        return Verdict.OK if response.status_code == 418 else super().verdict(where, response)

    def token_pair(self, where: Any, response: Response, now: Any = None) -> TokenPair:
        return TokenPair("hidden-token", "", now)


def test_methods_of_a_project(saved: Callable[..., str], settings: Any) -> None:
    """What no rule and no path accounts for is said to come of the class's own methods."""
    settings.JWT_UPSTREAM["up"] = {
        "BACKEND": "tests.management.test_upstream_probe.Unruly",
        "BASE_URL": "https://up.example.com/",
    }
    told = json.loads(probe("up", "--response", saved("HTTP/1.1 418 Tea\n\n"), "--where", "login", "--json")[0])
    (answer,) = told["answers"]
    assert (answer["verdict"], answer["source"], answer["rule"]) == ("OK", "Unruly.verdict", None)
    assert (answer["access"]["path"], answer["access"]["expiry_source"]) == ("Unruly.token_pair", "Unruly.token_pair")


def test_rule_of_a_class(saved: Callable[..., str], settings: Any) -> None:
    """A rule is spelled as settings would spell it, with the class that has it."""
    settings.JWT_UPSTREAM["up"]["BACKEND"] = "jwt_upstream.backends.LexikBackend"
    settings.JWT_UPSTREAM["up"]["OPTIONS"] = {}
    file = saved(f'HTTP/1.1 401 No\n{JSON}\n\n{{"message": "Account is locked."}}')
    told = json.loads(probe("up", "--response", file, "--where", "refresh", "--json")[0])["answers"][0]
    rule = Rule.parse(told["rule"])
    assert told["source"].startswith("LexikBackend rules[")
    assert (rule.verdict, told["rule"]["json"]) == (Verdict.LOCKED, "message")


@pytest.mark.parametrize("width", [80, 120])
def test_width(saved: Callable[..., str], monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Paragraphs are as wide as the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    file = saved(f'HTTP/1.1 401 No\n{JSON}\n\n{{"message": "Account is disabled."}}')
    text, _ = probe("up", "--response", file, "--where", "refresh")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("{")]  # a rule is to be copied
    assert width - 25 < max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--response", "x"], "--response needs --where login, refresh or api, and --where needs --response."),
        (["--where", "api"], "--response needs --where login, refresh or api, and --where needs --response."),
        (["--refresh", "--store"], "--store can only be used with --login."),
        (["--username", "bob"], "--username can only be used with --login."),
        (["--api", "x", "--password-stdin"], "--password-stdin can only be used with --login."),
        (["--login", "--refresh"], "Error: argument --refresh: not allowed with argument --login"),
    ],
)
def test_options_that_do_not_go_together(upstream: Upstream, arguments: list[str], line: str) -> None:
    """Options that make no sense together are one line, and nothing is sent."""
    assert probe("up", *arguments) == ("", line)
    assert upstream.seen == []
