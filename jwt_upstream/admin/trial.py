"""One call with the stored token as it is: it shows what an upstream thinks of a token, and changes nothing."""

from __future__ import annotations

from django.utils.translation import gettext as _
from requests import Request, RequestException, Response, Session

from jwt_upstream.backends.core import cause
from jwt_upstream.backends.explain import Reading, read
from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialUnreadable, NotLoggedIn, UpstreamError
from jwt_upstream.fields import DecryptionError
from jwt_upstream.models import Credential
from jwt_upstream.refresh import check_bound, find
from jwt_upstream.tokens import TokenPair
from jwt_upstream.tracebacks import without_variables

_TIMEOUT = (3.05, 10.0)


@without_variables
def try_call(alias: str, account: str, path: str) -> Reading:
    """GET a path once, and return how the backend reads the answer; no refresh, no second attempt, nothing stored.

    Sends the token whatever the credential's state. Raises NotLoggedIn if there is none, CredentialUnreadable if no
    key of this process decrypts it, CredentialMismatch if it was obtained for other settings, ForeignOrigin, and
    UpstreamError if there is no answer.
    """
    row = find(alias, account)
    pair = _opened(row)
    with UpstreamClient(alias, account) as client:
        check_bound(row, client.backend)
        try:
            with _sent(client, path, pair) as response:
                return read(client.backend, "api", response, [pair.access, pair.refresh])
        except UpstreamError:
            raise
        except RequestException as error:
            # Not with its cause: that has the request, and the request has the token.
            raise UpstreamError(_("No answer: %(problem)s") % {"problem": cause(error)}) from None


def _sent(client: UpstreamClient, path: str, pair: TokenPair) -> Response:
    request = client.prepare_request(Request("GET", path))
    client.backend.authorize(request, pair)
    settings = client.merge_environment_settings(str(request.url), {}, True, None, None)
    # As a plain session sends: the client's own method would refresh, and record what the answer says.
    return Session.send(client, request, allow_redirects=False, timeout=_TIMEOUT, **settings)


def _opened(row: Credential) -> TokenPair:
    try:
        pair = row.pair
    except DecryptionError as error:
        raise CredentialUnreadable(f"{row}: {error}", credential=row, reason=str(error)) from None
    if not pair.access:
        raise NotLoggedIn(f"{row} has no access token to call with", credential=row, reason="no access token")
    return pair
