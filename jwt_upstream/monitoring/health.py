"""A view that says whether calls to upstreams can work, for load balancers and uptime monitors."""

from __future__ import annotations

from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jwt_upstream.exceptions import UpstreamNotConfigured

from .conditions import STATUSES, conditions


@never_cache
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Answer 200 if no person has to act, otherwise 503; the JSON has the status of each upstream, and no account.

    ``?upstream=crm``, once or more often, asks for some of them. It reads the database only, and sends nothing to an
    upstream. Without a working database the answer is 503 as well, and if JWT_UPSTREAM is no dict.
    """
    try:
        found = conditions(request.GET.getlist("upstream"))
    except (Error, UpstreamNotConfigured):
        return JsonResponse({"status": "unavailable", "upstreams": {}}, status=503)
    worst = max((condition.status for condition in found), key=STATUSES.index, default="ok")
    upstreams = {
        condition.upstream: {
            "status": condition.status,
            "credentials": condition.credentials,
            "incident": condition.incident or None,
        }
        for condition in found
    }
    return JsonResponse({"status": worst, "upstreams": upstreams}, status=503 if worst == "needs_human" else 200)
