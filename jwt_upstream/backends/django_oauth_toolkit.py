"""Django OAuth Toolkit."""

from __future__ import annotations

from .core import Rule, Verdict
from .oauth2 import OAuth2Backend


class DjangoOAuthToolkitBackend(OAuth2Backend):
    """django-oauth-toolkit; checked against the source of 3.0.1, with oauthlib 3.3 and Django REST framework.

    A locked user is never told of: at a login it looks like a wrong password, and a refresh goes on working. Refresh
    tokens are used once.
    """

    login_path = "o/token/"
    rules = (
        # A view under ``protected_resource`` answers 403 with nothing in it to a dead token, and to a missing scope.
        Rule(Verdict.EXPIRED, ("api",), (403,), pattern=r"^\s*$"),
    )
