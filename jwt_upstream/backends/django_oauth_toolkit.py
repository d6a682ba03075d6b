"""Django OAuth Toolkit."""

from __future__ import annotations

from .core import Rule, Verdict
from .oauth2 import OAuth2Backend


class DjangoOAuthToolkitBackend(OAuth2Backend):
    """django-oauth-toolkit; checked against the source of 3.0.1, with oauthlib 3.3 and Django REST framework.

    A locked user can't be recognized: a login looks like a wrong password, and refreshes go on working. Refresh tokens
    can be used once.
    """

    login_path = "o/token/"
    rules = (
        # A ``protected_resource`` view answers an invalid token and a missing scope with an empty 403.
        Rule(Verdict.EXPIRED, ("api",), (403,), pattern=r"^\s*$"),
    )
