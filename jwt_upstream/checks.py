"""System checks of the settings.

E001 JWT_UPSTREAM is not a dict, or an alias is not valid · E002 an upstream's settings are not a dict, or have an
unknown key · E003 BASE_URL · E004 BACKEND or LOGIN · E005 OPTIONS · E006 JWT_UPSTREAM_ENCRYPTION_KEYS · E007 an
unknown setting · E008 not a number of seconds · E009 deadline and lease · E010 a missing option ·
E011 urllib3-future · E012 schemas of tenants that can't be followed
W001 http:// · W002 ADMINS is empty · W003 keys derived from SECRET_KEY (deploy only) · W004 an old Brotli ·
W005 certificates are not verified (deploy only)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

import urllib3
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections
from urllib3.exceptions import LocationParseError
from urllib3.util import Url

from jwt_upstream.backends import KEYS, Backend, make_backend
from jwt_upstream.backends.core import origin
from jwt_upstream.conf import DEFAULTS, conf
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.fields import configured_keys
from jwt_upstream.names import is_name

_MAX_ALIAS_CHARACTERS = 100
#: In the order in which urllib3 prefers them; all of them decode Brotli.
_BROTLI = ("brotlicffi", "Brotli", "brotlipy")
_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
_NEW_KEY = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


def check_settings(**_: Any) -> list[CheckMessage]:
    """Check everything that can be checked without sending anything to an upstream."""
    return [*_names(), *_seconds(), *_keys(), *_upstreams(), *_admins(), *_libraries(), *_tenants()]


def check_keys(**_: Any) -> list[CheckMessage]:
    """Warn, at deployment, that tokens can't be decrypted any more once SECRET_KEY is lost."""
    if configured_keys():
        return []
    hint = f"Set it to a list of keys, the first of which encrypts, and log in again. Create a key with: {_NEW_KEY}"
    text = "JWT_UPSTREAM_ENCRYPTION_KEYS is not set: tokens are encrypted with a key derived from SECRET_KEY."
    return [Warning(text, hint=hint, id="jwt_upstream.W003")]


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


def _names() -> Iterator[CheckMessage]:
    for name in dir(settings):
        if name.startswith("JWT_UPSTREAM") and name not in DEFAULTS:
            hint = f"Remove it or correct the name; the settings are {', '.join(DEFAULTS)}."
            yield Error(f"Unknown setting {name}.", hint=hint, id="jwt_upstream.E007")


def _seconds() -> Iterator[CheckMessage]:
    for name in DEFAULTS:
        value = getattr(settings, name, DEFAULTS[name])
        if name.endswith("_SECONDS") and not _is_seconds(value):
            hint = f"Set it to a number that is not negative, such as {DEFAULTS[name]:g}."
            yield Error(f"{name} must be a number of seconds, not {value!r}.", hint=hint, id="jwt_upstream.E008")


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _keys() -> Iterator[CheckMessage]:
    keys = configured_keys()
    if not isinstance(keys, list | tuple) or not all(isinstance(key, str | bytes) for key in keys):
        hint = 'Write ["…"], or read the environment variable with env.list().'
        yield Error("JWT_UPSTREAM_ENCRYPTION_KEYS must be a list of keys.", hint=hint, id="jwt_upstream.E006")
        return
    for number, key in enumerate(keys, start=1):
        try:
            Fernet(key)
        except ValueError:
            text = (
                f"JWT_UPSTREAM_ENCRYPTION_KEYS: key {number} is not a valid Fernet key (32 bytes in URL-safe base64)."
            )
            yield Error(text, hint=f"Create a key with: {_NEW_KEY}", id="jwt_upstream.E006")


def _upstreams() -> Iterator[CheckMessage]:
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
    for key in [key for key in written if key not in KEYS]:
        hint = f"Remove it or correct the name; the keys are {', '.join(KEYS)}."
        yield Error(f"{where} has an unknown key {key!r}.", hint=hint, id="jwt_upstream.E002")
    problems = list(_url(where, written.get("BASE_URL")))
    yield from problems
    if any(problem.is_serious() for problem in problems):
        return
    try:
        backend = make_backend(alias, written)
    except UpstreamNotConfigured as error:
        hint = "BACKEND is the path of a class, such as jwt_upstream.backends.LexikBackend, and LOGIN a dict."
        yield Error(f"{error}.", hint=hint, id="jwt_upstream.E004")
    else:
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
    return url.scheme == "http" and not settings.DEBUG and url.host not in _LOOPBACK


def _backend(where: str, backend: Backend) -> Iterator[CheckMessage]:
    problems = list(backend.check())
    for problem in problems:
        hint = "Fix LOGIN." if problem.startswith("LOGIN ") else "Fix OPTIONS."
        yield Error(f"{where}: {problem}.", hint=hint, id="jwt_upstream.E005")
    if not problems:
        yield from _token_requests(where, backend)
    lease = getattr(settings, "JWT_UPSTREAM_LEASE_SECONDS", DEFAULTS["JWT_UPSTREAM_LEASE_SECONDS"])
    if not problems and _is_seconds(lease) and backend.deadline * 2 > lease:
        text = f"{where}: JWT_UPSTREAM_LEASE_SECONDS must be at least twice the deadline of {backend.deadline:g} s."
        hint = "Otherwise the lease could expire during a refresh, and two workers could refresh at once."
        yield Error(text, hint=hint, id="jwt_upstream.E009")


def _token_requests(where: str, backend: Backend) -> Iterator[CheckMessage]:
    for name in backend.missing():
        text = f"{where}: {name} is missing; logins and refreshes need it."
        yield Error(text, hint=f"Set OPTIONS[{name!r}].", id="jwt_upstream.E010")
    for name in ("login_path", "refresh_path"):
        address = origin(backend.url(getattr(backend, name)))
        if address != backend.origin and _is_unencrypted(address):
            text = f"{where}: {name} is http://, so passwords and tokens are sent unencrypted."
            yield Warning(text, hint="Use https://.", id="jwt_upstream.W001")


def _admins() -> Iterator[CheckMessage]:
    if conf.upstreams and not settings.ADMINS:
        text = "ADMINS is empty, so no one is told when a credential is rejected or an account is locked."
        yield Warning(text, hint="Set ADMINS and the mail settings.", id="jwt_upstream.W002")


def _libraries() -> Iterator[CheckMessage]:
    if hasattr(urllib3, "ConnectionInfo"):
        text = "urllib3-future is installed in the place of urllib3: the deadline of logins and refreshes is not kept."
        hint = (
            "Uninstall urllib3-future, then reinstall urllib3. niquests can be installed beside it: "
            "URLLIB3_NO_OVERRIDE=1 pip install niquests --no-binary urllib3-future"
        )
        yield Error(text, hint=hint, id="jwt_upstream.E011")
    name, version = next(filter(None, map(_installed, _BROTLI)), ("", "1.2"))
    if [int(number) for number in re.findall(r"\d+", version)[:2]] < [1, 2]:
        text = f"{name} {version} is installed: a small compressed answer of an upstream can fill the memory."
        yield Warning(text, hint="Install Brotli 1.2 (brotlicffi 1.2) or later, or none.", id="jwt_upstream.W004")


def _installed(name: str) -> tuple[str, str] | None:
    try:
        return name, metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _tenants() -> Iterator[CheckMessage]:
    # Our own connections look at the schema that their caller's looks at, by the methods of django-tenants.
    for alias in connections:
        connection = connections[alias]
        has_setters = hasattr(connection, "set_schema") and hasattr(connection, "set_tenant")
        if hasattr(connection, "schema_name") and not has_setters:
            text = f"DATABASES[{alias!r}] has a schema for each tenant, but no set_schema() and set_tenant()."
            hint = "Use django-tenants, or put jwt_upstream into the shared apps."
            yield Error(text, hint=hint, id="jwt_upstream.E012")
