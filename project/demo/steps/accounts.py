"""Many accounts: at one server, called from async code, and customers with servers of their own."""

from __future__ import annotations

from asgiref.sync import async_to_sync

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import AccountMisconfigured
from project.demo import branches, tenants
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


def sign_up(sample: Sample) -> None:
    """A new customer, with a server of their own, is one row."""
    for name in tenants.names():
        say(f'UpstreamClient.register("tenants", "{name}", parameters={tenants.parameters(name)}, secrets={{…}})')
        response = tenants.sign_up(name).get("orders/")
        expect(f"answer of the server of {name}", response.status_code, 200)
    counts = [tenants.server(name).counts() for name in tenants.names()]
    expect("logins at each server", [each["logins"] for each in counts], [1] * len(counts))
    expect("calls that a server refused", sum(each["calls_refused"] for each in counts), 0)
    say("One who types more than a port gets no further:")
    typed = {"port": "8001@evil.example", "tenant": "initech"}
    try:
        UpstreamClient.register("tenants", "initech", parameters=typed, secrets={"login_password": "of initech"})
    except AccountMisconfigured as error:
        say(error.reason)
    expect("customers with a row", sorted(tenants.stored()), sorted(tenants.names()))
