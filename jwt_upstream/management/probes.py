"""What ``upstream_probe`` asks, or reads from a file, in order to explain the answers; prints nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.core.management.base import CommandError
from django.views.decorators.debug import sensitive_variables
from requests import RequestException, Response

from jwt_upstream import logins, states
from jwt_upstream.backends import Backend, Verdict
from jwt_upstream.backends.bodies import LONGEST
from jwt_upstream.backends.readings import Reading, read
from jwt_upstream.backends.saved import parsed
from jwt_upstream.backends.verdicts import Where
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.fields import DecryptionError
from jwt_upstream.management import prompts
from jwt_upstream.refresh import refresh

Options = Mapping[str, Any]
Answers = list[tuple[Where, Response]]


class Probe(NamedTuple):
    """The answers that came, in order, and what else there is to say."""

    readings: list[Reading]
    said: str


@sensitive_variables()
def login(backend: Backend, options: Options) -> Probe:
    """Log in; what comes back is stored only with ``--store``, since it may be another user's."""
    credentials = prompts.credentials(backend.alias, backend.login_asks, options)
    with _kept(backend) as answers:
        said = _logged_in(backend, options["account"], credentials, is_stored=options["store"])
    return _explained(backend, answers, said, credentials.values())


@sensitive_variables("credentials")
def _logged_in(backend: Backend, account: str, credentials: Mapping[str, str], *, is_stored: bool) -> str:
    if not is_stored:
        outcome = backend.login(credentials)
        if outcome.verdict is Verdict.OK:
            return "Nothing was stored: give --store to keep the pair, or use upstream_login."
        return "Nothing was stored." if outcome.status_code else f"No answer: {outcome.reason}; nothing was stored."
    try:
        credential = logins.login(backend.alias, account, credentials, by=prompts.by("upstream_probe"))
    except UpstreamError as error:
        return f"{error}; nothing was stored."
    return f"{credential}: stored."


@sensitive_variables()
def refreshed(backend: Backend, options: Options) -> Probe:
    """Refresh as the app does, under the claim, so that the new pair is stored whatever happens here."""
    account = options["account"]
    secrets = _stored_secrets(backend.alias, account)
    with _kept(backend) as answers:
        try:
            refresh(states.find(backend.alias, account))
            said = f"{backend.alias}/{account}: the new pair is stored."
        except UpstreamError as error:
            said = str(error)
    if not answers:
        said += " Nothing was sent from here."
    return _explained(backend, answers, said, secrets)


@sensitive_variables()
def called(backend: Backend, options: Options) -> Probe:
    """GET a path as a view would, a refresh and a second attempt included."""
    secrets = _stored_secrets(backend.alias, options["account"])
    calls: list[Response] = []
    with _kept(backend) as answers, UpstreamClient(backend.alias, options["account"]) as client:
        try:
            response = client.get(options["api"])
            calls, said = [*response.history, response], ""
        except RequestException as error:
            calls, said = [error.response] if error.response is not None else [], _spelled(error)
    secrets += _stored_secrets(backend.alias, options["account"])  # those of a refresh meanwhile
    told: Answers = [("api", call) for call in calls]
    return _explained(backend, [*told[:-1], *answers, *told[-1:]], said, secrets)


def _spelled(error: RequestException) -> str:
    # Those of requests hold URLs and header values.
    return str(error) if isinstance(error, UpstreamError) else f"No answer: {type(error).__name__}."


def saved(backend: Backend, options: Options) -> Probe:
    """Explain an answer of a file, or of standard input."""
    name = options["response"]
    try:
        response = parsed(_content(name))
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}.") from None
    except ValueError as error:
        raise CommandError(f"{name}: {error}.") from None
    return _explained(backend, [(options["where"], response)], "", ())


def _content(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read(2 * LONGEST)
    with open(name, "rb") as file:
        return file.read(2 * LONGEST)


@contextmanager
def _kept(backend: Backend) -> Iterator[Answers]:
    answers: Answers = []
    backend.kept = answers
    try:
        yield answers
    finally:
        backend.kept = None


@sensitive_variables()
def _explained(backend: Backend, answers: Answers, said: str, secrets: Iterable[str]) -> Probe:
    known = list(secrets)
    return Probe([read(backend, where, response, known) for where, response in answers], said)


@sensitive_variables()
def _stored_secrets(alias: str, account: str) -> list[str]:
    try:
        pair = states.find(alias, account).pair
    except (UpstreamError, DecryptionError):
        return []
    return [pair.access, pair.refresh]


PROBES: dict[str, Callable[[Backend, Options], Probe]] = {
    "login": login,
    "refresh": refreshed,
    "api": called,
    "response": saved,
}
