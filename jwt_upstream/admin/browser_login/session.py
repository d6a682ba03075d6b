"""What belongs to a login that was begun: encrypted in the session of whoever began it, and taken out once."""

from __future__ import annotations

from django.http import HttpRequest, QueryDict

from jwt_upstream.login import BrowserLogin

_KEY = "jwt_upstream_logins"


def remember(request: HttpRequest, begun: BrowserLogin) -> None:
    """Keep a login in the session, in place of an earlier one at the same upstream."""
    request.session[_KEY] = {**request.session.get(_KEY, {}), begun.upstream: begun.seal()}


def recall(request: HttpRequest, upstream: str) -> BrowserLogin:
    """Return the login that was begun in this session, and forget it; raises LoginRejected if there is none."""
    logins = dict(request.session.get(_KEY, {}))
    sealed = logins.pop(upstream, "")
    if sealed:
        request.session[_KEY] = logins
        # Now, and not after the answer: nobody completes it a second time meanwhile, nor after an error.
        request.session.save()
    return BrowserLogin.unseal(sealed)


def redirected(request: HttpRequest) -> str:
    """Return the URL that the upstream redirected to, and leave nothing of it in the request, which reporters show."""
    url = request.get_full_path()
    request.GET = QueryDict()
    request.META["QUERY_STRING"] = ""
    getattr(request, "scope", {})["query_string"] = b""  # of an ASGI server
    return url
