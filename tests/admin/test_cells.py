"""What single cells of the admin's pages show: states and tokens."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from jwt_upstream.tokens import fingerprint
from tests.support.admin_pages import LIST, own_page, page
from tests.support.rows import put


@pytest.mark.parametrize(
    ("columns", "badge"),
    [
        ({}, 'good">active'),
        ({"failures": 1}, 'doubtful">degraded'),
        ({"failures": 1, "access_expires_at": timezone.now()}, 'bad">failing'),
        ({"state": "logged_out"}, 'off">logged out'),
        ({"state": "rejected"}, 'bad">rejected'),
        ({"state": "locked"}, 'bad">locked'),
        ({"state": "unreadable"}, 'bad">unreadable'),
    ],
)
def test_badges(browser: Client, columns: Any, badge: str) -> None:
    """The state is seen at a glance, in the list and on the credential's own page."""
    credential = put("crm", **columns)
    for url in (LIST, own_page(credential)):
        assert f'<span class="jwt-upstream-badge jwt-upstream-{badge}</span>' in page(browser, url)


def test_tokens_are_never_shown(browser: Client) -> None:
    """A credential's page shows fingerprints and lifetimes, never a token or its ciphertext."""
    credential = put("crm", refresh_expires_at=None)
    html = page(browser, own_page(credential))
    assert "test-access" not in html
    assert "test-refresh" not in html
    assert credential.access_token.ciphertext not in html
    assert f"fingerprint {fingerprint('test-access')}, expires <time" in html
    assert f"fingerprint {fingerprint('test-refresh')}, unknown expiry" in html


def test_token_of_another_credential(browser: Client) -> None:
    """A token that somebody has copied from another row is not shown as this one's."""
    other = put("crm", "ann")
    credential = put("crm", access_token=other.access_token)
    assert "stored for another credential, and copied here" in page(browser, own_page(credential))
