"""Options: what a backend takes from settings, and what is wrong with a value."""

from __future__ import annotations

import math
from typing import Any

import pytest

from jwt_upstream.backends import Backend, LexikBackend, OAuth2Backend, SimpleJWTBackend

URL = "https://up.example.com/"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"login_pth": "x"}, "unknown option 'login_pth'; the options of Backend are login_path, "),
        ({"login_path": 1}, "option 'login_path' must be a string"),
        ({"timeout": "1"}, "option 'timeout' must be a number or a list of 2, a number, a number"),
        ({"timeout": (1, 2, 3)}, "option 'timeout' must be a number or a list of 2"),
        ({"timeout": None}, "option 'timeout' must be a number or a list of 2"),
        ({"timeout": 0}, "timeout must be more than 0"),
        ({"timeout": (3, 0)}, "timeout must be more than 0"),
        ({"deadline": 0}, "deadline must be more than 0"),
        ({"max_concurrent_refreshes": 0}, "max_concurrent_refreshes must be at least 1"),
        ({"deadline": -1}, "option 'deadline' must not be negative or infinite"),
        ({"deadline": math.nan}, "option 'deadline' must not be negative or infinite"),
        ({"backoff": True}, "option 'backoff' must be a number"),
        ({"access_paths": "token"}, "option 'access_paths' must be a list, each a string"),
        ({"locked_statuses": ["423"]}, "option 'locked_statuses' must be a list, each an integer"),
        ({"headers": {"A": 5}}, "option 'headers' must be a dict, each a string"),
        ({"login_fields": []}, "option 'login_fields' must be a dict"),
        ({"body_format": "xml"}, "body_format must be 'json', 'form' or 'query', not 'xml'"),
        (
            {"client_authentication": "digest"},
            "client_authentication must be 'none', 'basic', 'basic_plain', 'post', 'private_key_jwt'",
        ),
        ({"refresh_format": "xml"}, "refresh_format must be 'json', 'form', 'query' or empty, not 'xml'"),
        ({"revoke_format": "xml"}, "revoke_format must be 'json', 'form', 'query' or empty, not 'xml'"),
        ({"revoke_method": "GET"}, "revoke_method must be 'POST' or 'DELETE', not 'GET'"),
        (
            {"revoke_authentication": "x"},
            "revoke_authentication must be 'none', 'basic', 'basic_plain', 'post', 'private",
        ),
        ({"revoke_fields": {"a": "{otp}"}}, "a revocation may contain {refresh}, {access}, {token}, {token_type} and"),
        ({"revoke_headers": {"A": "x\n"}}, "revoke_headers['A'] has characters that a header can't carry"),
        ({"revoke_path": "//evil.example.com/"}, "revoke_path leads to https://evil.example.com:443; if that is"),
        ({"lifetime_unit": "min"}, "lifetime_unit must be 's' or 'ms', not 'min'"),
        (
            {"refresh_fields": {"a": "{otp}"}},
            "a refresh may contain {refresh}, {access} and text options, not",
        ),
        ({"refresh_headers": {"A": "x {otp}"}}, "a refresh may contain {refresh}, {access} and text options, not"),
        ({"caller_authorization": "keep"}, "caller_authorization must be 'refuse' or 'replace', not 'keep'"),
        ({"login_method": "DELETE"}, "login_method must be 'POST', 'GET', 'PUT' or 'PATCH', not 'DELETE'"),
        ({"login_fields": {"a": ["{sha265:x}"]}}, "login_fields has {sha265:…}, which is no function, or has too few"),
        ({"api_query": {"a": "{hmac_sha256:x}"}}, "api_query has {hmac_sha256:…}, which is no function, or has too"),
        ({"api_query": {"a": "{acces}"}}, "calls may contain {access}, {answer.…}, text options and kept values, not"),
        ({"api_headers": {"A": "{refresh}"}}, "calls may contain {access}, {answer.…}, text options and kept values"),
        ({"headers": {"A B": "x"}}, "headers has 'A B', which is no name of a header"),
        ({"login_headers": {"Host": "a.example.com"}}, "login_headers can't contain Host, which is set for each"),
        ({"api_headers": {"Content_Length": "4"}}, "api_headers can't contain Content_Length, which is set for each"),
        ({"api_headers": {"cookie": "jwt={access}"}, "keep_cookies": True}, "keep_cookies would add to the Cookie in"),
        ({"api_headers": {"A": "x\n"}}, "api_headers['A'] has characters that a header can't carry"),
        ({"base_url_paths": ["instance_url"]}, "base_url_paths needs base_url_hosts, such as ['*.example.com']"),
        ({"base_url_paths": ["kept:a"], "base_url_hosts": ["a.example.com"]}, "base_url_paths has 'kept:a', but no"),
        ({"base_url_hosts": ["*.com"]}, "base_url_hosts has '*.com'; write hosts such as 'api.example.com' or"),
        ({"base_url_hosts": ["https://a.example.com"]}, "base_url_hosts has 'https://a.example.com'; write hosts"),
        ({"base_url_hosts": ["a.example.com:8443"]}, "base_url_hosts has 'a.example.com:8443'; write hosts such"),
        ({"login_steps": [5]}, "a step must be a dict, not int (login_steps[0])"),
        (
            {"login_steps": [{"paht": "a"}]},
            "a step has no key 'paht'; its keys are body_format, client_",
        ),
        ({"login_steps": [{}]}, "a step's path must be a path or a URL (login_steps[0])"),
        (
            {"login_steps": [{"path": "a", "method": "get"}]},
            "a step's method can't be 'get', but one of POST, GET, PUT, PATCH",
        ),
        ({"login_steps": [{"path": "a", "keep": []}]}, "a step's keep must be a dict (login_steps[0])"),
        ({"login_steps": [{"path": "a", "query": {"a": 1}}]}, "a step's query must be a dict of strings"),
        ({"login_steps": [{"path": "a", "keep": {"a b": "a"}}]}, "a step keeps values by names of letters, digits"),
        ({"login_steps": [{"path": "{md4:a}"}]}, "a step has {md4:…}, which is no function, or has too few"),
        (
            {"login_steps": [{"path": "a", "keep": {"api_key": "key"}}]},
            "login_steps can't keep api_key, which is the name of an option",
        ),
        (
            {"login_steps": [{"path": "a", "fields": {"n": "{nr}"}, "keep": {"nr": "nonce"}}]},
            "login_steps[0] needs {nr}, which no earlier step has kept",
        ),
        (
            {"login_steps": [{"path": "a", "headers": {"Transfer-Encoding": "chunked"}}]},
            "login_steps[0]['headers'] can't contain Transfer-Encoding, which is set for each request",
        ),
        (
            {"login_steps": [{"path": "//evil.example.com/"}]},
            "login_steps[0] leads to https://evil.example.com:443; if",
        ),
        ({"login_steps": [{"path": "ftp://id.example.com/"}]}, "login_steps[0] is neither a path nor a valid http"),
        ({"refresh_repeats_login": True}, "refresh_repeats_login is for logins that ask for nothing, but this one"),
        ({"rules": [5]}, "a rule must be a dict, not int"),
        ({"rules": [{"verdict": "LOCKED", "stat": 1}]}, "a rule has no key 'stat'; its keys are header, json, "),
        ({"rules": [{"status": 423}]}, "a rule's verdict can't be None, but one of OK, EXPIRED, "),
        (
            {"rules": [{"verdict": "LOCKED", "where": "apis"}]},
            "a rule's where can't be 'apis', but one or more of api, login, refresh",
        ),
        (
            {"rules": [{"verdict": "LOCKED", "where": []}]},
            "a rule's where can't be (), but one or more of api, login, refresh",
        ),
        ({"rules": [{"verdict": "LOCKED", "header": 5}]}, "a rule's header must be a string, not 5"),
        ({"rules": [{"verdict": "LOCKED", "status": "423"}]}, "a rule's status must be int or a list of them"),
        ({"rules": [{"verdict": "LOCKED", "json": 5}]}, "a rule's json must be str or a list of them, not 5"),
        ({"rules": [{"verdict": "LOCKED", "pattern": "("}]}, "a rule's pattern is not a valid regular expression: "),
        ({"test_path": "https://other.example.com/me"}, "test_path must be a path at BASE_URL, since no other host"),
        ({"verify": ""}, "verify must be True, False or the path of a CA bundle, not empty"),
        ({"cert": ""}, "cert must be the path of a client certificate, or that and its key's, not empty"),
        ({"cert": ["a.pem", ""]}, "cert must be the path of a client certificate, or that and its key's, not"),
        ({"test_path": "http://[x/"}, "test_path must be a path at BASE_URL, since no other host"),
    ],
)
def test_wrong_option(options: dict[str, Any], problem: str) -> None:
    """What is wrong with an option is said in one sentence."""
    (found,) = Backend("up", URL, **options).check()
    assert found.startswith(problem)


class OwnBackend(Backend):
    """A project's own, with a type that nobody else knows."""

    colour: bytes = b""
    either: dict[str, Any] | list[int] = {}


def test_options_of_an_own_backend() -> None:
    """Options of types that aren't known are the backend's own business."""
    assert list(OwnBackend("up", URL, colour=5, either=[1]).check()) == []
    (found,) = OwnBackend("up", URL, either=7).check()
    assert found == "option 'either' must be a dict or a list, each an integer"


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Backend, {}),
        (LexikBackend, {}),
        (SimpleJWTBackend, {}),
        (OAuth2Backend, {"client_id": "us"}),
        (OAuth2Backend, {"client_authentication": "none"}),
        (OAuth2Backend, {"client_id": "us", "grant_type": "client_credentials"}),
        (Backend, {"timeout": 5, "cert": ["a.pem", "a.key"], "verify": "ca.pem", "proxies": {"https": "http://p"}}),
        (
            Backend,
            {"timeout": [1, 2], "deadline": 1, "backoff": 0, "locked_statuses": [423], "expired_statuses": (419,)},
        ),
    ],
)
def test_right_options(kind: type[Backend], options: dict[str, Any]) -> None:
    """Nothing is found wrong with what the documentation allows."""
    assert list(kind("up", URL, **options).check()) == []


def test_lists_become_tuples() -> None:
    """A timeout that was read from JSON is one that requests understands."""
    assert Backend("up", URL, timeout=[1, 2]).timeout == (1, 2)


def test_options_named_like_arguments() -> None:
    """An option can't pass for the alias or the address."""
    problems = list(Backend("up", URL, alias="x", base_url="https://evil.example.net/", self=1).check())
    assert [problem.partition(";")[0] for problem in problems] == [
        f"unknown option {name!r}" for name in ("alias", "base_url", "self")
    ]


def test_options_are_of_one_upstream() -> None:
    """An option of one upstream changes no other."""
    assert Backend("one", URL, login_path="x").login_path == "x"
    assert Backend("two", URL).login_path == "login"
