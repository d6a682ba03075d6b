"""The cast: which upstreams there are, how they behave, and the accounts at each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PASSWORD = "correct horse"
CLIENT_SECRET = "a client's secret"


@dataclass(frozen=True)
class Site:
    """An upstream: its tokens end after ``lasts`` seconds, which it says or not.

    A refresh token that is used twice revokes everything if ``rotates`` is set, else it stays good. Where there is
    ``one_user``, all accounts log in as that one, which LOGIN in settings names, or which is the client itself.
    """

    alias: str
    accounts: int
    lasts: float
    says_expiry: bool = False
    rotates: bool = True
    one_user: str = ""
    is_machine: bool = False

    @property
    def names(self) -> list[str]:
        """The names of its accounts."""
        return [f"{self.alias}{number}" for number in range(self.accounts)]

    def user(self, account: str) -> str:
        """Return the user that an account logs in as."""
        return self.one_user or account

    def credentials(self, account: str) -> dict[str, str]:
        """Return what an account logs in with."""
        return {} if self.is_machine else {"username": self.user(account), "password": PASSWORD}

    def settings(self, server: str) -> dict[str, Any]:
        """Return its entry in JWT_UPSTREAM."""
        # Short, so that whatever has failed works again soon after the last fault.
        options: dict[str, Any] = {"backoff_max": 6.0, "min_refresh_interval": 4.0, "timeout": (3.0, 5.0)}
        told: dict[str, Any] = {"BACKEND": "tests.chaos.backends.LoggedBackend", "BASE_URL": f"{server}{self.alias}/"}
        if self.is_machine:
            told["BACKEND"] = "tests.chaos.backends.LoggedClientCredentials"
            options |= {"client_id": self.alias, "client_secret": CLIENT_SECRET}
        else:
            options["refresh_fields"] = {"refresh": "{refresh}"}
        if self.one_user and not self.is_machine:
            told["LOGIN"] = self.credentials("")
        return {**told, "OPTIONS": options}


SITES = (
    Site("rotating", 12, lasts=10),
    Site("stated", 8, lasts=14, says_expiry=True),
    Site("lenient", 8, lasts=12, rotates=False),
    Site("machine", 4, lasts=16, says_expiry=True, one_user="machine", is_machine=True),
    Site("robot", 8, lasts=12, one_user="robot"),
)
BY_ALIAS = {site.alias: site for site in SITES}


def everybody() -> list[tuple[str, str]]:
    """Return every (alias, account)."""
    return [(site.alias, account) for site in SITES for account in site.names]


def upstream_settings(server: str) -> dict[str, Any]:
    """Return JWT_UPSTREAM."""
    return {site.alias: site.settings(server) for site in SITES}
