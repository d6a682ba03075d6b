"""What newcomers ask, in the words that they search for, and the pages of which one must be among the first found."""

from __future__ import annotations

from collections.abc import Iterator

from . import search

#: So many results are looked at before a reader tries other words.
FIRST = 5
#: Each search with the pages that answer it.
SEARCHES = {
    "install": ["howto/installing"],
    "Fernet key": ["howto/operating", "howto/rotate_keys", "howto/secret_key"],
    "check ids": ["reference/system_checks"],
    "jwt_upstream.E005": ["reference/system_checks"],
    "options": ["reference/options"],
    "refresh_leeway": ["reference/options"],
    "JWT_UPSTREAM_CACHE_SECONDS": ["reference/settings"],
    "signals": ["reference/signals"],
    "errors in views": ["howto/error_pages"],
    "REST framework": ["howto/rest_framework"],
    "DRF": ["howto/rest_framework"],
    "Celery": ["howto/celery"],
    "timer": ["howto/timers"],
    "cron": ["howto/timers"],
    "systemd": ["howto/timers"],
    "Kubernetes": ["howto/timers"],
    "rotate keys": ["howto/rotate_keys"],
    "SECRET_KEY": ["howto/secret_key"],
    "history grows": ["howto/databases", "howto/background"],
    "prune": ["howto/background", "reference/commands"],
    "links in mails": ["howto/notifiers", "howto/troubleshooting"],
    "recipients": ["howto/notifiers", "howto/slack_and_sentry"],
    "test mail": ["howto/notifiers", "howto/troubleshooting"],
    "metrics": ["reference/monitoring"],
    "Prometheus": ["reference/monitoring"],
    "Sentry": ["howto/slack_and_sentry"],
    "health": ["reference/monitoring"],
    "permissions": ["reference/database", "reference/admin"],
    "who may press buttons": ["reference/admin"],
    "USE_TZ": ["howto/databases"],
    "PgBouncer": ["howto/databases", "howto/runbook", "howto/servers"],
    "gevent": ["howto/servers"],
    "uWSGI": ["howto/servers"],
    "gunicorn": ["howto/servers"],
    "FakeUpstream locked": ["howto/testing"],
    "testing locked and rejected": ["howto/testing"],
    "fake server for tests": ["howto/testing"],
    "test rejected": ["howto/testing"],
    "report vulnerability": ["explanation/security"],
    "security contact": ["explanation/security"],
    "threat model": ["explanation/security"],
    "upgrade": ["howto/runbook", "reference/versions"],
    "tenant": ["howto/tenants"],
    "adopt tokens": ["howto/operating", "reference/client"],
    "multi-tenant": ["howto/tenants"],
    "several accounts": ["howto/several_accounts"],
    "async": ["howto/async_views", "howto/httpx"],
    "Channels": ["howto/async_views"],
    "Ninja": ["howto/ninja"],
    "client certificate": ["howto/proxies"],
    "generated client": ["howto/sdks"],
    "proxy": ["howto/proxies"],
    "migrate from requests-oauthlib": ["howto/migrating"],
    "alternatives": ["explanation/alternatives"],
    "requests-oauthlib": ["explanation/alternatives"],
    "Authlib": ["explanation/alternatives"],
    "MySQL": ["howto/databases"],
    "log format": ["reference/monitoring"],
    "status JSON": ["reference/commands"],
    "database is locked": ["howto/databases", "howto/troubleshooting"],
    "exit codes": ["reference/commands"],
}


def unanswered() -> Iterator[str]:
    """Yield the searches that don't find their page among the first results."""
    for query, pages in SEARCHES.items():
        yield from (f"{page}, for {query!r}, is no page" for page in pages if page not in search.pages())
        found = search.found(query)[:FIRST]
        if not set(found) & set(pages):
            yield f"a search for {query!r} finds {found}, and not {' or '.join(pages)}"


if __name__ == "__main__":
    raise SystemExit("\n".join(unanswered()) or None)
