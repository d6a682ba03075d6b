"""Does something to many credentials in bounded time, and says in one message what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce, Greatest
from django.utils.translation import get_language, ngettext, override
from django.utils.translation import gettext as _

from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.models import Credential
from jwt_upstream.refresh import in_words
from jwt_upstream.store import connections as own_connections
from jwt_upstream.store import queries

#: After how many seconds the page answers, and how many credentials are in work at a time.
SECONDS = 5.0
THREADS = 8
#: The most that are done at once: Django takes no more than 1000 fields of a form.
MOST = 500

_MOST_NAMED = 5
_MOST_CHARACTERS = 200

#: Does something to a credential, and returns what is to be said of it, if anything.
Work = Callable[[Credential], str]


@dataclass
class Summary:
    """What came of it: what was said of those that were done, why others failed, and how many are yet to be done.

    These are ``under_way``, ``left`` when the time was over, or ``beyond`` the most that are done at once.
    """

    said: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    under_way: int = 0
    left: int = 0
    beyond: int = 0

    @property
    def unfinished(self) -> int:
        """How many are yet to be done."""
        return self.under_way + self.left + self.beyond

    @property
    def is_complete(self) -> bool:
        """Whether all are done, and none has failed."""
        return not (self.failed or self.unfinished)

    def text(self, done: str) -> str:
        """Return one message, such as "56 refreshed, 2 failed: …", that begins with ``done``."""
        counts = [done]
        if number := len(self.failed):
            text = ngettext("%(number)d failed: %(names)s", "%(number)d failed: %(names)s", number)
            counts.append(text % {"number": number, "names": self._named()})
        if number := self.under_way:
            text = ngettext("%(number)d still under way", "%(number)d still under way", number)
            counts.append(text % {"number": number})
        if number := self.left:
            text = ngettext(
                "%(number)d not begun within %(seconds)d seconds: select it again",
                "%(number)d not begun within %(seconds)d seconds: select them again",
                number,
            )
            counts.append(text % {"number": number, "seconds": SECONDS})
        if number := self.beyond:
            text = ngettext(
                "%(number)d more, as %(most)d are done at a time: select it again",
                "%(number)d more, as %(most)d are done at a time: select them again",
                number,
            )
            counts.append(text % {"number": number, "most": MOST})
        return ", ".join(counts) + "."

    def _named(self) -> str:
        named = "; ".join(text[:_MOST_CHARACTERS] for text in self.failed[:_MOST_NAMED])
        more = len(self.failed) - _MOST_NAMED
        return named if more <= 0 else _("%(names)s; and %(number)d more") % {"names": named, "number": more}


def first_to_log_out(rows: QuerySet[Credential]) -> list[Credential]:
    """Choose as many as are done at once, those that are logged out last: who selects all again gets to the rest."""
    return _first(rows, ~Q(state=Credential.State.LOGGED_OUT))


def first_to_refresh(rows: QuerySet[Credential]) -> list[Credential]:
    """Choose as many as are done at once, those first for which it was tried the longest ago."""
    tried_at = Greatest("since", Coalesce("worked_at", "since"), Coalesce("next_attempt_at", "since"))
    # The others fail at once, and would always be first.
    may_work = Q(upstream__in=list(conf.upstreams)) & ~Q(state=Credential.State.LOGGED_OUT)
    return _first(rows.order_by(tried_at), may_work)


def _first(rows: QuerySet[Credential], undone: Q) -> list[Credential]:
    chosen = list(rows.filter(undone)[:MOST])
    return chosen + list(rows.exclude(undone)[: MOST - len(chosen)])


def do_each(work: Work, credentials: Sequence[Credential]) -> Summary:
    """Do it to each, several at a time, and return after SECONDS at the latest; what was begun by then goes on."""
    if len(credentials) == 1:
        summary = Summary()
        _note(_outcome(work, credentials[0]), summary)
        return summary
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="jwt_upstream admin")
    # Each thread has a language and connections of its own, which would begin with the public schema.
    language, tenant = get_language(), own_connections.Tenant.of(connections[queries.database()])
    futures = [pool.submit(_in_thread, work, credential, language, tenant) for credential in credentials]
    wait(futures, SECONDS)
    pool.shutdown(wait=False, cancel_futures=True)
    return _summary(futures)


_Outcome = tuple[bool, str]


def _outcome(work: Work, credential: Credential) -> _Outcome:
    try:
        return True, work(credential)
    except (UpstreamError, ImproperlyConfigured) as error:
        return False, in_words(error)


def _in_thread(
    work: Work, credential: Credential, language: str | None, tenant: own_connections.Tenant | None
) -> _Outcome:
    try:
        if tenant:
            tenant.apply_to(connections[queries.database()])
        with override(language):
            return _outcome(work, credential)
    except Exception as error:  # nobody sees what a thread raises; what it says may be anything
        return False, f"{credential}: {type(error).__name__}"
    finally:
        connections.close_all()


def _summary(futures: Sequence[Future[_Outcome]]) -> Summary:
    summary = Summary()
    for future in futures:
        if future.cancelled():
            summary.left += 1
        elif future.done():
            _note(future.result(), summary)
        else:
            summary.under_way += 1
    return summary


def _note(outcome: _Outcome, summary: Summary) -> None:
    is_done, text = outcome
    (summary.said if is_done else summary.failed).append(text)
