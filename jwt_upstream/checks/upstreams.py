"""The settings of each upstream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from urllib3.exceptions import LocationParseError
from urllib3.util import Url

from jwt_upstream.backends import KEYS, Backend, make_backend
from jwt_upstream.backends.core import LOOPBACK, origin
from jwt_upstream.conf import DEFAULTS, conf
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.formatting import sentence
from jwt_upstream.names import alternatives, is_name
from jwt_upstream.tracebacks import without_variables

from .values import is_seconds

_MAX_ALIAS_CHARACTERS = 100


@without_variables
def check_verification(**_: Any) -> list[CheckMessage]:
    """Warn, at deployment, of each upstream whose certificate is not verified."""
    upstreams = conf.upstreams if isinstance(conf.upstreams, Mapping) else {}
    return [warning for alias, written in upstreams.items() for warning in _unverified(alias, written)]


def _unverified(alias: str, written: Any) -> Iterator[CheckMessage]:
    try:
        backend = make_backend(alias, written)
    except UpstreamNotConfigured:  # of which check_settings tells
        return
    if backend.verify is False:
        text = f"JWT_UPSTREAM[{alias!r}]: verify is False, so anybody on the way can read passwords and tokens."
        hint = "Set OPTIONS['verify'] to the file of the CA that issued the upstream's certificate."
        yield Warning(text, hint=hint, id="jwt_upstream.W005")


def upstreams() -> Iterator[CheckMessage]:
    """Yield the problems of all upstreams."""
    if not isinstance(conf.upstreams, Mapping):
        hint = 'Write JWT_UPSTREAM = {"alias": {"BACKEND": …, "BASE_URL": …}}.'
        yield Error("JWT_UPSTREAM must be a dict of upstreams.", hint=hint, id="jwt_upstream.E001")
        return
    for alias, written in conf.upstreams.items():
        yield from check_upstream(alias, written)


def check_upstream(alias: str, written: Any) -> Iterator[CheckMessage]:
    """Yield the problems in the settings of one upstream."""
    where = f"JWT_UPSTREAM[{alias!r}]"
    if not is_name(alias) or len(alias) > _MAX_ALIAS_CHARACTERS or alias.startswith("-"):
        text = f"{where}: the alias must be 1 to {_MAX_ALIAS_CHARACTERS} printable characters and not begin with '-'."
        hint = "Choose a short name: commands and mails name the upstream by it."
        yield Error(text, hint=hint, id="jwt_upstream.E001")
    if not isinstance(written, Mapping) or not _is_options(written.get("OPTIONS", {})):
        hint = f"Its keys are {', '.join(KEYS)}; OPTIONS is a dict of option names and values."
        yield Error(f"{where} and its OPTIONS must be dicts.", hint=hint, id="jwt_upstream.E002")
        return
    yield from _recipients(where, written.get("NOTIFY", []))
    if "BACKEND" not in written:
        text = f"{where} has no BACKEND, so the plain jwt_upstream.backends.Backend is used."
        hint = "Name the class for the server, which upstream_probe --discover may find, or this one."
        yield Warning(text, hint=hint, id="jwt_upstream.W010")
    for key in [key for key in written if key not in KEYS]:
        hint = sentence(f"Remove it or correct the name; the keys are {alternatives(key, KEYS)}")
        yield Error(f"{where} has an unknown key {key!r}.", hint=hint, id="jwt_upstream.E002")
    problems = [] if "ACCOUNTS" in written else list(_url(where, written.get("BASE_URL")))
    yield from problems
    if any(problem.is_serious() for problem in problems):
        return
    try:
        backend = make_backend(alias, written)
    except UpstreamNotConfigured as error:
        hint = "BACKEND is the path of a class, such as jwt_upstream.backends.LexikBackend, and LOGIN a dict."
        yield Error(sentence(error), hint=hint, id="jwt_upstream.E004")
    else:
        yield from _url(where, backend.base_url) if backend.accounts else ()
        yield from _backend(where, backend)


def _is_options(options: Any) -> bool:
    return isinstance(options, Mapping) and all(isinstance(name, str) for name in options)


def _url(where: str, url: Any) -> Iterator[CheckMessage]:
    hint = "Set it to the URL of the API, such as https://api.example.com/v1/."
    try:
        parsed = origin(url) if isinstance(url, str) and url else None
    except LocationParseError:
        parsed = None
    if parsed is None or parsed.scheme not in {"http", "https"} or not parsed.host:
        yield Error(f"{where}: BASE_URL must be an http:// or https:// URL.", hint=hint, id="jwt_upstream.E003")
    elif parsed.auth or "?" in url or "#" in url:
        text = f"{where}: BASE_URL must not contain a user, a password, a query or a fragment."
        yield Error(text, hint=hint, id="jwt_upstream.E003")
    elif _is_unencrypted(parsed):
        text = f"{where}: BASE_URL is http://, so passwords and tokens are sent unencrypted."
        yield Warning(text, hint="Use https://.", id="jwt_upstream.W001")


def _is_unencrypted(url: Url) -> bool:
    return url.scheme == "http" and not settings.DEBUG and url.host not in LOOPBACK


def _backend(where: str, backend: Backend) -> Iterator[CheckMessage]:
    problems = list(backend.check())
    for problem in problems:
        hint = "Fix LOGIN." if problem.startswith("LOGIN ") else "Fix OPTIONS."
        yield Error(sentence(f"{where}: {problem}"), hint=hint, id="jwt_upstream.E005")
    if not problems:
        yield from _token_requests(where, backend)
    lease = getattr(settings, "JWT_UPSTREAM_LEASE_SECONDS", DEFAULTS["JWT_UPSTREAM_LEASE_SECONDS"])
    if not problems and is_seconds(lease) and backend.deadline * 2 > lease:
        text = f"{where}: JWT_UPSTREAM_LEASE_SECONDS must be at least twice the deadline of {backend.deadline:g} s."
        hint = "Otherwise the lease could expire during a refresh, and two workers could refresh at once."
        yield Error(text, hint=hint, id="jwt_upstream.E009")


def _token_requests(where: str, backend: Backend) -> Iterator[CheckMessage]:
    for name in backend.missing():
        text = f"{where}: {name} is missing; logins and refreshes need it."
        yield Error(text, hint=f"Set OPTIONS[{name!r}].", id="jwt_upstream.E010")
    names = ("login_path", "refresh_path", "revoke_path", "device_path", "authorize_path")
    paths = {name: getattr(backend, name) for name in names}
    paths |= {f"login_steps[{number}]": step.path for number, step in enumerate(backend.steps)}
    addresses = {name: origin(backend.endpoint(path)) for name, path in paths.items()}
    addresses |= {f"origins[{number}]": origin(url) for number, url in enumerate(backend.origins)}
    for name, address in addresses.items():
        if address != backend.origin and _is_unencrypted(address):
            text = f"{where}: {name} is http://, so passwords and tokens are sent unencrypted."
            yield Warning(text, hint="Use https://.", id="jwt_upstream.W001")
    for problem in filter(None, (*backend.unreadable_secrets(), backend.missing_certificate())):
        hint = "Logins and refreshes need it; write or correct the file, or the path in settings."
        yield Warning(f"{where}: {problem}.", hint=hint, id="jwt_upstream.W008")


def _recipients(where: str, addresses: Any) -> Iterator[CheckMessage]:
    is_list = isinstance(addresses, list | tuple)
    if not is_list or not all(isinstance(each, str) and "@" in each for each in addresses):
        hint = 'Write ["ops@example.com"], or leave it out: then ADMINS get the mails.'
        yield Error(f"{where}: NOTIFY must be a list of mail addresses.", hint=hint, id="jwt_upstream.E016")
