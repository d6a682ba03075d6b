"""Keycloak."""

from __future__ import annotations

from .core import Rule, Verdict
from .oauth2 import OAuth2Backend

# "Not fully set up": the user has a required action, to be done in a browser.
_ACCOUNT = r"^(User|Account) ((temporarily|permanently) )?disabled$|^Account is not fully set up$"


class KeycloakBackend(OAuth2Backend):
    """Keycloak; checked against the source of 23 and 26, and older messages against that of 3.

    ``realm`` is the realm's name. If the API is on another host than Keycloak, set ``login_path`` to the full URL:
    ``https://sso.example.com/realms/{realm}/protocol/openid-connect/token``. Before Keycloak 17 the paths begin with
    ``auth/``.

    A logout ends the session of the refresh token (``LogoutEndpoint.logoutToken``). Keycloak's ``revoke`` would end
    all sessions that the user has with this client, and take the user's consent back.
    """

    realm: str = ""
    login_path = "realms/{realm}/protocol/openid-connect/token"
    authorize_path = "./auth"
    issuer = "../../../{realm}"  # what it sends as iss, since 20; its path ends with the realm
    client_authentication = "post"  # for clients with and without a secret
    revoke_path = "./logout"
    revoke_fields = {"refresh_token": "{refresh}"}
    device_path = "./auth/device"  # AuthorizationEndpoint.authorizeDevice
    rules = (
        Rule(Verdict.LOCKED, ("login", "refresh"), (400, 401), json="error_description", pattern=_ACCOUNT),
        Rule(Verdict.LOCKED, ("api",), (401,), json="error_description", pattern=r"^User disabled$"),  # userinfo
        Rule(Verdict.REJECTED, ("refresh",), (400,), json="error_description", pattern=r"^Client no longer has\b"),
    )
