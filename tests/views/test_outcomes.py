"""Which HTTP status an error is answered by; the table of docs/reference/errors.rst is made of it."""

from __future__ import annotations

import pytest
import requests

from jwt_upstream import exceptions
from jwt_upstream.exceptions import CredentialRejected, RefreshUnavailable, UpstreamError, UpstreamMisconfigured
from jwt_upstream.views.outcomes import retry_after, status

#: The classes that are raised themselves, the leaves of the tree and what may be both.
RAISED = set(exceptions.__all__) - {"UpstreamError", "CredentialError"}
#: Those that are not answered by 503: somebody else's mistake, or ours.
OTHERS = {
    "UpstreamMisconfigured": 502,
    "AccountMisconfigured": 502,
    "BodyNotReplayable": None,
    "ForeignOrigin": None,
    "UpstreamNotConfigured": None,
}


def test_errors_of_ours() -> None:
    """Whatever may be over in a while is answered by 503, and a mistake in the code by nothing of ours."""
    answered = {name: status(getattr(exceptions, name)("no")) for name in RAISED}
    assert answered == dict.fromkeys(RAISED, 503) | OTHERS


@pytest.mark.parametrize(
    ("error", "answered"),
    [
        (UpstreamError("a project's own"), 502),
        (requests.ReadTimeout(), 504),
        (requests.ConnectTimeout(), 504),
        (requests.ConnectionError(), 502),
        (requests.HTTPError(), 502),
        (ValueError(), None),
    ],
    ids=repr,
)
def test_other_errors(error: Exception, answered: int | None) -> None:
    """Errors of requests are those of a gateway; what is none of the network's has no answer."""
    assert status(error) == answered


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (RefreshUnavailable("no", retry_after=4.2), 5),
        (RefreshUnavailable("no", retry_after=0.0), 1),
        (RefreshUnavailable("no"), None),
        (CredentialRejected("no"), None),
        (UpstreamMisconfigured("no", retry_after=4.2), None),
        (requests.ReadTimeout(), None),
    ],
)
def test_retry_after(error: Exception, seconds: int | None) -> None:
    """Whoever may try again is told when, in whole seconds and not at once; a 502 has no such header."""
    assert retry_after(error) == seconds
