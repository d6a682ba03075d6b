"""Many processes and threads at the same credential, against a real upstream with reuse detection."""

from __future__ import annotations

from jwt_upstream.client import UpstreamClient
from jwt_upstream.models import Credential
from tests import workers
from tests.upstream import Upstream


def test_herd_of_processes_and_threads(client: UpstreamClient, upstream: Upstream) -> None:
    """8 processes × 4 threads with an expired token make one refresh, and every call succeeds."""
    upstream.expire()
    upstream.refresh_delay = 1.0
    results = workers.together(*(workers.start("calls", threads=4) for _ in range(8)))
    assert [outcome for result in results for outcome, _ in result] == [200] * 32
    assert (upstream.refreshes, upstream.reuses) == (1, 0)
    assert Credential.objects.get().generation == 2
