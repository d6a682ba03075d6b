"""The webhook: signed JSON to a real server, whose answer says whether it was delivered."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from jwt_upstream.alerts import Alert, deliver, webhook
from jwt_upstream.models import Notice
from tests.alerts.conftest import Lock
from tests.support.upstream import Answer, Upstream


@pytest.fixture
def hook(upstream: Upstream, settings: Any) -> Upstream:
    """A server that takes webhooks, and is configured as the only notifier."""
    upstream.answers["/hook"] = Answer(204)
    settings.JWT_UPSTREAM_WEBHOOK_URL = f"{upstream.url}hook"
    settings.JWT_UPSTREAM_WEBHOOK_SECRET = "s3cret"
    settings.JWT_UPSTREAM_NOTIFIERS = ["jwt_upstream.alerts.webhook"]
    settings.JWT_UPSTREAM_SITE_URL = "https://ops.example.com"
    return upstream


def test_what_is_posted(hook: Upstream, lock: Lock) -> None:
    """The body says all that an alert does, and its signature is over the time and the body."""
    (row,) = lock("ann")
    assert deliver() == 1
    (seen,) = hook.seen
    timestamp = seen.headers["X-Upstream-Timestamp"]
    expected = hmac.new(b"s3cret", timestamp.encode() + b"." + seen.body, hashlib.sha256).hexdigest()
    assert seen.headers["X-Upstream-Signature"] == expected
    assert abs(time.time() - int(timestamp)) < 60
    posted = json.loads(seen.body)
    (trouble,) = posted["troubles"]
    assert (posted["kind"], posted["subject"], posted["total"]) == ("opened", "up/ann is locked", 1)
    assert (trouble["reason"], trouble["until"]) == ("HTTP 401: Account is disabled.", None)
    assert trouble["link"] == f"https://ops.example.com/admin/jwt_upstream/credential/{row.pk}/change/"
    assert "test-access" not in seen.body.decode()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(503), "HTTPError: HTTP 503"),
        (Answer(302, None, {"Location": "/elsewhere"}), "HTTPError: HTTP 302"),
        (None, "ConnectionError"),
    ],
)
def test_not_delivered(answer: Answer | None, error: str, hook: Upstream, lock: Lock, settings: Any) -> None:
    """Any answer but a 2xx, and none at all, counts as failed; a redirect is not followed."""
    if answer:
        hook.answers["/hook"] = answer
    else:
        settings.JWT_UPSTREAM_WEBHOOK_URL = "http://127.0.0.1:9/hook"
    lock("ann")
    assert deliver() == 0
    assert Notice.objects.get().error == error
    assert [seen.path for seen in hook.seen] == (["/hook"] if answer else [])


def test_password_of_netrc_is_not_sent(hook: Upstream, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What .netrc has for the host is not sent."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password hidden\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    webhook(Alert("", "test"))
    assert "Authorization" not in hook.seen[0].headers


@pytest.mark.parametrize("missing", ["URL", "SECRET"])
def test_not_configured(missing: str, hook: Upstream, settings: Any) -> None:
    """Without a URL or a secret nothing is posted."""
    setattr(settings, f"JWT_UPSTREAM_WEBHOOK_{missing}", "")
    with pytest.raises(ImproperlyConfigured):
        webhook(Alert("", "test"))
    assert hook.seen == []
