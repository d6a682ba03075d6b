"""The settings of an upstream with what one account has of its own in place of placeholders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from jwt_upstream import remedies
from jwt_upstream.accounts import AccountValues
from jwt_upstream.backends.core import filled_within, is_web_address, origin, placeholders, template
from jwt_upstream.backends.steps import as_dict
from jwt_upstream.exceptions import AccountMisconfigured
from jwt_upstream.fields import DecryptionError
from jwt_upstream.names import command, did_you_mean, full_name
from jwt_upstream.tokens import NOTHING, Secrets

from .declaration import Declared
from .places import FIXED, MIXED, SECRETS, TEMPLATES, Use, uses
from .rules import Place, is_allowed_host, is_host, is_named, is_reference, parameter_problem, secret_problem

_IN_URL = {Place.LABEL, Place.HOST, Place.PORT, Place.PATH}


class AccountSettings(NamedTuple):
    """What a backend is made of: for one account, or for none in particular."""

    base_url: str
    options: Mapping[str, Any]
    login: Mapping[str, Any]
    parameters: Secrets = NOTHING
    secrets: Secrets = NOTHING


class Accounts:
    """What ACCOUNTS declares for an upstream with a backend of some class, and where its settings have it."""

    def __init__(self, alias: str, kind: type[Any], written: Mapping[str, Any]) -> None:
        """Raises ValueError with what is wrong with ACCOUNTS, or with a host that has placeholders."""
        self.declared = Declared.parse(written["ACCOUNTS"])
        self._alias, self._kind, self._written = alias, kind, written
        self._uses = list(uses(kind, written, self.declared.names))

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters, which are no secrets."""
        return list(self.declared.parameters)

    @property
    def secrets(self) -> list[str]:
        """The names of the secrets."""
        return list(self.declared.secrets)

    @property
    def base_url(self) -> str:
        """BASE_URL as it is written, with its placeholders."""
        return str(self._written["BASE_URL"])

    @property
    def _login(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._written.get("LOGIN", {})
        return found

    @property
    def summary(self) -> str:
        """What each account has of its own, in a line."""
        kinds = {"parameters": self.parameters, "secrets": self.secrets, "hosts": self.declared.hosts}
        return "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds.items() if names)

    @property
    def has_login(self) -> bool:
        """Whether LOGIN in settings is made of what each account has of its own."""
        return any(use.where == "LOGIN" for use in self._uses)

    # -- checks

    def check(self) -> Iterator[str]:
        """Yield a sentence for each mistake in settings that have placeholders for values of accounts."""
        names, used = self.declared.names, {use.name for use in self._uses}
        for name in sorted({*placeholders(self.base_url)} - {*names}):
            yield f"BASE_URL has {{{name}}}, which ACCOUNTS doesn't name{did_you_mean(name, names)}"
        for name in names:
            if name not in used:
                yield f"ACCOUNTS names {name!r}, which no setting uses as {{{name}}}"
        yield from self._check_collisions()
        yield from self._check_places()
        yield from self._check_references()

    def _check_collisions(self) -> Iterator[str]:
        options = self._written.get("OPTIONS", {})
        for name in self.declared.names:
            if name in self._kind.option_types() and options.get(name) != f"{{{name}}}":
                how = f"set OPTIONS[{name!r}] to '{{{name}}}', or rename it"
                yield f"ACCOUNTS names {name!r}, which is an option as well: {how}"

    def _check_places(self) -> Iterator[str]:
        for use in self._uses:
            is_secret = use.name in self.declared.secrets
            problem = self._secret_misplaced(use) if is_secret else self._parameter_misplaced(use)
            if use.where.partition("[")[0] in FIXED:
                problem = "which is the same for all accounts"
            if problem:
                yield f"{use.where} has {{{use.name}}}, {problem}"

    def _check_references(self) -> Iterator[str]:
        for where, text in self._login.items():
            own = [name for name in placeholders(text) if name in self.declared.names]
            if own and is_reference(text):
                yield f"LOGIN[{where!r}] has {{{own[0]}}} in the name of a file or function, which is the same for all"

    def _secret_misplaced(self, use: Use) -> str:
        text = self._written.get("OPTIONS", {}).get(use.where)
        if use.place in _IN_URL:
            return "a secret, which URLs show"
        if use.place is Place.TEXT and isinstance(text, str) and use.where not in {*SECRETS, *MIXED}:
            return f"a secret, which only {', '.join(SECRETS)}, fields and headers may have"
        is_mixed = use.where in SECRETS and text != f"{{{use.name}}}"
        return "a secret, beside which there may be nothing else" if is_mixed else ""

    def _parameter_misplaced(self, use: Use) -> str:
        if use.where in SECRETS:
            return "a parameter, which is no secret; name it in ACCOUNTS['secrets']"
        if use.place is Place.PORT and not self.declared.parameters.get(use.name):
            return "a port, for which ACCOUNTS['parameters'] must have a pattern"
        if use.needs_hosts and not self.declared.hosts:
            return "which may lead anywhere; write where it may lead, such as ACCOUNTS['hosts'] = ['.example.com']"
        return ""

    # -- values

    def check_names(self, values: AccountValues) -> None:
        """Raise AccountMisconfigured for a value of a name that ACCOUNTS doesn't have."""
        kinds = {"parameter": (values.parameters, self.parameters), "secret": (values.secrets, self.secrets)}
        for kind, (given, declared) in kinds.items():
            for name in sorted(given.keys() - {*declared}, key=str):
                problem = f"there is no {kind} {name!r} in ACCOUNTS{did_you_mean(name, declared)}"
                raise self._misconfigured(values.account, problem)

    def _misconfigured(self, account: str, problem: str) -> AccountMisconfigured:
        how = remedies.setting(problem, command("upstream_login", self._alias, account))
        text = f"{full_name(self._alias, account)}: nothing was sent: {problem}; set: {how}"
        return AccountMisconfigured(text, reason=problem)

    def _problems(self, parameters: Mapping[str, Any], secrets: Secrets) -> Iterator[str]:
        yield from self._missing("parameter", self.parameters, parameters)
        yield from self._missing("secret", self.secrets, secrets)
        for name in self.parameters:
            if name in parameters and (problem := self._parameter_problem(name, parameters[name])):
                yield f"parameter {name!r} must be {problem}"
        for name in self.secrets:
            if name in secrets and (problem := self._secret_problem(name, secrets[name])):
                yield f"secret {name!r} must be {problem}"

    def _missing(self, kind: str, declared: list[str], given: Mapping[str, Any]) -> Iterator[str]:
        for name in declared:
            if name not in given:
                yield f"{kind} {name!r} is missing"

    def _parameter_problem(self, name: str, value: Any) -> str:
        # An address, or what stands for other characters, is no name of a host, but may be one of ``hosts``.
        places = self._places(name) - ({Place.HOST} if is_named(value, self.declared.hosts) else set())
        problem, pattern = parameter_problem(value, places), self.declared.parameters[name]
        if problem or pattern is None or pattern.fullmatch(value):
            return problem
        return f"as the pattern {pattern.pattern!r} says"

    def _secret_problem(self, name: str, value: Any) -> str:
        has_lines = any(use.name == name and use.where == "signing_key" for use in self._uses)
        return secret_problem(value, self._places(name), has_lines=has_lines)

    def _places(self, name: str) -> set[Place]:
        return {use.place for use in self._uses if use.name == name}

    # -- settings

    def of(self, values: AccountValues) -> AccountSettings:
        """Return the settings of one account; raises AccountMisconfigured with what is wrong with its values."""
        given = values.parameters if isinstance(values.parameters, Mapping) else {}
        try:
            secrets = values.secrets
        except DecryptionError as error:
            raise self._misconfigured(values.account, error.reason) from None
        if problem := next(self._problems(given, secrets), ""):
            raise self._misconfigured(values.account, problem)
        parameters = Secrets({name: given[name] for name in self.parameters})
        settings = self._filled(parameters, Secrets({name: secrets[name] for name in self.secrets}))
        if problem := next(chain(self._astray(settings), self._referring(settings)), ""):
            raise self._misconfigured(values.account, problem)
        return settings

    def of_none(self) -> AccountSettings:
        """Return settings with the names of values in place of these, which are checked and shown, but never sent."""
        parameters = Secrets({name: self._stand_in(name) for name in self.parameters})
        settings = self._filled(parameters, Secrets({name: name for name in self.secrets}))
        # Kept elsewhere, as far as this backend is concerned: its checks look at no content. It is never called.
        kept = {name: str for name in ("client_secret", "signing_key") if self._is_secret(name)}
        return settings._replace(options={**settings.options, **kept})

    def _is_secret(self, option: str) -> bool:
        return any(use.where == option and use.name in self.declared.secrets for use in self._uses)

    def _stand_in(self, name: str) -> str:
        places = self._places(name)
        if Place.PORT in places:
            return "1"
        if Place.HOST in places:
            host = next(iter(self.declared.hosts), ".example.com")
            return f"{_as_label(name)}{host}" if host.startswith(".") else host
        return _as_label(name)

    def _filled(self, parameters: Secrets, secrets: Secrets) -> AccountSettings:
        values = Secrets({**parameters, **secrets})
        options = {
            name: value if name in TEMPLATES else _filled_text(value, values)
            for name, value in self._written.get("OPTIONS", {}).items()
        }
        login = {name: _filled_text(value, values) for name, value in self._login.items()}
        base_url = filled_within(self.base_url, parameters, partial(quote, safe=""))
        return AccountSettings(base_url, options, login, parameters, secrets)

    def _astray(self, settings: AccountSettings) -> Iterator[str]:
        """Yield what is wrong with the hosts that values lead to."""
        for use in self._uses:
            if use.place in {Place.LABEL, Place.HOST, Place.PORT}:
                yield from self._astray_at(use, settings)

    def _astray_at(self, use: Use, settings: AccountSettings) -> Iterator[str]:
        url, hosts = self._url(use, settings), self.declared.hosts if use.place is not Place.PORT else ()
        host = urlsplit(url).hostname or ""
        is_ours = is_allowed_host(host, hosts) if hosts else is_host(host) or use.place is Place.PORT
        if not is_web_address(url) or (origin(url).host or "") != host or not is_ours:
            allowed = f"at {', '.join(hosts)}" if hosts else "the name of a host"
            yield f"parameter {use.name!r} must lead to a host that is {allowed}"

    def _referring(self, settings: AccountSettings) -> Iterator[str]:
        """Yield which values of a login name a file or a function by what several values make together."""
        for name, text in settings.login.items():
            if text != self._login[name] and is_reference(text):
                yield f"LOGIN[{name!r}] must not begin with file: or call: once values are filled in"

    def _url(self, use: Use, settings: AccountSettings) -> str:
        if use.where == "BASE_URL":
            return settings.base_url
        option, _, number = use.where.removesuffix("]").partition("[")
        found = settings.options.get(option, getattr(self._kind, option, ""))
        text = as_dict(found[int(number)]) if number else found
        text = text["path"] if isinstance(text, Mapping) else text
        texts = {name: self._text(name, settings) for name in template(text).names}
        return filled_within(text, texts, partial(quote, safe=""))

    def _text(self, name: str, settings: AccountSettings) -> str:
        own = {**settings.parameters, **settings.options}
        return str(own.get(name, getattr(self._kind, name, "")))


def _as_label(name: str) -> str:
    return name.replace("_", "-").strip("-")


def _filled_text(value: Any, values: Secrets) -> Any:
    """Return a text, or a list of texts, with its placeholders replaced; other options are templates or have none."""
    if isinstance(value, list | tuple):
        return type(value)(_filled_text(each, values) for each in value)
    if not isinstance(value, str) or not any(name in values for name in template(value).names):
        return value
    return filled_within(value, values)
