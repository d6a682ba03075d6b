"""The page that leads to the upstream, and the address that the browser comes back to."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from jwt_upstream.admin import forms
from jwt_upstream.admin.access import by, may
from jwt_upstream.admin.acting import ERRORS, About, Acting, asked_about
from jwt_upstream.conf import conf
from jwt_upstream.login import BrowserLogin
from jwt_upstream.refresh import in_words
from jwt_upstream.tracebacks import without_variables

from .session import recall, redirected, remember


class BrowserLogins(Acting):
    """Logs in on the upstream's own page where its backend has one, and by a form elsewhere."""

    def get_urls(self) -> list[URLPattern]:
        """Add the address that browsers come back to: one for each upstream, so that no two are mixed up."""
        view = self._for_strangers_too(self.admin_site.admin_view(self.logged_in_view))
        return [path("logged-in/<path:upstream>/", view, name="jwt_upstream_logged_in"), *super().get_urls()]

    def _for_strangers_too(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """Return a view that leads strangers to the login page without a code or a state in its address."""

        @login_not_required  # of Django's middleware; the view itself asks for more
        @without_variables
        def came_back(request: HttpRequest, upstream: str) -> HttpResponse:
            if not self.admin_site.has_permission(request):
                redirected(request)
            return view(request, upstream)

        return came_back

    def log_in_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the account if need be, and lead to the upstream."""
        about = asked_about(request, "log_in")
        if about.backend is None or not about.backend.has_browser_login:
            return super().log_in_view(request)
        form = forms.AccountForm(about.account, forms.taken(request))
        callback_url = self._callback_url(request, about.upstream)
        if form.is_valid():
            try:
                begun = BrowserLogin.begin(about.upstream, form.account, callback_url)
            except ERRORS as error:
                form.add_error(None, in_words(error))
            else:
                remember(request, begun)
                return HttpResponseRedirect(begun.url)
        return self._leading(request, about, form, callback_url)

    @method_decorator(require_GET)
    @without_variables
    def logged_in_view(self, request: HttpRequest, upstream: str) -> HttpResponse:
        """Complete the login that was begun in this session, with what the upstream's redirect brought."""
        if not may(request, "log_in"):
            raise PermissionDenied
        if upstream not in conf.upstreams:
            raise Http404
        url = redirected(request)
        try:
            row = recall(request, upstream, url).complete(url, by=by(request))
        except ERRORS as error:
            self.message_user(
                request,
                _("Not logged in: %(problem)s; nothing was stored.") % {"problem": in_words(error)},
                messages.ERROR,
            )
            return HttpResponseRedirect(self.act_url("log_in", upstream))
        self.message_user(request, _("Logged in: %(credential)s.") % {"credential": row}, messages.SUCCESS)
        return HttpResponseRedirect(self.page_of(request, row))

    def _callback_url(self, request: HttpRequest, upstream: str) -> str:
        where = self.url("logged_in", upstream)
        return f"{conf.site_url}{where}" if conf.site_url else request.build_absolute_uri(where)

    def _leading(self, request: HttpRequest, about: About, form: forms.AccountForm, callback_url: str) -> HttpResponse:
        explanation = _("You log in on the upstream's own page, and come back here.")
        context = {"form": form, "title": _("Log in"), "explanation": explanation, "callback_url": callback_url}
        return self.page(request, "form", {**vars(about), **context})
