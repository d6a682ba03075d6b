"""The wording of every built-in backend: each state of a fake upstream is what the backend's own rules read it as."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from requests import Response

from jwt_upstream import testing
from jwt_upstream.backends import Backend, HubSpotBackend, Rule, Verdict
from jwt_upstream.backends.core import TOKEN_REQUESTS, Where
from jwt_upstream.clock import host_now
from jwt_upstream.testing import NoSuchState, answer
from jwt_upstream.testing.wording import good_answer, read_pair, wording
from tests.support.wire_cases import BACKENDS, CASES, KINDS, made
from tests.support.wire_cases import answer as case_answer

RECORDED = json.loads((Path(testing.__file__).parent / "recorded.json").read_text())


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_words_are_those_of_a_real_server(name: str) -> None:
    """Each answer that is shipped stands in the cases of that backend's servers, word for word, and is used first."""
    kind = next(kind for kind in KINDS if kind.__name__ == name)
    for key, said in RECORDED[name].items():
        where, verdict = key.split()
        found = wording(made(kind), cast(Where, where), Verdict[verdict])
        assert found is not None, key
        assert found.content == answer(**said).content, key
        cases = [case for case in CASES if case["where"] == where and BACKENDS.get(case["server"]) is kind]
        assert any(is_same(found, case_answer(case)) for case in cases), key


def is_same(said: Response, case: Response) -> bool:
    """Tell whether an answer is that of a case, which may have more headers."""
    mine, theirs = (each.content.strip() for each in (said, case))
    same_body = mine == theirs or (bool(mine and theirs) and _decoded(mine) == _decoded(theirs))
    own = {name: text for name, text in said.headers.items() if name != "Content-Type"}
    return said.status_code == case.status_code and same_body and own.items() <= case.headers.items()


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


WANTED: list[tuple[Where, Verdict]] = [
    ("api", Verdict.EXPIRED),
    ("api", Verdict.LOCKED),
    *((where, verdict) for where in TOKEN_REQUESTS for verdict in (Verdict.REJECTED, Verdict.LOCKED, Verdict.CONFIG)),
]


@pytest.mark.parametrize("kind", KINDS)
def test_words_have_the_verdict(kind: type[Backend]) -> None:
    """Whatever is found for a backend is read as what it is for; what isn't found is no state of such an upstream."""
    backend = made(kind)
    found = {key: wording(backend, *key) for key in WANTED}
    assert all(said is None or backend.verdict(key[0], said) is key[1] for key, said in found.items())
    missing = {(where, verdict.name) for (where, verdict), said in found.items() if said is None}
    if backend.is_static:
        assert missing == {("api", "LOCKED")} | ({("login", "REJECTED"), ("refresh", "REJECTED")} & missing)
    elif backend.is_unattended:
        assert missing - {("api", "LOCKED")} == {("login", "REJECTED"), ("refresh", "REJECTED")}
    elif kind is HubSpotBackend:  # which has no word for it at its token endpoint
        assert missing == {("login", "LOCKED"), ("refresh", "LOCKED")}
    else:
        assert missing <= {("api", "LOCKED")}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if made(kind).has_token_endpoint])
@pytest.mark.parametrize("where", TOKEN_REQUESTS)
def test_good_pair(kind: type[Backend], where: Where) -> None:
    """A backend reads the tokens where the answer has them, and how long they are good."""
    backend = made(kind)
    found = backend.outcome(where, good_answer(backend, "a", "r"), host_now())
    assert found.verdict is Verdict.OK
    assert found.pair is not None
    assert (found.pair.access, found.pair.refresh) == ("a", "r" if backend.refresh_paths else "")
    assert found.pair.access_expires_at is not None


@pytest.mark.parametrize(
    "options",
    [
        {"access_paths": ["data.0.tokens.a"], "refresh_paths": ["data.0.tokens.r"]},
        {"access_paths": ["header:X-Token"], "refresh_paths": ["cookie:r"]},
    ],
)
def test_paths_of_ones_own(options: dict[str, Any]) -> None:
    """Tokens are put where OPTIONS say that they are: into lists, headers and cookies as well."""
    pair = read_pair(Backend("up", "https://up.example.com/", **options), "a", "r")
    assert (pair.access, pair.refresh) == ("a", "r")


def test_what_calls_need_besides() -> None:
    """A pair has what steps keep, what the answer must hold, and the API's address."""
    backend = Backend(
        "up",
        "https://up.example.com/",
        login_steps=[{"path": "first", "keep": {"tenant": "tenant.id"}}],
        api_headers={"Authorization": "Bearer {access}", "X-Tenant": "{tenant}", "X-Org": "{answer.org.id}"},
        base_url_paths=["api"],
        base_url_hosts=["up.example.com"],
        expires_in_paths=[],
    )
    assert list(backend.check()) == []
    assert dict(read_pair(backend, "a", "").answer) == {
        "tenant": "fake-tenant",
        "answer.org.id": "fake-answer.org.id",
        "base_url": "https://up.example.com/",
    }


def test_status_alone() -> None:
    """An upstream that says it with a status is answered for with that status."""
    backend = Backend("up", "https://up.example.com/", expired_statuses=[419], locked_statuses=[423])
    expired, locked = wording(backend, "api", Verdict.EXPIRED), wording(backend, "api", Verdict.LOCKED)
    assert expired is not None
    assert locked is not None
    assert (expired.status_code, locked.status_code) == (419, 423)


def test_login_that_can_not_be_faked() -> None:
    """A backend whose rules take every answer for something else is told of."""
    backend = Backend("up", "https://up.example.com/", rules=[Rule(Verdict.TRANSIENT, TOKEN_REQUESTS)])
    with pytest.raises(NoSuchState, match="up: no answer is known that it reads as a login"):
        read_pair(backend, "a", "r")
