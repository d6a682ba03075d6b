"""Salesforce."""

from __future__ import annotations

from .core import TOKEN_REQUESTS, Rule, Verdict
from .oauth2 import OAuth2Backend

_INACTIVE = r"^(inactive (user|org\w*)|(user|organization) is inactive)$"


class SalesforceBackend(OAuth2Backend):
    """Salesforce; checked against its list of OAuth errors and reports of users, as of 2026.

    ``BASE_URL`` is My Domain, ``https://example.my.salesforce.com/``, which serves tokens and the API. Calls go to the
    ``instance_url`` that comes with a token, at one of Salesforce's own domains. Answers state
    no lifetime: a session ends some time after its last use (2 hours by default), which only a 401 shows. The password
    of a login is followed by the user's security token.
    """

    login_path = "services/oauth2/token"
    authorize_path = "./authorize"  # "OAuth 2.0 web server flow for web app integration", which has PKCE
    client_authentication = "post"
    revoke_path = "./revoke"  # a refresh token ends with its access tokens ("Revoking OAuth tokens")
    revoke_fields = {"token": "{token}"}
    revoke_authentication = "none"
    # "OAuth 2.0 device flow for IoT integration": its own names, at the token endpoint.
    device_path = "services/oauth2/token"
    device_fields = {"response_type": "device_code", "client_id": "{client_id}"}
    device_login_fields = {"grant_type": "device", "code": "{device_code}"}
    device_authentication = "none"
    #: My Domain, also of sandboxes and of the government's cloud; in China Salesforce has a domain of its own.
    base_url_paths = ("instance_url",)
    base_url_hosts = ("*.salesforce.com", "*.salesforce.mil", "*.sfcrmproducts.cn")
    message_paths = ("error_description", "0.message", "error")
    rules = (
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, (400, 401, 403), json="error", pattern=r"^inactive_(user|org)$"),
        Rule(Verdict.LOCKED, TOKEN_REQUESTS, (400, 401, 403), json="error_description", pattern=_INACTIVE),
        Rule(
            Verdict.TRANSIENT, TOKEN_REQUESTS, (400,), json="error", pattern=r"^unknown_error$"
        ),  # "retry your request"
        # The identity URL and userinfo answer in plain text.
        Rule(Verdict.EXPIRED, ("api",), (403,), pattern=r"^\s*(Bad|Missing)_OAuth_Token\s*$"),
    )
