"""The notifier that posts JSON, signed, to a URL of the project's choice."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import asdict
from typing import Any

import requests
from django.core.serializers.json import DjangoJSONEncoder

from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamNotConfigured
from jwt_upstream.languages import for_programs

from .messages import Alert


@for_programs
def webhook(alert: Alert) -> None:
    """Post an alert as JSON to JWT_UPSTREAM_WEBHOOK_URL, signed with JWT_UPSTREAM_WEBHOOK_SECRET.

    ``X-Upstream-Signature`` is the HMAC-SHA256, in hex, of ``X-Upstream-Timestamp`` (epoch seconds), a full stop and
    the body. Its texts are English whatever LANGUAGE_CODE is. Follows no redirect; raises whatever requests raises,
    for any answer but a 2xx as well.
    """
    if not conf.webhook_url or not conf.webhook_secret:
        raise UpstreamNotConfigured("JWT_UPSTREAM_WEBHOOK_URL and JWT_UPSTREAM_WEBHOOK_SECRET must be set")
    body, timestamp = json.dumps(_json(alert), cls=DjangoJSONEncoder).encode(), str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "X-Upstream-Timestamp": timestamp,
        "X-Upstream-Signature": signature(conf.webhook_secret, timestamp, body),
    }
    # The answer's body, which may be endless, is not read; a password for the host in .netrc is not sent.
    with (
        requests.Session() as session,
        session.post(
            conf.webhook_url,
            data=body,
            headers=headers,
            timeout=conf.notifier_seconds,
            allow_redirects=False,
            stream=True,
            auth=_no_password,
        ) as response,
    ):
        if not 200 <= response.status_code < 300:
            raise requests.HTTPError(response=response)


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a body that was sent at a time; the receiver computes it and compares."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _json(alert: Alert) -> dict[str, Any]:
    troubles = [{**asdict(each), "subject": each.subject, "sentence": each.sentence} for each in alert.troubles]
    return {**asdict(alert), "subject": alert.subject, "total": alert.total, "troubles": troubles}


def _no_password(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
