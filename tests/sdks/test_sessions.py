"""SDKs that take a requests.Session: with ours a call works whose token has expired."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sdks.answers import WORKBOOKS, dav, soap
from tests.sdks.conftest import Api, Authority

XML = {"Content-Type": "text/xml"}
REPLACED = {"caller_authorization": "replace"}


def test_gitlab(api: Api, settings: Any) -> None:
    """python-gitlab lists projects."""
    api.answer("/api/v4/projects", [{"id": 1, "name": "crm"}])
    api.configure(settings, "gitlab", "https://gitlab.example.com")
    results = api.run("python-gitlab")
    assert [[project.name for project in projects] for projects in results] == [["crm"]] * 2
    assert api.run_rejected() == "CredentialRejected"


def test_zeep(api: Api, settings: Any) -> None:
    """zeep reads the WSDL and calls."""
    api.answer("/service", soap, XML)
    api.configure(settings, "stock", "https://stock.example.com")
    assert api.run("zeep") == [7, 7]
    assert api.run_rejected() == "CredentialRejected"


def test_jira(api: Api, settings: Any) -> None:
    """jira finds an issue."""
    api.answer("/rest/api/2/issue/CRM-1", {"id": "1", "key": "CRM-1", "fields": {}})
    api.configure(settings, "jira", "https://jira.example.com")
    found = api.run("jira")
    assert [issue.key for issue in found] == ["CRM-1", "CRM-1"]
    assert api.run_rejected() == "CredentialRejected"


def test_caldav(api: Api, settings: Any) -> None:
    """caldav lists calendars."""
    for path in ("/dav/", "/dav/bob/"):
        api.answer(path, dav, XML)
    api.configure(settings, "calendar", "https://calendar.example.com")
    found = api.run("caldav")
    assert [[calendar.url.path for calendar in calendars] for calendars in found] == [["/dav/bob/work/"]] * 2
    assert api.run_rejected() == "CredentialRejected"


def test_elasticsearch(api: Api, settings: Any) -> None:
    """elasticsearch searches."""
    body = {"took": 1, "timed_out": False, "hits": {"total": {"value": 3, "relation": "eq"}, "hits": []}}
    api.answer("/orders/_search", body, {"X-Elastic-Product": "Elasticsearch"})
    api.configure(settings, "search", "https://search.example.com:9200")
    found = api.run("elasticsearch")
    assert [each["hits"]["total"]["value"] for each in found] == [3, 3]
    assert api.run_rejected() == "ConnectionError"


def test_pynetbox(api: Api, settings: Any) -> None:
    """pynetbox lists devices."""
    body = {"count": 1, "next": None, "previous": None, "results": [{"id": 1, "name": "r1"}]}
    api.answer("/api/dcim/devices/", body)
    api.configure(settings, "netbox", "https://netbox.example.com")
    found = api.run("pynetbox")
    assert [[device.name for device in devices] for devices in found] == [["r1"], ["r1"]]
    assert api.run_rejected() == "CredentialRejected"


@pytest.fixture
def github_of_its_own() -> Iterator[None]:
    """What the page's lines inject into PyGithub is for the whole process."""
    yield
    pytest.importorskip("github.Requester").Requester.resetConnectionClasses()


@pytest.mark.usefixtures("github_of_its_own")
def test_github(api: Api, settings: Any, tmp_path: Path) -> None:
    """PyGithub finds a user, and uploads an asset to another host."""
    api.answer("/users/octocat", {"login": "octocat", "name": "Mona"})
    elsewhere = "https://uploads.github.com"
    api.configure(settings, "github", "https://api.github.com", origins=[elsewhere])
    found = api.run("PyGithub")
    assert [user.name for user in found] == ["Mona", "Mona"]
    (tmp_path / "asset.txt").write_text("body")
    api.answer("/repos/a/b/releases/1", {"id": 1, "upload_url": f"{elsewhere}/upload{{?name,label}}"})
    api.answer("/repos/a/b", {"url": "https://api.github.com/repos/a/b"})
    api.answer("/upload", lambda seen: {"id": 5, "name": seen.body.decode()})
    release = api.lines.names["github"].get_repo("a/b").get_release(1)
    api.server.expire()
    assert release.upload_asset(str(tmp_path / "asset.txt")).name == "body"
    assert api.server.seen[-1].headers["Host"] == "uploads.github.com"
    assert api.run_rejected() == "CredentialRejected"


def test_stripe(api: Api, settings: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """stripe retrieves a customer."""
    stripe = pytest.importorskip("stripe")
    monkeypatch.setattr(stripe, "ca_bundle_path", authority.bundle)  # it comes with certificates of its own
    api.answer("/v1/customers/cus_1", {"id": "cus_1", "object": "customer", "name": "Ann"})
    api.configure(settings, "stripe", "https://api.stripe.com", **REPLACED)
    found = api.run("stripe")
    assert [customer.name for customer in found] == ["Ann", "Ann"]
    assert api.run_rejected() == "APIConnectionError"


def test_salesforce(api: Api, settings: Any) -> None:
    """simple-salesforce queries."""
    api.answer("/services/data/v59.0/query/", {"totalSize": 1, "done": True, "records": [{"Id": "001"}]})
    api.configure(settings, "salesforce", "https://acme.my.salesforce.com", **REPLACED)
    found = api.run("simple-salesforce")
    assert [each["records"] for each in found] == [[{"Id": "001"}]] * 2
    assert api.run_rejected() == "CredentialRejected"


def test_office365(api: Api, settings: Any) -> None:
    """Office365-REST-Python-Client reads a site."""
    api.answer("/sites/crm/_api/Web", {"d": {"Title": "CRM"}})
    api.configure(settings, "sharepoint", "https://acme.sharepoint.com", **REPLACED)
    found = api.run("Office365-REST-Python-Client")
    assert found == ["CRM", "CRM"]
    assert api.run_rejected() == "CredentialRejected"


def test_tableau(api: Api, settings: Any) -> None:
    """tableauserverclient lists workbooks."""
    api.answer("/api/2.4/sites/9a8b7c6d/workbooks", WORKBOOKS, XML, header="X-Tableau-Auth")
    options = {"api_headers": {"X-Tableau-Auth": "{access}"}, **REPLACED}
    api.configure(settings, "tableau", "https://tableau.example.com", **options)
    found = api.run("tableauserverclient")
    assert [[workbook.name for workbook in workbooks] for workbooks in found] == [["Orders"], ["Orders"]]
    assert api.run_rejected() == "CredentialRejected"
