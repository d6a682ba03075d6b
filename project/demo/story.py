"""The story: real calls to a real upstream, each step checked against the upstream's own counts."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings

from jwt_upstream.client import UpstreamClient
from project.demo import branches, tenants
from project.demo.sample import PORT, Sample
from project.demo.steps import accounts, consent, tokens, trouble
from project.demo.terminal import NotAsTold, coloured, heading, say

#: In the order in which they are told; a step is a function, and its docstring the heading.
STEPS: tuple[Callable[[Sample], None], ...] = (
    tokens.log_in,
    tokens.call,
    tokens.expiry,
    tokens.herd,
    tokens.rollback,
    consent.log_in_by_browser,
    accounts.call_all,
    accounts.sign_up,
    trouble.outage,
    trouble.lock,
    trouble.log_in_again,
)


def tell(sample: Sample) -> bool:
    """Tell it; return whether every step came out as told."""
    print(coloured("django-jwt-upstream, told by real calls", "bold"))
    say(f"The upstream: djangorestframework-simplejwt at {sample.url}, a process of its own.")
    if not sample.url.startswith(f"http://127.0.0.1:{PORT}/"):
        say(f"(Port {PORT} is busy, so it took another one.)")
    say("Its access tokens live for 5 seconds, its refresh tokens can be used once.")
    try:
        for number, step in enumerate(STEPS, start=1):
            heading(number, str(step.__doc__).rstrip("."))
            step(sample)
    except NotAsTold as error:
        return _failed(str(error))
    except Exception as error:  # whatever it is, the step in which it happened is what a reader needs
        return _failed(f"step {number} ended with {type(error).__name__}: {error}")
    print(coloured("\nEvery step came out as told.", "bold"))
    return True


def _failed(text: str) -> bool:
    print(f"   {coloured('✗', 'red')} {text}", flush=True)
    return False


def skip() -> None:
    """Log in whom the story logs in by password, so that the page has something to show."""
    username, password = settings.SAMPLE_UPSTREAM_USERNAME, settings.SAMPLE_UPSTREAM_PASSWORD
    UpstreamClient("sample").login(username=username, password=password, by="the demo")
    branches.log_in()
    for name in tenants.names()[:1]:  # the page has a button for the next
        tenants.sign_up(name)
