"""Whom incidents are told to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from inspect import isroutine
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.utils.module_loading import import_string
from urllib3.exceptions import LocationParseError

from jwt_upstream.backends.core import origin
from jwt_upstream.conf import DEFAULTS, conf
from jwt_upstream.formatting import sentence
from jwt_upstream.names import closest_name

from .values import is_number

#: The notifier that is there by default.
_MAIL = DEFAULTS["JWT_UPSTREAM_NOTIFIERS"][0]
#: A hundred years, which dates can be reckoned with.
_MOST_DAYS = 36_500
#: Our notifiers, all of which are in one module.
_OURS = ("mail", "webhook", "log")
#: Django's mail backends that send nothing.
_SENDS_NOTHING = {
    f"django.core.mail.backends.{name}.EmailBackend" for name in ("console", "dummy", "filebased", "locmem")
}


def check_site(**_: Any) -> list[CheckMessage]:
    """Warn, at deployment, that messages have no links."""
    if conf.site_url or not apps.is_installed("django.contrib.admin") or apps.is_installed("django.contrib.sites"):
        return []
    text = "JWT_UPSTREAM_SITE_URL is not set: messages about incidents say where to go, but have no link."
    hint = "Set it to where the admin is reached, such as https://ops.example.com."
    return [Warning(text, hint=hint, id="jwt_upstream.W007")]


def check_mail(**_: Any) -> list[CheckMessage]:
    """Warn, at deployment, that messages about incidents are mailed by a backend that sends nothing, or by none."""
    if settings.DEBUG or not conf.upstreams or _MAIL not in _notifiers():
        return []
    backend = _mail_backend()
    if backend is None:
        problem, hint = "MAILERS has no entry 'default'", "Add it"
    elif backend in _SENDS_NOTHING:
        problem, hint = f"{backend} sends nothing", "Set up a mail backend that sends"
    else:
        return []
    text = f"Messages about incidents are mailed, but {problem}, so no one is told."
    return [
        Warning(text, hint=f"{hint}, or have JWT_UPSTREAM_NOTIFIERS name another channel.", id="jwt_upstream.W011")
    ]


def _mail_backend() -> str | None:
    # Since Django 6.1, MAILERS takes the place of EMAIL_BACKEND, which then can't even be read.
    if not hasattr(settings, "MAILERS"):
        return str(settings.EMAIL_BACKEND)
    mailer = settings.MAILERS.get("default")
    return None if mailer is None else str(mailer.get("BACKEND", ""))  # which stands for SMTP


def _notifiers() -> Collection[str]:
    # What is no list of callables or paths is an error of its own.
    written = getattr(settings, "JWT_UPSTREAM_NOTIFIERS", DEFAULTS["JWT_UPSTREAM_NOTIFIERS"])
    return conf.notifiers if isinstance(written, list | tuple) else ()


def alerts() -> Iterator[CheckMessage]:
    """Yield the problems of the notifiers and of what they need."""
    notifiers = getattr(settings, "JWT_UPSTREAM_NOTIFIERS", DEFAULTS["JWT_UPSTREAM_NOTIFIERS"])
    is_list = isinstance(notifiers, list | tuple)
    problem = next(_notifier_problems(notifiers), "") if is_list else "must be a list"
    if problem:
        hint = f"List callables, or their dotted paths, such as {_MAIL}."
        yield Error(sentence(f"JWT_UPSTREAM_NOTIFIERS {problem}"), hint=hint, id="jwt_upstream.E013")
    else:
        yield from _deaf(conf.notifiers)
    yield from _site()
    yield from _webhook("" if problem else conf.notifiers)
    yield from _days("JWT_UPSTREAM_EXPIRY_WARNING_DAYS", "such as 14; 0 warns of nothing")
    if getattr(settings, "JWT_UPSTREAM_EVENT_DAYS", 0) is not None:
        yield from _days("JWT_UPSTREAM_EVENT_DAYS", "such as 90, or to None to keep all of the history")


def _days(name: str, example: str) -> Iterator[CheckMessage]:
    days = getattr(settings, name, 0)
    if not is_number(days, _MOST_DAYS):
        text = f"{name} must be a number of days, not {days!r}."
        yield Error(text, hint=f"Set it to a number from 0 to {_MOST_DAYS}, {example}.", id="jwt_upstream.E017")


def _notifier_problems(notifiers: Any) -> Iterator[str]:
    for each in notifiers:
        try:
            notifier = import_string(each) if isinstance(each, str) else each
        except ImportError as error:
            yield f"has {each!r}, which can't be imported: {error}{_meant(each)}"
        else:
            if not callable(notifier):
                yield f"has {each!r}, which is not callable"
    if len(conf.notifiers) < len(notifiers):
        yield "has two of the same name"


def _meant(path: str) -> str:
    module, _, name = path.rpartition(".")
    try:
        found = vars(import_module(module))
    except (ImportError, ValueError):
        found = {}
    closest = closest_name(name, (each for each, value in found.items() if isroutine(value)))
    if not closest and (not module or closest_name(module.partition(".")[0], ["jwt_upstream"])):
        module, closest = "jwt_upstream.alerts", closest_name(name, _OURS)
    return f"; did you mean '{module}.{closest}'?" if closest else ""


def _deaf(notifiers: Collection[str]) -> Iterator[CheckMessage]:
    if not conf.upstreams:
        return
    if not notifiers:
        text = "JWT_UPSTREAM_NOTIFIERS is empty, so no one is told when an account is rejected or locked."
        yield Warning(text, hint="Leave it out to mail ADMINS.", id="jwt_upstream.W006")
    elif _MAIL in notifiers and not settings.ADMINS and not _all_have_recipients():
        text = "ADMINS is empty, so no one is told when a credential is rejected or an account is locked."
        yield Warning(text, hint="Set ADMINS and the mail settings.", id="jwt_upstream.W002")


def _all_have_recipients() -> bool:
    upstreams = conf.upstreams.values() if isinstance(conf.upstreams, Mapping) else [None]
    return all(isinstance(written, Mapping) and written.get("NOTIFY") for written in upstreams)


def _site() -> Iterator[CheckMessage]:
    if conf.site_url and not _is_web_address(conf.site_url):
        hint = "Set it to where the admin is reached, such as https://ops.example.com."
        yield Error("JWT_UPSTREAM_SITE_URL must be an http:// or https:// URL.", hint=hint, id="jwt_upstream.E014")


def _webhook(notifiers: Collection[str]) -> Iterator[CheckMessage]:
    if "jwt_upstream.alerts.webhook" not in notifiers and not conf.webhook_url:
        return
    # Neither is shown: a URL may be as secret as the secret.
    if not _is_web_address(conf.webhook_url) or not conf.webhook_secret:
        text = "JWT_UPSTREAM_WEBHOOK_URL must be an http:// or https:// URL, and JWT_UPSTREAM_WEBHOOK_SECRET be set."
        hint = 'Create a secret with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
        yield Error(text, hint=hint, id="jwt_upstream.E015")


def _is_web_address(url: str) -> bool:
    try:
        parsed = origin(url)
    except LocationParseError:
        return False
    return parsed.scheme in {"http", "https"} and bool(parsed.host)
