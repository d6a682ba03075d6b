"""manage.py upstream_probe --discover: settings that can be copied as they are printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import responses
from django.core.management import CommandError, call_command

from jwt_upstream.checks import check_settings
from tests.support.commands import paragraphs, probe, run
from tests.support.metadata import EVERY, KEYCLOAK, OAUTH_TOOLKIT, OTHER
from tests.support.signatures import pem

DOCUMENT = "/.well-known/openid-configuration"


def serve(said: dict[str, Any]) -> str:
    """Let a server say this; return its issuer."""
    responses.get(f"{said['issuer'].rstrip('/')}{DOCUMENT}", json=said)
    return str(said["issuer"])


def entry(text: str, env: Callable[[str], str] = str.lower) -> dict[str, Any]:
    """Return the printed entry, evaluated as in a project's settings."""
    block = text.partition("An entry for JWT_UPSTREAM:\n\n")[2].partition("\n\n")[0]
    written: dict[str, Any] = eval(f"{{{block}}}", {"env": env})
    return written


@pytest.mark.parametrize(("kind", "said"), EVERY.items(), ids=[*EVERY])
@responses.activate
def test_settings_to_copy(kind: str, said: dict[str, Any], settings: Any) -> None:
    """The printed entry is Python, and the system checks find nothing wrong with it."""
    text, failed = probe("our-sso", "--discover", serve(said))
    assert failed == ""
    written = entry(text)
    assert [*written] == ["our-sso"]
    assert written["our-sso"]["BACKEND"] == f"jwt_upstream.backends.{kind}"
    assert written["our-sso"]["OPTIONS"].get("client_secret", "our_sso_client_secret") == "our_sso_client_secret"
    settings.JWT_UPSTREAM = written
    assert check_settings() == []


@responses.activate
def test_signing_key(settings: Any) -> None:
    """The key of a client that signs is read from the environment too, and the entry is valid with one."""
    text, _ = probe(
        "sso", "--discover", serve({**OTHER, "token_endpoint_auth_methods_supported": ["private_key_jwt"]})
    )
    settings.JWT_UPSTREAM = entry(text, env={"SSO_SIGNING_KEY": pem()}.__getitem__)
    assert settings.JWT_UPSTREAM["sso"]["OPTIONS"]["client_authentication"] == "private_key_jwt"
    assert check_settings() == []


@responses.activate
def test_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server supports is listed; without an alias the entry has a name to be replaced."""
    monkeypatch.setenv("COLUMNS", "100")
    text, _ = probe("--discover", serve(KEYCLOAK))
    assert text.startswith(f"{KEYCLOAK['issuer']} is a realm of Keycloak. What follows is from\n")
    assert '"upstream": {' in text
    assert '"client_id": "…",  # of your registration at the server\n' in text
    said = paragraphs(text)
    for line in (
        "grants authorization_code, implicit, refresh_token, password, urn:ietf",
        "PKCE plain, S256",
        "iss in redirects yes",
        "device login https://sso.example.com/realms/shop/protocol/openid-connect/auth/device",
        "client authentication private_key_jwt, client_secret_basic, client_secret_post",
        "signed with RS256, ES256",
        "revocation https://sso.example.com/realms/shop/protocol/openid-connect/revoke",
        "rotation unknown: no document states",
    ):
        assert line in said
    responses.reset()
    text = paragraphs(probe("--discover", serve(OAUTH_TOOLKIT))[0])
    assert "device login yes, but the document doesn't say where" in text
    assert "PKCE not stated" in text


@responses.activate
def test_json() -> None:
    """With --json the same is data."""
    code, out, _ = run("upstream_probe", "--discover", serve(KEYCLOAK), "--json")
    said = json.loads(out)
    assert (code, said["issuer"], said["product"]) == (0, KEYCLOAK["issuer"], "a realm of Keycloak")
    assert said["settings"]["OPTIONS"]["realm"] == "shop"
    assert said["supports"]["PKCE"] == "plain, S256"


@responses.activate
def test_nothing_discovered() -> None:
    """Why nothing was discovered is one line."""
    responses.get(f"https://sso.example.com{DOCUMENT}", status=404)
    responses.get("https://sso.example.com/.well-known/oauth-authorization-server", status=404)
    text, failed = probe("--discover", "https://sso.example.com")
    assert text == ""
    assert failed.startswith("--discover: found nothing to make settings of. https://sso.example.com/.well-known/open")
    _, failed = probe("--discover", "https://us:s3cret@sso.example.com")
    assert failed == "--discover: it takes an https:// URL (http:// on this machine only) without user and query."


def test_options() -> None:
    """An alias is needed for anything else, and discovery goes with nothing else."""
    assert run("upstream_probe")[::2] == (2, "Give the alias of an upstream, or --discover URL.")
    with pytest.raises(CommandError, match="not allowed with argument"):
        call_command("upstream_probe", "up", "--login", "--discover", "https://sso.example.com")
