"""What belongs to a login that was begun: encrypted in the session of whoever began it, and taken out once."""

from __future__ import annotations

from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.http import HttpRequest, QueryDict
from django.utils.crypto import salted_hmac

from jwt_upstream.login import BrowserLogin

_KEY = "jwt_upstream_logins"
#: For how long it is known that a login was taken: longer than it may be completed.
_ONCE_SECONDS = 900


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
        if not (_saved(request) and _is_first(request, sealed)):
            sealed = ""
    return BrowserLogin.unseal(sealed)


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
