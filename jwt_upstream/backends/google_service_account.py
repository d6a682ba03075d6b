"""Google's service accounts: Google APIs, Workspace, Cloud Run and IAP."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.functional import cached_property

from .core import ELSEWHERE
from .google import GoogleBackend
from .oauth2 import JWT_BEARER, OAuth2Backend
from .signing import SigningKey


class GoogleServiceAccountBackend(OAuth2Backend):
    """A service account of Google's; checked against "Using OAuth 2.0 for Server to Server Applications", as of 2026.

    ``signing_key`` is the key file that Google gives out; with the private key alone ``client_email`` has to be set.
    ``scope`` lists the scopes with spaces between them. ``subject`` is the user of a Workspace domain on whose behalf
    the calls are made (domain-wide delegation). For Cloud Run, Cloud Functions and IAP set ``target_audience`` in
    place of ``scope``: their token is an ID token.
    """

    login_path = "https://oauth2.googleapis.com/token"
    client_authentication = "none"
    grant_type = JWT_BEARER
    client_email: str = ""
    subject: str = ""
    target_audience: str = ""
    access_paths = ("access_token", "id_token")
    message_paths = GoogleBackend.message_paths
    rules = GoogleBackend.rules
    _grant_options = ()
    _usual_claims = {
        "iss": "{client_email}",
        "sub": "{subject}",
        "scope": "{scope}",
        "target_audience": "{target_audience}",
        "aud": "{audience}",
    }
    _stamps = ("iat", "exp")

    @cached_property
    def binding(self) -> dict[str, str]:
        """What tokens are bound to, with the account, the user on whose behalf, and the service for which they are."""
        own = {"subject": self.subject, "target_audience": self.target_audience}
        return {**super().binding, **own, "client_email": self.client_email or self._emails_of_keys}

    @property
    def _emails_of_keys(self) -> str:
        """The accounts of the keys in settings and files; a key that takes a call is not read for this."""
        return " ".join(sorted({_email(key) for key in self._secrets.at_hand("signing_key")}))

    def missing(self) -> Iterable[str]:
        """Return the names of the empty options without which there can be no login and no refresh."""
        return [*super().missing(), *([] if self.scope or self.target_audience else ["scope"])]

    def signing_problem(self) -> str:
        """Return why nothing can be signed with what settings hold, in a sentence; "" if it can."""
        problem = super().signing_problem()
        if problem or self.client_email or self.signing_key in {"", ELSEWHERE} or self._key.email:
            return problem
        return "signing_key is not the JSON file that Google gives out, so client_email has to be set"

    def _key_values(self) -> dict[str, str]:
        return {**super()._key_values(), "client_email": self.client_email or self._key.email}


def _email(key: str) -> str:
    try:
        return SigningKey.parse(key).email
    except ValueError:
        return ""
