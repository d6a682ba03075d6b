"""What belongs to logins that were begun: encrypted in the session of whoever began them, each taken out once."""

from __future__ import annotations

from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.http import HttpRequest, QueryDict
from django.utils.crypto import salted_hmac

from jwt_upstream.login import BrowserLogin

_KEY = "jwt_upstream_browser_logins"
#: How many may wait at an upstream, one in each tab; a session that is a cookie has no room for many.
_MOST = 3
#: For how long it is known that a login was taken: longer than it may be completed.
_ONCE_SECONDS = 900


def remember(request: HttpRequest, begun: BrowserLogin) -> None:
    """Keep a login in the session, beside the last ones at the same upstream."""
    _keep(request, begun.upstream, [*_waiting(request, begun.upstream), begun.seal()][-_MOST:])


def recall(request: HttpRequest, upstream: str, redirected: str) -> BrowserLogin:
    """Return the login of this session that a redirect answers, and forget it; raises LoginRejected if none was begun.

    Logins that it doesn't answer go on waiting. If it answers none, the last is returned, which refuses it.
    """
    waiting = _waiting(request, upstream)
    for sealed in reversed(waiting):
        if BrowserLogin.unseal(sealed).is_answered_by(redirected):
            return BrowserLogin.unseal(_taken(request, upstream, sealed))
    return BrowserLogin.unseal(waiting[-1] if waiting else "")


def _waiting(request: HttpRequest, upstream: str) -> list[str]:
    logins: dict[str, list[str]] = request.session.get(_KEY, {})
    return logins.get(upstream, [])


def _keep(request: HttpRequest, upstream: str, waiting: list[str]) -> None:
    request.session[_KEY] = {**request.session.get(_KEY, {}), upstream: waiting}


def _taken(request: HttpRequest, upstream: str, sealed: str) -> str:
    """Forget a login, and return it unless somebody else has taken it."""
    _keep(request, upstream, [other for other in _waiting(request, upstream) if other != sealed])
    # Now, and not after the answer: nobody completes it a second time meanwhile, nor after an error.
    return sealed if _saved(request) and _is_first(request, sealed) else ""


def _saved(request: HttpRequest) -> bool:
    try:
        request.session.save()
    except UpdateError:  # the user has logged out meanwhile
        return False
    return True


def _is_first(request: HttpRequest, sealed: str) -> bool:
    """Tell whether nobody else takes the same login at this moment, as a page does that is loaded twice.

    Both have read the session by then. So each creates another, empty one, whose key is made of the login: of which
    every store of sessions makes one only, but for that of signed cookies, which stores nothing.
    """
    once = type(request.session)(salted_hmac(_KEY, sealed, algorithm="sha256").hexdigest()[:32])
    once.clear()
    once.set_expiry(_ONCE_SECONDS)
    try:
        once.save(must_create=True)
    except CreateError:
        return False
    return True


def redirected(request: HttpRequest) -> str:
    """Return the URL that the upstream redirected to, and leave nothing of it in the request, which reporters show."""
    url, query = request.get_full_path(), request.META.get("QUERY_STRING", "")
    request.GET = QueryDict()
    # gunicorn has it in RAW_URI as well, uWSGI and mod_wsgi in REQUEST_URI.
    whole = [name for name, value in request.META.items() if query and isinstance(value, str) and query in value]
    request.META |= {name: request.META[name].replace(query, "") for name in whole}
    getattr(request, "scope", {})["query_string"] = b""  # of an ASGI server
    return url
