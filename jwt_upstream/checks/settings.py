"""All that is checked whenever a project starts.

E001 JWT_UPSTREAM is not a dict, or an alias is not valid · E002 an upstream's settings are not a dict, or have an
unknown key · E003 BASE_URL · E004 BACKEND or LOGIN · E005 OPTIONS · E006 JWT_UPSTREAM_ENCRYPTION_KEYS · E007 an
unknown setting · E008 not a number of seconds or threads, or not True or False · E009 deadline and lease · E010 a
missing option · E011 urllib3-future · E012 schemas of tenants that can't be followed · E013 JWT_UPSTREAM_NOTIFIERS ·
E014 JWT_UPSTREAM_SITE_URL · E015 JWT_UPSTREAM_WEBHOOK_… · E016 NOTIFY · E017 JWT_UPSTREAM_…_DAYS ·
E018 JWT_UPSTREAM_METRICS · E019 in neither list of apps of django-tenants
W001 http:// · W002 ADMINS is empty · W003 keys derived from SECRET_KEY (deploy only) · W004 an old Brotli ·
W005 certificates are not verified (deploy only) · W006 no notifier · W007 no JWT_UPSTREAM_SITE_URL (deploy only) ·
W008 a secret that can't be read, or a key in a file that can't sign · W009 tables (with --database) ·
W010 no BACKEND · W011 a mail backend that sends nothing (deploy only) · W012 in both lists of apps of django-tenants
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
