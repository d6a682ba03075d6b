"""What people do to credentials from the admin: pages with a form for each, and actions on many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import QuerySet
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from jwt_upstream.backends import Backend, get_backend
from jwt_upstream.backends.explain import consequence
from jwt_upstream.binding import Change, described
from jwt_upstream.conf import conf
from jwt_upstream.exceptions import UpstreamError
from jwt_upstream.login import adopt, known_secrets, log_out, login, register
from jwt_upstream.models import Credential
from jwt_upstream.refresh import changed_settings, in_words, mark_rejected, mismatched, rebind, try_again
from jwt_upstream.store import queries
from jwt_upstream.tracebacks import without_variables

from . import bulk, cells, forms
from .access import by, may
from .trial import try_call

if TYPE_CHECKING:
    AdminBase = admin.ModelAdmin[Credential]
else:
    AdminBase = object

#: What is told on the page, in place of breaking.
ERRORS = (UpstreamError, ImproperlyConfigured)


@dataclass(frozen=True)
class About:
    """What a page is about: an account, or one yet to be named (None); ``problem`` is what is wrong with settings."""

    upstream: str
    account: str | None
    credential: Credential | None
    backend: Backend | None
    problem: str

    def existing(self) -> Credential:
        """Return the credential; raises Http404 if there is none yet."""
        if self.credential is None:
            raise Http404
        return self.credential


class Page(NamedTuple):
    """The words of a page with a form."""

    title: str
    done: str
    explanation: str


def asked_about(request: HttpRequest, action: str, *, as_written: bool = False) -> About:
    """Return what the query names; raises PermissionDenied, and Http404 for an unknown upstream or account.

    The backend has what the account has of its own, unless it is wanted ``as_written`` in settings.
    """
    if not may(request, action):
        raise PermissionDenied
    upstream, account = request.GET.get("upstream", ""), request.GET.get("account")
    row = queries.find(upstream, account, queries.database()) if account else None
    if account is not None and row is None:
        raise Http404
    try:
        return About(upstream, account, row, get_backend(upstream, None if as_written else row), "")
    except ImproperlyConfigured as error:
        if row is None and upstream not in conf.upstreams:
            raise Http404 from None
        return About(upstream, account, row, None, str(error))


class Acting(AdminBase):
    """The pages and actions that change a credential; what they need of a ``ModelAdmin`` is that of ``Credential``."""

    def get_urls(self) -> list[URLPattern]:
        """Add a page for each thing that can be done to one account."""
        views = {
            "log_in": self.log_in_view,
            "register": self.register_view,
            "adopt": self.adopt_view,
            "mark_rejected": self.mark_rejected_view,
            "test": self.test_view,
        }
        own = [
            path(f"{name.replace('_', '-')}/", self.admin_site.admin_view(view), name=f"jwt_upstream_{name}")
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def act_url(self, name: str, upstream: str, account: str | None = None) -> str:
        """Return the address of a page of ``get_urls`` for an account, or for one that the page asks for."""
        query = {"upstream": upstream, **({} if account is None else {"account": account})}
        return f"{self.url(name)}?{urlencode(query)}"

    def url(self, page: str, *args: object) -> str:
        """Return the address of one of this app's pages in the admin site that this object belongs to."""
        return reverse(f"admin:jwt_upstream_{page}", args=args, current_app=self.admin_site.name)

    # -- one account

    @method_decorator(sensitive_post_parameters())
    @without_variables
    def log_in_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for what the backend's login asks for, and log in with it."""
        about = asked_about(request, "log_in")
        asks = about.backend.login_asks if about.backend else ()
        username = about.credential.username if about.credential else ""
        form = forms.LoginForm(asks, about.account, username, forms.taken(request))

        def do() -> Credential:
            return login(about.upstream, form.account, form.secrets(), by=by(request))

        page = Page(
            _("Log in"), _("Logged in: %(credential)s."), _("What you type is sent to the upstream, and not stored.")
        )
        return self._asked(request, form, about, do, page)

    @method_decorator(sensitive_post_parameters())
    @without_variables
    def register_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for what the account has of its own, and store it; nothing is sent."""
        about = asked_about(request, "log_in", as_written=True)
        if about.backend is None or about.backend.accounts is None:
            raise Http404
        accounts, row = about.backend.accounts, about.credential
        stored = row.parameters if row and isinstance(row.parameters, dict) else {}
        parameters = {name: str(stored.get(name, "")) for name in accounts.parameters}
        form = forms.OwnValuesForm(
            parameters, accounts.secrets, known_secrets(row).keys(), about.account, forms.taken(request)
        )
        _refuse_existing(form, about)

        def do() -> Credential:
            return register(
                about.upstream, form.account, parameters=form.parameters(), secrets=form.secrets(), by=by(request)
            )

        explanation = _(
            "Secrets are stored encrypted. Nothing is sent. With another parameter the stored tokens are sent nowhere "
            "until somebody logs in, or confirms that they are for it too."
        )
        title = _("Change the account") if row else _("Add account")
        return self._asked(request, form, about, do, Page(title, _("Stored: %(credential)s."), explanation))

    @method_decorator(sensitive_post_parameters())
    @without_variables
    def adopt_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for tokens that were obtained elsewhere, and store them."""
        about = asked_about(request, "log_in")
        form = forms.AdoptForm(about.account, forms.taken(request))

        def do() -> Credential:
            return adopt(about.upstream, form.account, form.pair(), by=by(request))

        explanation = _("They are stored encrypted, in place of those that are there. Nothing is sent.")
        return self._asked(
            request, form, about, do, Page(_("Adopt tokens"), _("Tokens adopted: %(credential)s."), explanation)
        )

    def mark_rejected_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the reason, and have every call refused until somebody logs in."""
        about = asked_about(request, "mark_rejected")
        row = about.existing()
        form = forms.ReasonForm(forms.taken(request))

        def do() -> Credential:
            mark_rejected(row, form.cleaned_data["reason"], by=by(request))
            return row

        explanation = _(
            "For tokens that must not be used any more, such as stolen ones. From now on calls fail until somebody "
            "logs in, adopts tokens or tries again. The tokens are kept, and nothing is sent to the upstream."
        )
        page = Page(_("Mark as rejected"), _("Marked as rejected: %(credential)s."), explanation)
        return self._asked(request, form, about, do, page)

    @method_decorator(require_POST)
    def test_view(self, request: HttpRequest) -> HttpResponse:
        """GET the upstream's ``test_path`` once with the stored token, and explain the answer; nothing is stored."""
        about = asked_about(request, "test")
        row, backend = about.existing(), about.backend
        if backend is None or not backend.test_path:
            raise Http404
        found: dict[str, Any] = {"url": backend.url(backend.test_path), "title": _("Test")}
        try:
            reading = try_call(row.upstream, row.account, backend.test_path)
            told = {"reading": reading, "verdict": reading.verdict.name, "consequence": consequence(reading, backend)}
        except ERRORS as error:
            told = {"problem": in_words(error)}
        return self.page(request, "test", {**vars(about), **found, **told})

    def _asked(
        self, request: HttpRequest, form: Form, about: About, do: Callable[[], Credential], page: Page
    ) -> HttpResponse:
        if form.is_valid():
            try:
                row = do()
            except (*ERRORS, ValueError) as error:
                form.add_error(None, in_words(error))
            else:
                self.message_user(request, page.done % {"credential": row}, messages.SUCCESS)
                return HttpResponseRedirect(self.page_of(request, row))
        context = {**vars(about), "form": form, "title": page.title, "explanation": page.explanation}
        return self.page(request, "form", context)

    def page_of(self, request: HttpRequest, row: Credential) -> str:
        """Return the address of a credential's page, or of one that the user may see."""
        if not may(request, "view"):
            return reverse("admin:index", current_app=self.admin_site.name)
        return self.url("credential_change", row.pk)

    def page(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        """Return a page of the admin from one of our templates."""
        request.current_app = self.admin_site.name  # as Django's own views do
        common = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media}
        return TemplateResponse(request, f"admin/jwt_upstream/credential/{template}.html", {**common, **context})

    # -- many at once

    def has_refresh_permission(self, request: HttpRequest) -> bool:
        """Tell whether Django may offer the action that refreshes."""
        return may(request, "refresh")

    def has_rebind_permission(self, request: HttpRequest) -> bool:
        """Tell whether Django may offer the action that confirms a move."""
        return may(request, "rebind")

    def has_log_out_permission(self, request: HttpRequest) -> bool:
        """Tell whether Django may offer the action that logs out."""
        return may(request, "log_out")

    @admin.action(description=gettext_lazy("Refresh now, or try again"), permissions=["refresh"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Credential]) -> HttpResponse | None:
        """Refresh with the stored tokens, whatever the state and backoff."""

        def work(credential: Credential) -> str:
            try_again(credential, by=by(request))
            return _("Credential %(credential)s works: it has a new token.") % {"credential": credential}

        def done(number: int) -> str:
            return ngettext("%(number)d refreshed", "%(number)d refreshed", number) % {"number": number}

        return self._each(request, queryset, bulk.first_to_refresh(queryset), work, done)

    @admin.action(description=gettext_lazy("Confirm that the tokens are for these settings"), permissions=["rebind"])
    def rebind(self, request: HttpRequest, queryset: QuerySet[Credential]) -> HttpResponse | None:
        """Show what settings name differently than tokens were obtained for, and bind them once that is confirmed."""
        moves = _moves(queryset)
        # Of what was shown: settings may be others by now, or the tokens.
        shown = _digest((str(move["credential"]), move["changes"]) for move in moves)
        if request.POST.get("confirmed") != shown:
            context = {"title": _("Confirm a move"), "moves": moves, "shown": shown}
            return self.page(request, "rebind", {**context, **_selected(request, queryset)})

        def work(credential: Credential) -> str:
            return _confirmed(credential, rebind(credential, by=by(request)))

        def done(number: int) -> str:
            return ngettext("%(number)d confirmed", "%(number)d confirmed", number) % {"number": number}

        return self._each(request, queryset, [move["credential"] for move in moves], work, done)

    @admin.action(description=gettext_lazy("Log out"), permissions=["log_out"])
    def log_out(self, request: HttpRequest, queryset: QuerySet[Credential]) -> HttpResponse | None:
        """Say what will be lost, and once that is confirmed forget the tokens and tell the upstream."""
        rows = bulk.first_to_log_out(queryset)
        losses = list(map(_loss, rows))
        # Of what was shown: somebody may have logged in anew by now. A refresh changes nothing that matters here.
        shown = _digest((str(row), row.state, row.username) for row in rows)
        if not request.POST.get("confirmed") or request.POST.get("shown", shown) != shown:
            context = {"title": _("Log out"), "losses": losses, "shown": shown}
            return self.page(request, "log_out", {**context, **_selected(request, queryset)})

        untold: list[str] = []

        def work(credential: Credential) -> str:
            told = log_out(credential.upstream, credential.account, by=by(request))
            if told.is_told is False:
                untold.append(credential.upstream)
            said = _("Credential %(credential)s is logged out; its tokens are deleted. %(told)s")
            return said % {"credential": credential, "told": told}

        def done(number: int) -> str:
            text = ngettext("%(number)d logged out", "%(number)d logged out", number)
            if untold:
                text = ngettext(
                    "%(number)d logged out (the upstream could not be told of %(untold)d)",
                    "%(number)d logged out (the upstream could not be told of %(untold)d)",
                    number,
                )
            return text % {"number": number, "untold": len(untold)}

        return self._each(request, queryset, rows, work, done)

    def _each(
        self,
        request: HttpRequest,
        selected: QuerySet[Credential],
        rows: Sequence[Credential],
        work: bulk.Work,
        done: Callable[[int], str],
    ) -> HttpResponse | None:
        summary = bulk.do_each(work, rows)
        summary.beyond = max(queries.number(selected, queries.COUNT_LIMIT) - bulk.MOST, 0)
        level = messages.SUCCESS if summary.is_complete else messages.WARNING if summary.said else messages.ERROR
        self.message_user(request, _message(summary, done(len(summary.said))), level)
        # The buttons on a credential's own page lead back to it.
        page = request.POST.get("back_to")
        return HttpResponseRedirect(self.url("credential_change", quote(page))) if page else None


def _refuse_existing(form: forms.OwnValuesForm, about: About) -> None:
    """Refuse the name of an account that exists where a new one is added: that one's values would be lost."""
    if about.account is None and form.is_valid() and queries.find(about.upstream, form.account, queries.database()):
        form.add_error("account", _("There is an account of this name: change it on its own page."))


def _digest(shown: Iterable[object]) -> str:
    return sha256(repr(sorted(map(repr, shown))).encode()).hexdigest()


def _selected(request: HttpRequest, queryset: QuerySet[Credential]) -> dict[str, Any]:
    """Return how many were selected, and the page to which the buttons of a credential's own page lead back."""
    number = queries.number(queryset, queries.COUNT_LIMIT)
    return {"number": number, "back_to": request.POST.get("back_to", "")}


def _message(summary: bulk.Summary, done: str) -> str:
    # Of one it is told in full. The admin capitalizes messages, so they must not begin with the name of an account.
    if (len(summary.said), len(summary.failed), summary.unfinished) == (1, 0, 0):
        return summary.said[0]
    if (len(summary.said), len(summary.failed), summary.unfinished) == (0, 1, 0):
        return _("Failed: %(problem)s") % {"problem": summary.failed[0]}
    return summary.text(done)


def _loss(row: Credential) -> dict[str, Any]:
    """Return what a logout takes from an account; nothing is decrypted for it."""
    stored = [
        (_("Access token:"), row.access_token, row.access_expires_at),
        (_("Refresh token:"), row.refresh_token, row.refresh_expires_at),
    ]
    tokens = [(what, cells.expiry(expires_at, row.now())) for what, token, expires_at in stored if token]
    return {"credential": row, "badge": cells.of_credential(row), "tokens": tokens, "is_told": _is_told(row)}


def _is_told(row: Credential) -> bool:
    try:
        return bool(get_backend(row.upstream, row).revoke_path) and not mismatched(row)
    except ImproperlyConfigured:
        return False


def _moves(selected: QuerySet[Credential]) -> list[dict[str, Any]]:
    """Return what changes for the accounts that are selected; of more than fit, only for those that have moved."""
    if queries.number(selected, bulk.MOST + 1) <= bulk.MOST:
        return list(map(_move, selected))
    some = map(_move, selected[: queries.COUNT_LIMIT].iterator())
    moved = list(islice((move for move in some if move["changes"]), bulk.MOST))
    return moved or list(map(_move, selected[: bulk.MOST]))


def _move(row: Credential) -> dict[str, Any]:
    """Return how settings differ from what an account's tokens were obtained for."""
    try:
        return {"credential": row, "changes": changed_settings(row, get_backend(row.upstream, row))}
    except ImproperlyConfigured as error:
        return {"credential": row, "changes": [], "problem": str(error)}


def _confirmed(row: Credential, found: list[Change]) -> str:
    if not found:
        text = _("Credential %(credential)s was not changed: its tokens are for these settings.")
        return text % {"credential": row}
    text = _("Credential %(credential)s: confirmed, %(changes)s.")
    return text % {"credential": row, "changes": described(found)}
