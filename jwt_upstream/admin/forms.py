"""The forms of the actions. No secret that is typed into them is shown again."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext_lazy as _

from jwt_upstream.login import label
from jwt_upstream.names import MAX_NAME_CHARACTERS, check_name
from jwt_upstream.tokens import Secrets, TokenPair

_OFF = {"autocomplete": "off"}


def taken(request: HttpRequest) -> QueryDict | None:
    """Return what was posted, and leave nothing of it in the request, which error reporters show; None for a GET."""
    if request.method != "POST":
        return None
    posted, request.POST = request.POST, QueryDict()
    setattr(request, "_body", b"")  # noqa: B010 -- what request.body returns; Django has kept what it parsed
    return posted


def _named(value: str) -> None:
    try:
        check_name("the name", value)
    except ValueError:
        text = _("The name must be 1 to %(number)d printable characters.")
        raise ValidationError(text, params={"number": MAX_NAME_CHARACTERS}) from None


class AccountForm(forms.Form):
    """Asks for the name of an account, unless it is known."""

    def __init__(self, account: str | None, data: QueryDict | None) -> None:
        super().__init__(data)
        self._account = account
        if account is None:
            help_text = _("Which of several at the upstream; leave it as it is if there is only one.")
            self.fields["account"] = forms.CharField(
                label=_("Account"), initial="default", validators=[_named], help_text=help_text
            )

    @property
    def account(self) -> str:
        """The account, once the form is valid."""
        return self.cleaned_data["account"] if self._account is None else self._account


class LoginForm(AccountForm):
    """Asks for what a backend's login asks for; all but the username are typed unseen."""

    def __init__(self, asks: Iterable[str], account: str | None, username: str, data: QueryDict | None) -> None:
        super().__init__(account, data)
        self._asks = tuple(asks)
        for name in self._asks:
            self.fields[f"login_{name}"] = _username(username) if name == "username" else _secret(name)

    def secrets(self) -> Secrets:
        """Return what was typed."""
        return Secrets({name: self.cleaned_data[f"login_{name}"] for name in self._asks})


class OwnValuesForm(AccountForm):
    """Asks for the parameters and secrets of an account; secrets that are ``kept`` may be left empty."""

    def __init__(
        self,
        parameters: Mapping[str, str],
        secrets: Iterable[str],
        kept: Container[str],
        account: str | None,
        data: QueryDict | None,
    ) -> None:
        super().__init__(account, data)
        self._parameters, self._secrets = tuple(parameters), tuple(secrets)
        for name, value in parameters.items():
            self.fields[f"parameter_{name}"] = forms.CharField(
                label=label(name), initial=value, max_length=MAX_NAME_CHARACTERS, widget=forms.TextInput(_OFF)
            )
        for name in self._secrets:
            self.fields[f"secret_{name}"] = field = _secret(name, required=name not in kept)
            field.help_text = _("Leave it empty to keep the one that is stored.") if name in kept else ""

    def parameters(self) -> dict[str, str]:
        """Return the parameters."""
        return {name: self.cleaned_data[f"parameter_{name}"] for name in self._parameters}

    def secrets(self) -> Secrets:
        """Return the secrets that were typed."""
        typed = {name: self.cleaned_data[f"secret_{name}"] for name in self._secrets}
        return Secrets({name: secret for name, secret in typed.items() if secret})


class AdoptForm(AccountForm):
    """Asks for tokens that were obtained elsewhere."""

    def __init__(self, account: str | None, data: QueryDict | None) -> None:
        super().__init__(account, data)
        self.fields["access_token"] = _secret("access_token")
        self.fields["refresh_token"] = _secret("refresh_token", required=False)

    def clean(self) -> dict[str, Any]:
        """Check that they are tokens; what is wrong is said without them."""
        try:
            self.pair()
        except ValueError as error:
            raise ValidationError(str(error)) from None
        return self.cleaned_data

    def pair(self) -> TokenPair:
        """Return what was typed."""
        return TokenPair(self.cleaned_data.get("access_token", ""), self.cleaned_data.get("refresh_token", ""))


class ReasonForm(forms.Form):
    """Asks why; the reason is kept in the history."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        validators=[_named],
        help_text=_("Kept in the history, and told to the admins."),
    )


def _username(initial: str) -> forms.Field:
    widget = forms.TextInput(_OFF)
    return forms.CharField(label=label("username"), initial=initial, validators=[_named], widget=widget)


def _secret(name: str, *, required: bool = True) -> forms.Field:
    # Not stripped, since a password may begin with a space, and not shown again if the form is.
    widget = forms.PasswordInput(_OFF, render_value=False)
    return forms.CharField(label=label(name), widget=widget, strip=False, required=required)
