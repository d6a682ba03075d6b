"""An upstream that gives tokens only to a person who logs in and consents on a page of its own."""

from __future__ import annotations

import requests
from django.conf import settings

from jwt_upstream.client import UpstreamClient
from project.demo.sample import Sample
from project.demo.terminal import NotAsTold, expect, manage, say

ACCOUNT = "ida"


def log_in_by_browser(sample: Sample) -> None:
    """A person logs in by browser, on the upstream's own page."""
    pending = ("--account", ACCOUNT, "--browser", "--pending-file", str(settings.DEMO_FOLDER / "login"))
    ran = manage("upstream_login", "partner", *pending, "--print-url")
    expect("exit code", ran.returncode, 0)
    say("The story takes the part of the person: opens that page, types the password, presses Allow …")
    redirected = _consent(ran.stdout.strip())
    ran = manage("upstream_login", "partner", *pending, "--redirected-url", "-", stdin=redirected)
    expect("exit code", ran.returncode, 0)
    sample.throw("expire")
    before = sample.counts()
    expect("answer to a call", UpstreamClient("partner", ACCOUNT).get("orders/").status_code, 200)
    expect("refreshes that it took", sample.counted_since(before)["refreshes"], 1)


def _consent(url: str) -> str:
    requests.get(url, timeout=10).raise_for_status()
    form = {"username": settings.SAMPLE_UPSTREAM_USERNAME, "password": settings.SAMPLE_UPSTREAM_PASSWORD}
    answer = requests.post(url, form, timeout=10, allow_redirects=False)
    if answer.status_code != 302:
        raise NotAsTold(f"the upstream's page should have led back, and answered {answer.status_code}")
    return answer.headers["Location"]
