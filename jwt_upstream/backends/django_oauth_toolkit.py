"""Django OAuth Toolkit."""

from __future__ import annotations

from .core import Rule, Verdict
from .oauth2 import OAuth2Backend

_NOT_AUTHENTICATED = r"^Authentication credentials were not provided\.$"


class DjangoOAuthToolkitBackend(OAuth2Backend):
    """django-oauth-toolkit; checked against the source of 3.0.1, with oauthlib 3.3 and Django REST framework.

    A locked user can't be recognized: a login looks like a wrong password, and refreshes go on working. Refresh tokens
    can be used once.
    """

    login_path = "o/token/"
    authorize_path = "../authorize/"
    revoke_path = "../revoke_token/"  # ends the access token as well (models.py, RefreshToken.revoke)
    device_path = "../device-authorization/"  # urls.py, since 3.1
    rules = (
        # Its class for Django REST framework refuses no token, it only doesn't accept one (contrib/rest_framework/
        # authentication.py). What is sent then depends on the class that is listed first: 403 if that is
        # SessionAuthentication, 401 with another's challenge, such as Basic.
        Rule(Verdict.EXPIRED, ("api",), (401, 403), json="detail", pattern=_NOT_AUTHENTICATED),
    )
