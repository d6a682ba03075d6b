"""All that is checked whenever a project starts, and what each id means; the reference is made of this list.

E001: JWT_UPSTREAM is not a dict, or an alias is not 1 to 100 printable characters.
E002: The settings of an upstream are not a dict, or have an unknown key.
E003: BASE_URL is not an http:// or https:// URL, or has a user, a password, a query or a fragment.
E004: BACKEND is no class of a backend, or LOGIN is not a dict.
E005: OPTIONS or LOGIN have an unknown option, or a value that it can't have.
E006: JWT_UPSTREAM_ENCRYPTION_KEYS is not a list of Fernet keys.
E007: A setting that begins with JWT_UPSTREAM is none.
E008: A number of seconds or threads is none, or more than thirty years, or a switch is neither True nor False.
E009: JWT_UPSTREAM_LEASE_SECONDS is less than twice the deadline of an upstream.
E010: An option that logins and refreshes need is missing.
E011: urllib3-future is installed in the place of urllib3.
E012: An engine has a schema for each tenant, but no set_schema() and set_tenant().
E013: JWT_UPSTREAM_NOTIFIERS is not a list of callables, or their paths.
E014: JWT_UPSTREAM_SITE_URL is not a URL.
E015: The webhook has no URL or no secret.
E016: NOTIFY is not a list of mail addresses.
E017: A number of days is none, or more than a hundred years.
E018: JWT_UPSTREAM_METRICS names what there isn't, or what is not installed.
E019: SHARED_APPS and TENANT_APPS of django-tenants both lack jwt_upstream.
W001: Passwords and tokens are sent by http://, without DEBUG and to another machine.
W002: ADMINS is empty, and not every upstream has NOTIFY.
W003: With --deploy: there are no JWT_UPSTREAM_ENCRYPTION_KEYS, so keys are derived from SECRET_KEY.
W004: Brotli is older than 1.2.
W005: With --deploy: the certificate of an upstream is not verified.
W006: JWT_UPSTREAM_NOTIFIERS is empty.
W007: With --deploy: there is no JWT_UPSTREAM_SITE_URL, so messages have no links.
W008: A secret can't be read, a key in a file can't sign, or the file of a certificate is missing.
W009: With --database default: the database lacks migrations.
W010: An upstream has no BACKEND.
W011: With --deploy: messages are mailed by a backend that sends nothing (console, dummy, file, memory).
W012: SHARED_APPS and TENANT_APPS both have jwt_upstream.
"""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage

from jwt_upstream.tracebacks import without_variables

from .alerts import alerts
from .keys import keys
from .libraries import libraries
from .tenants import tenants
from .upstreams import upstreams
from .values import values


@without_variables
def check_settings(**_: Any) -> list[CheckMessage]:
    """Check everything that can be checked without sending anything to an upstream."""
    return [*values(), *keys(), *upstreams(), *alerts(), *libraries(), *tenants()]
