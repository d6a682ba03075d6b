"""The words of ours that rows, errors and explanations keep in English, translated when they are shown."""

from __future__ import annotations

import re

from django.utils.translation import gettext, gettext_noop

from jwt_upstream.fields import DecryptionError, Misplaced, Unbound
from jwt_upstream.remedies import OWN_REFUSED

#: One in a text whose special characters are escaped.
_PLACEHOLDER = re.compile(r"%\\\((\w+)\\\)s")


class Wording:
    """Texts of ours that are kept in English, and known again by what is around their placeholders."""

    def __init__(self, *texts: str) -> None:
        self._patterns = {text: re.compile(_PLACEHOLDER.sub(_group, re.escape(text)), re.DOTALL) for text in texts}

    def translated(self, text: str) -> str:
        """Return a text in the reader's language, as it is if it is none of these; what was filled in likewise."""
        for kept, pattern in self._patterns.items():
            if match := pattern.fullmatch(text):
                filled = {name: self.translated(value) for name, value in match.groupdict().items()}
                return gettext(kept) % filled
        return text


def _group(placeholder: re.Match[str]) -> str:
    name = placeholder[1]
    return rf"(?P<{name}>\d+)" if name == "status" else f"(?P<{name}>.*)"


ADOPTED = gettext_noop("adopted")
ADOPTED_ALONE = gettext_noop("adopted without a refresh token")
TRIED_AGAIN = gettext_noop("tried again")
MARKED_REJECTED = gettext_noop("marked as rejected: %(reason)s")
#: Whom an incident of a whole upstream concerns.
ONLY_ACCOUNT = gettext_noop("the only account at %(upstream)s (%(names)s)")
ONE_ACCOUNT = gettext_noop("%(number)s of %(total)s accounts at %(upstream)s: %(names)s")
SOME_ACCOUNTS = gettext_noop("%(number)s of %(total)s accounts at %(upstream)s, among them %(names)s")

#: What errors of logins say.
LOGIN_FAILED = gettext_noop("%(account)s: login failed: %(reason)s")
LOGIN_FAILED_SEE = gettext_noop("%(account)s: login failed: %(reason)s; %(command)s shows what is sent")
LOGIN_TOO_LATE = gettext_noop("the login was begun more than 10 minutes ago: begin the login again")

#: What decides on an answer that no rule fits, for programs in English as well.
STATUS = gettext_noop("a %(status)s")
NO_ERROR = gettext_noop("no error")
OTHER_ERROR = gettext_noop("an error that is not about the token")
SUCCESS = gettext_noop("a success that holds an access token")
NO_TOKEN = gettext_noop("a success without an access token")
REFUSAL = gettext_noop("a %(status)s with a JSON or an empty body")
NO_REFUSAL = gettext_noop("a %(status)s with a body that is not a token endpoint's")
OTHER_REFUSAL = gettext_noop("a %(status)s with an error other than invalid_grant")
OF_SETTINGS = gettext_noop("a refusal of what settings hold, by %(source)s")
OF_OWN_CLIENT = gettext_noop("a refusal of the account's own client, by %(source)s")

_TEXTS = [ADOPTED, ADOPTED_ALONE, TRIED_AGAIN, MARKED_REJECTED, OWN_REFUSED, ONLY_ACCOUNT, SOME_ACCOUNTS, ONE_ACCOUNT]
_TEXTS += [LOGIN_FAILED_SEE, LOGIN_FAILED, LOGIN_TOO_LATE]
_TEXTS += [DecryptionError.reason, Misplaced.reason, Unbound.reason]
_RECORDED = Wording(*_TEXTS)
_DEFAULTS = [STATUS, NO_ERROR, OTHER_ERROR, SUCCESS, NO_TOKEN, REFUSAL, NO_REFUSAL, OTHER_REFUSAL]
_DECIDING = Wording(*_DEFAULTS, OF_SETTINGS, OF_OWN_CLIENT)


def translated(text: str) -> str:
    """Return a recorded text in the reader's language; what upstreams and people said stays as it is."""
    return _RECORDED.translated(text)


def translated_source(text: str) -> str:
    """Return what decides on an answer in the reader's language; the place of a rule stays as it is."""
    return _DECIDING.translated(text)
