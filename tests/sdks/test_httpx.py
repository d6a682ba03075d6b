"""SDKs that take an httpx client or transport: with ours a call works whose token has expired, waiting and awaited."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from tests.sdks.conftest import Api

REPLACED = {"caller_authorization": "replace"}
BOTH = pytest.mark.parametrize("is_awaited", [False, True])


def run(api: Api, title: str, *, is_awaited: bool) -> list[Any]:
    return async_to_sync(api.arun)(title) if is_awaited else api.run(title)


def check_rejected(api: Api, expected: str, *, is_awaited: bool) -> None:
    """Check what is raised where a person must act; where it is awaited, that is the same."""
    if not is_awaited:
        assert api.run_rejected() == expected


@BOTH
def test_openai(api: Api, settings: Any, is_awaited: bool) -> None:
    """openai gets an answer."""
    text = {"type": "output_text", "text": "7", "annotations": []}
    output = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [text]}
    api.answer("/v1/responses", {"id": "r1", "object": "response", "output": [output]})
    api.configure(settings, "llm", "https://llm.example.com", **REPLACED)
    answers = run(api, "openai", is_awaited=is_awaited)
    assert [answer.output_text for answer in answers] == ["7", "7"]
    check_rejected(api, "CredentialRejected", is_awaited=is_awaited)


@BOTH
def test_anthropic(api: Api, settings: Any, is_awaited: bool) -> None:
    """anthropic gets an answer."""
    answer: dict[str, Any] = {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "small",
        "stop_reason": "end_turn",
    }
    answer |= {"content": [{"type": "text", "text": "7"}], "usage": {"input_tokens": 1, "output_tokens": 1}}
    api.answer("/v1/messages", answer)
    api.configure(settings, "claude", "https://claude.example.com", **REPLACED)
    answers = run(api, "anthropic", is_awaited=is_awaited)
    assert [answer.content[0].text for answer in answers] == ["7", "7"]
    api.lines.names["claude"].max_retries = 0  # each of which sends nothing, and waits for longer
    check_rejected(api, "APIConnectionError", is_awaited=is_awaited)


@BOTH
def test_gql(api: Api, settings: Any, is_awaited: bool) -> None:
    """gql queries."""
    api.answer("/graphql", {"data": {"orders": [{"id": "1"}]}})
    api.configure(settings, "shop", "https://shop.example.com")
    assert run(api, "gql", is_awaited=is_awaited) == [{"orders": [{"id": "1"}]}] * 2
    check_rejected(api, "TransportConnectionFailed", is_awaited=is_awaited)


SCHEMA = {
    "openapi": "3.0.3",
    "info": {"title": "CRM", "version": "1"},
    "paths": {
        "/orders": {
            "get": {
                "operationId": "list_orders",
                "responses": {
                    "200": {
                        "description": "All of them",
                        "content": {
                            "application/json": {"schema": {"type": "array", "items": {"type": "string"}}},
                        },
                    }
                },
            }
        }
    },
}


@pytest.fixture(scope="module")
def crm_client(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a client that was generated."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "crm.json").write_text(json.dumps(SCHEMA))
    (folder / "config.json").write_text(json.dumps({"package_name_override": "crm_client", "post_hooks": []}))
    arguments = ["generate", "--path", "crm.json", "--config", "config.json", "--meta", "none"]
    program = Path(sys.executable).with_name("openapi-python-client")
    subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)
    return str(folder)


@BOTH
def test_generated_client(
    api: Api, settings: Any, crm_client: str, monkeypatch: pytest.MonkeyPatch, is_awaited: bool
) -> None:
    """What openapi-python-client has generated lists orders."""
    monkeypatch.syspath_prepend(crm_client)
    api.answer("/orders", ["1", "2"])
    api.configure(settings, "crm", "https://crm.example.com")
    assert run(api, "openapi-python-client", is_awaited=is_awaited) == [["1", "2"], ["1", "2"]]
    check_rejected(api, "CredentialRejected", is_awaited=is_awaited)
