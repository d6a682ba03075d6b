"""Many accounts at one upstream, called from async code."""

from __future__ import annotations

from asgiref.sync import async_to_sync

from project.demo import branches
from project.demo.sample import Sample
from project.demo.terminal import expect, say

_CALLS = 2


def call_all(sample: Sample) -> None:
    """Twelve more accounts, called at once from async code."""
    branches.log_in()
    say('await asyncio.gather(*(UpstreamClient("sample", branch).aget("orders/") for branch in branches))')
    sample.throw("expire")
    before = sample.counts()
    answers = async_to_sync(branches.call)(times=_CALLS)
    expect("calls that succeeded", answers.count("200"), _CALLS * len(branches.names()))
    expect("refreshes, one for each account", sample.counted_since(before)["refreshes"], len(branches.names()))
