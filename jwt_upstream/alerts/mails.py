"""The notifier that mails, text and HTML by templates that projects may override, to ADMINS or an upstream's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core import mail as django_mail
from django.core.mail import EmailMultiAlternatives
from django.template import Context, Engine, TemplateDoesNotExist
from django.template.loader import render_to_string

from jwt_upstream.backends import written_settings
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamNotConfigured

from .messages import Alert

_TEMPLATES = Path(__file__).parents[1] / "templates"


def mail(alert: Alert) -> None:
    """Mail an alert to the upstream's NOTIFY, or else to ADMINS; to nobody if there is neither.

    Gives up after JWT_UPSTREAM_NOTIFIER_SECONDS if the mail settings have no timeout. Raises what the backend raises.
    """
    if not (recipients := _recipients(alert.upstream)):
        return
    subject = f"{settings.EMAIL_SUBJECT_PREFIX}jwt_upstream: {alert.subject}"
    text, html = (_rendered(f"jwt_upstream/mail/alert.{kind}", alert) for kind in ("txt", "html"))
    message = EmailMultiAlternatives(subject, text, settings.SERVER_EMAIL, recipients)
    message.attach_alternative(html, "text/html")
    _mailer().send_messages([message])


def _recipients(upstream: str) -> list[str]:
    try:
        own: list[str] = list(written_settings(upstream).get("NOTIFY") or [])
    except UpstreamNotConfigured:  # of a test message, or of what is no longer configured
        own = []
    # Django 6.0 deprecates the pairs that 5.2 wants.
    return own or [each if isinstance(each, str) else each[1] for each in settings.ADMINS]


def _mailer() -> Any:
    # Django 6.1 deprecates get_connection().
    mailer: Any = django_mail.mailers.default if django.VERSION >= (6, 1) else django_mail.get_connection()
    if getattr(mailer, "timeout", 0) is None:  # of Django's SMTP backend, which would wait for ever
        mailer.timeout = conf.notifier_seconds
    return mailer


def _rendered(template: str, alert: Alert) -> str:
    context = {"alert": alert}
    try:
        return render_to_string(template, context).strip() + "\n"
    except TemplateDoesNotExist:  # the project's TEMPLATES don't look into apps, or it has none
        engine = Engine(dirs=[str(_TEMPLATES)], libraries={"i18n": "django.templatetags.i18n"})
        return engine.render_to_string(template, Context(context)).strip() + "\n"
