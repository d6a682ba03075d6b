"""ACCOUNTS in settings: what is wrong with it, and what backends without an account are."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from jwt_upstream import checks
from jwt_upstream.accounts import AccountValues
from jwt_upstream.backends import Step, Verdict, get_backend, make_backend
from jwt_upstream.backends.explain import previews, shown_settings
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.tokens import Secrets
from tests.support.accounts import ACME, CLIENTS, SECRETS, SHOP, shop
from tests.support.checks import found

PLAIN = {"BACKEND": "jwt_upstream.backends.Backend"}


@pytest.mark.parametrize(
    ("accounts", "problem"),
    [
        ("subdomain", "ACCOUNTS must be a dict"),
        ({}, "names neither parameters nor secrets"),
        ({"parameter": ["a"]}, "has no key 'parameter'; its keys are .*did you mean 'parameters'"),
        ({"parameters": "a"}, "must be a list of names, or a dict"),
        ({"parameters": {"a": "x"}}, r"ACCOUNTS\['parameters'\]\['a'\] must be a dict"),
        ({"parameters": {"a": {"patern": "x"}}}, "has no key 'patern'"),
        ({"parameters": {"a": {"pattern": "["}}}, "the pattern is no regular expression"),
        ({"parameters": {"a": {"pattern": 5}}}, "the pattern is no regular expression"),
        ({"parameters": ["A"]}, "'A' is no name"),
        ({"parameters": [5]}, "is no name"),
        ({"secrets": [5]}, "5 is no name"),
        ({"parameters": ["a", "a"]}, "'a' is named twice"),
        ({"parameters": ["a"], "secrets": ["a"]}, "'a' is named twice"),
        ({"secrets": "a"}, "must be a list of names"),
        ({"parameters": ["refresh"]}, "'refresh' is what requests already call something else"),
        ({"secrets": ["password"]}, "choose another, such as 'own_password'"),
        ({"parameters": ["now"]}, "'now' is what"),
        ({"parameters": ["sha256"]}, "'sha256' is what"),
        ({"parameters": ["a"], "hosts": "x"}, "must be a list of hosts"),
        *(
            ({"parameters": ["a"], "hosts": [host]}, r"ACCOUNTS\['hosts'\] has .*: write the name of a host in ASCII")
            for host in (
                *(".com", "*.example.com", "https://a.example.com", "a.example.com:8443", "a.example.com/", 5, ""),
                *(" a.example.com", "a.example.com.", "münchen.de", "[::1]", "010.0.0.7", ".xn--a.example.com"),
            )
        ),
        ({"parameters": {"a": {"pattern": b"x"}}}, "the pattern is no regular expression for strings"),
    ],
)
def test_wrong_accounts(settings: Any, accounts: Any, problem: str) -> None:
    """A mistake in ACCOUNTS is an error that says what to write, and a finding of the system check."""
    settings.JWT_UPSTREAM = {"shop": {**PLAIN, "BASE_URL": "https://{a}.example.com/", "ACCOUNTS": accounts}}
    with pytest.raises(UpstreamNotConfigured, match=problem):
        get_backend("shop")
    assert found(checks.check_settings()) == ["E004"]


def test_url_without_host(settings: Any) -> None:
    """A BASE_URL that leads nowhere is a mistake, whatever is filled in."""
    accounts = {"parameters": ["a"]}
    settings.JWT_UPSTREAM = {"shop": {**PLAIN, "BASE_URL": "{a}.example.com/", "ACCOUNTS": accounts}}
    assert found(checks.check_settings()) == ["E004"]
    for host in ("{sha256:{a}}", "{{a}}"):
        settings.JWT_UPSTREAM = {"shop": {**PLAIN, "BASE_URL": f"http://{host}.example.com/", "ACCOUNTS": accounts}}
        with pytest.raises(
            UpstreamNotConfigured, match="the host may contain parameters and text options, and nothing else"
        ):
            get_backend("shop")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"BASE_URL": "https://{subdomian}.shop.example.com/{region}/{subdomain}"}, "did you mean 'subdomain'?"),
        ({"BASE_URL": "https://shop.example.com/{region}/"}, None),
        (
            {"ACCOUNTS": {**SHOP["ACCOUNTS"], "parameters": ["subdomain", "region", "zone"]}},
            "no setting uses as {zone}",
        ),
        ({"BASE_URL": "https://{subdomain}.example.com/{client_secret}/"}, "a secret, which URLs show"),
        ({"BASE_URL": "https://{subdomain}.com/"}, "which may lead anywhere"),
        ({"BASE_URL": "https://{subdomain}:8000/"}, "which may lead anywhere"),
        ({"BASE_URL": "https://{subdomain}.0.0.1/"}, "which may lead anywhere"),
        ({"BASE_URL": "https://shop.example.com:{subdomain}/"}, "a port, for which ACCOUNTS['parameters'] must have"),
        ({"scope": "{client_secret}"}, "a secret, which only client_secret, api_key, signing_key, fields and headers"),
        ({"client_secret": "x{client_secret}"}, "which is an option as well"),
        ({"client_secret": "{region}"}, "a parameter, which is no secret"),
        ({"api_key": "x{client_secret}"}, "a secret, beside which there may be nothing else"),
        ({"proxies": {"https": "http://{region}"}}, "which is the same for all accounts"),
        ({"base_url_hosts": ["*.{region}.example.com"]}, "which is the same for all accounts"),
        ({"login_path": "https://{subdomain}.example.net/{client_secret}"}, "a secret, which URLs show"),
        ({"authorize_params": {"key": "{client_secret}"}}, "a secret, which URLs show"),
        ({"login_path": "https://{client_id}.com/"}, "which may lead anywhere"),
        ({"login_steps": [Step("https://{region}.org/")]}, "login_steps[0] has {region}, which may lead anywhere"),
        ({"login_steps": [{"path": "https://{region}.org/"}]}, "login_steps[0] has {region}, which may lead anywhere"),
        ({"origins": ["https://{region}.org"]}, "origins[0] has {region}, which may lead anywhere"),
        (
            {"LOGIN": {"username": "file:/run/{region}", "password": "x"}},
            "LOGIN['username'] has {region} in the name of",
        ),
        (
            {"LOGIN": {"username": "{region}", "password": "call:own.{client_secret}"}},
            "in the name of a file or function",
        ),
        ({"login_fields": {"x": "{regoin}"}}, None),
        ({"login_path": 5}, "option 'login_path' must be a string"),
    ],
)
def test_misplaced_values(settings: Any, changes: dict[str, Any], problem: str | None) -> None:
    """A placeholder that no account has a value for, or that could lead anywhere or be seen, is a finding."""
    options = {name: value for name, value in changes.items() if name.islower()}
    written = {name: value for name, value in changes.items() if name.isupper()}
    if options:
        written["OPTIONS"] = {**SHOP["OPTIONS"], **options}
    settings.JWT_UPSTREAM = shop(**written)
    problems = problems_of(settings.JWT_UPSTREAM["shop"])
    assert not problems if problem is None else any(problem in each for each in problems)
    assert bool(found(checks.check_settings())) is bool(problems)


def problems_of(written: dict[str, Any]) -> list[str]:
    """Return what is wrong with the settings of an upstream."""
    try:
        return list(make_backend("shop", written).check())
    except UpstreamNotConfigured as error:
        return [str(error)]


def test_good_settings(settings: Any) -> None:
    """Settings with placeholders where these may be have no finding; http is one as ever."""
    settings.JWT_UPSTREAM = {**shop(), "api": CLIENTS}
    assert found(checks.check_settings()) == []
    settings.JWT_UPSTREAM = shop(BASE_URL="http://{subdomain}.shop.example.com/{region}/")
    assert found(checks.check_settings()) == ["W001"]


def test_backend_of_no_account(settings: Any) -> None:
    """Without an account a backend tells what settings say, sends nothing, and logs nobody in by itself."""
    settings.JWT_UPSTREAM = {**shop(), "api": CLIENTS}
    backend = get_backend("shop")
    outcome = backend.login({"username": "bob", "password": "x"})
    assert (outcome.verdict, outcome.reason) == (
        Verdict.CONFIG,
        "nothing was sent: which account it is for is not known",
    )
    assert dict(shown_settings(backend))["client_secret"] == "{client_secret}"
    assert not get_backend("api").logs_in_by_itself
    assert get_backend("api", AccountValues("acme", {"client": "a"}, Secrets(SECRETS))).logs_in_by_itself
    assert "{client_secret}" in previews(backend)["login"].body


def test_backend_is_kept(settings: Any) -> None:
    """An account has the same backend as long as somebody uses it and its values stay, and no other one has it."""
    settings.JWT_UPSTREAM = shop()
    backend = get_backend("shop", AccountValues("acme", ACME, secrets := Secrets(SECRETS)))
    assert get_backend("shop", AccountValues("acme", dict(ACME), secrets)) is backend
    assert get_backend("shop", AccountValues("globex", ACME, secrets)) is not backend
    assert get_backend("shop", AccountValues("acme", {**ACME, "region": "us"}, secrets)) is not backend
    assert get_backend("shop", AccountValues("acme", ACME, Secrets(SECRETS))) is not backend


def test_values_are_secret() -> None:
    """An account's values show no secret, and can't be pickled."""
    values = AccountValues("acme", ACME, Secrets(SECRETS))
    assert repr(values) == "<AccountValues of acme>"
    for copied in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="can't be pickled"):
            copied(values)
