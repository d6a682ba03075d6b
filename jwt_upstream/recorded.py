"""The words of ours that rows and errors keep: written down in English, and translated when they are shown."""

from __future__ import annotations

import re

from django.utils.translation import gettext, gettext_noop

from jwt_upstream.fields import DecryptionError, Misplaced, Unbound

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

_TEXTS = [ADOPTED, ADOPTED_ALONE, TRIED_AGAIN, MARKED_REJECTED, ONLY_ACCOUNT, SOME_ACCOUNTS, ONE_ACCOUNT]
_TEXTS += [LOGIN_FAILED_SEE, LOGIN_FAILED, LOGIN_TOO_LATE]
_TEXTS += [DecryptionError.reason, Misplaced.reason, Unbound.reason]
_PATTERNS = {
    text: re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.*)", re.escape(text)), re.DOTALL) for text in _TEXTS
}


def translated(text: str) -> str:
    """Return a recorded text in the reader's language; what upstreams and people said stays as it is."""
    for recorded, pattern in _PATTERNS.items():
        if match := pattern.fullmatch(text):
            return gettext(recorded) % {name: translated(value) for name, value in match.groupdict().items()}
    return text
