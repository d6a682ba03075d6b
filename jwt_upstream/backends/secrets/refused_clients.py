"""Whether an answer refuses the client, so that the server has not looked at the token or code beside it."""

from __future__ import annotations

from requests import Response

from jwt_upstream.backends.core import TOKEN_REQUESTS, Rule, Verdict

#: The codes of RFC 6749 (section 5.2), Google, GitHub, Salesforce, Slack and Zoho, and in ``status`` those of HubSpot.
#: GitHub, Slack and Zoho send them with 200.
_NAMED = Rule(
    Verdict.CONFIG,
    TOKEN_REQUESTS,
    json=("error", "status"),
    pattern=r"^[a-z]{1,30}_client(_(id|secret|credentials))?$",
)
#: Codes about what else was asked, which a server that has the code or token in hand may have spent by then.
_OF_REQUEST = Rule(
    Verdict.CONFIG,
    TOKEN_REQUESTS,
    json="error",
    pattern=r"^(invalid_(request|scope|target|resource|dpop_proof|redirect_uri)|redirect_uri_mismatch|unsupported_\w+"
    r"|use_dpop_nonce|scope_not_granted)$",
)
#: The statuses with which a server refuses a client without a code that is known.
_STATUSES = {400, 401, 403}


def names_client(response: Response) -> bool:
    """Tell whether an answer has a code that is about the client."""
    return _NAMED.matches("login", response)


def may_refuse_client(response: Response) -> bool:
    """Tell whether an answer with the verdict CONFIG is about the client: by its code, or because nothing else is."""
    if names_client(response):
        return True
    return response.status_code in _STATUSES and not _OF_REQUEST.matches("login", response)
