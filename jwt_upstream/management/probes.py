"""The answers that ``upstream_probe`` explains: from the upstream or from a file. Prints nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from typing import Any, NamedTuple

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from requests import RequestException, Response

from jwt_upstream.backends import Backend, Verdict, Where, get_backend, make_backend, written_settings
from jwt_upstream.backends.core import MAX_BODY_BYTES
from jwt_upstream.backends.explain import Reading, read, saved_answers
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.login import login
from jwt_upstream.models import Credential
from jwt_upstream.names import command, full_name
from jwt_upstream.refresh import find, in_words, refresh

from . import prompts
from .calls import stored_tokens

Options = Mapping[str, Any]
Answers = list[tuple[Where, Response]]


class Probe(NamedTuple):
    """The explained answers in the order of their arrival, and a message.

    ``needs_no_answer`` means that a login worked which sends nothing.
    """

    readings: list[Reading]
    message: str
    needs_no_answer: bool = False


class _RecordingClient(UpstreamClient):
    """A client with a given backend, which records the answers to refreshes."""

    def __init__(self, backend: Backend, account: str) -> None:
        super().__init__(backend.alias, account)
        self._backend = backend

    @property
    def backend(self) -> Backend:
        """The backend that records answers."""
        return self._backend


def _recording(alias: str, account: str) -> tuple[Backend, Answers]:
    """Return a backend of our own, and the list in which it records the answers that it gets."""
    backend, answers = make_backend(alias, written_settings(alias)), Answers()
    if backend.accounts:
        backend = copy(get_backend(alias, account))
    backend.recorder = lambda where, response: answers.append((where, response))
    return backend, answers


def logged_in(alias: str, options: Options) -> Probe:
    """Log in; the pair is stored only with ``--store``, since the user may not be the account's."""
    backend, answers = _recording(alias, options["account"])
    credentials = prompts.credentials(alias, backend.login_asks, options)
    message, is_done = _log_in(backend, options["account"], credentials, is_stored=options["store"])
    if is_done and not answers:
        message = " ".join([_("It works, and sends nothing."), message])
    return _explained(backend, answers, message, credentials.values())._replace(needs_no_answer=is_done)


def _log_in(backend: Backend, account: str, credentials: Mapping[str, str], *, is_stored: bool) -> tuple[str, bool]:
    if not is_stored:
        outcome = backend.login(credentials)
        if outcome.verdict is Verdict.OK:
            return _("Nothing was stored: give --store to keep the pair, or use upstream_login."), True
        if outcome.status_code:
            return _("Nothing was stored."), False
        return _("No answer: %(problem)s; nothing was stored.") % {"problem": outcome.full_reason}, False
    try:
        credential = login(backend.alias, account, credentials, by=prompts.by("upstream_probe"), backend=backend)
    except UpstreamError as error:
        return _("%(problem)s; nothing was stored.") % {"problem": error}, False
    return _("%(credential)s: the pair is stored.") % {"credential": credential}, True


def refreshed(alias: str, options: Options) -> Probe:
    """Refresh as the app does, under a lease, so that the new pair is stored whatever happens to the command."""
    account = options["account"]
    backend, answers = _recording(alias, account)
    secrets = stored_tokens(alias, account)
    try:
        refresh(find(alias, account), backend=backend)
        message = _("%(credential)s: the new pair is stored.") % {"credential": full_name(alias, account)}
    except UpstreamError as error:
        message = in_words(error)
    if not answers:
        message = " ".join(filter(None, [message, _("This command sent nothing."), _instead(alias, account)]))
    return _explained(backend, answers, message, secrets)


def _instead(alias: str, account: str) -> str:
    """Return what sends the stored tokens all the same, if the credential's state is why nothing was sent."""
    try:
        row = find(alias, account)
    except UpstreamError:
        return ""
    if row.state not in {Credential.State.REJECTED, Credential.State.LOCKED}:
        return ""
    text = _("Refreshes are off while the credential is %(state)s. To try the stored tokens now: %(command)s")
    return text % {"state": row.get_state_display(), "command": command("upstream_try_again", alias, account)}


def called(alias: str, options: Options) -> Probe:
    """GET a path as a view would, including a refresh and a second attempt."""
    backend, answers = _recording(alias, options["account"])
    secrets = stored_tokens(alias, options["account"])
    with _RecordingClient(backend, options["account"]) as client:
        try:
            response = client.get(options["api"])
            calls, message = [*response.history, response], ""
        except RequestException as error:
            calls, message = [error.response] if error.response is not None else [], _error_message(error)
    secrets += stored_tokens(alias, options["account"])  # a refresh may have replaced them
    api_answers: Answers = [("api", call) for call in calls]
    return _explained(backend, [*api_answers[:-1], *answers, *api_answers[-1:]], message, secrets)


def _error_message(error: RequestException) -> str:
    # The messages of requests contain URLs and header values.
    if isinstance(error, UpstreamError):
        return in_words(error)
    return _("No answer: %(problem)s.") % {"problem": type(error).__name__}


def saved(alias: str, options: Options) -> Probe:
    """Explain an answer from a file or from standard input."""
    name = options["response"]
    try:
        response = saved_answers.parsed(_content(name))
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}.") from None
    except ValueError as error:
        raise CommandError(f"{name}: {error}.") from None
    return _explained(get_backend(alias), [(options["where"], response)], "", ())


def _content(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read(2 * MAX_BODY_BYTES)
    with open(name, "rb") as file:
        return file.read(2 * MAX_BODY_BYTES)


def _explained(backend: Backend, answers: Answers, message: str, secrets: Iterable[str]) -> Probe:
    known = list(secrets)
    return Probe([read(backend, where, response, known) for where, response in answers], message)


PROBES: dict[str, Callable[[str, Options], Probe]] = {
    "login": logged_in,
    "refresh": refreshed,
    "api": called,
    "response": saved,
}
