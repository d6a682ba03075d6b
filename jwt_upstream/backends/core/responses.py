"""What an upstream's answers mean: their verdict, token pair and reason. Reads answers, and sends nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import Any, Literal

from django.utils.functional import cached_property
from requests import Response

from jwt_upstream import clock, recorded
from jwt_upstream.formatting import one_line
from jwt_upstream.tokens import TokenPair, claimed_expiry, expiry_after, expiry_at

from .bodies import body, document, is_html, is_success, lookup, lookup_token
from .default_rules import DEFAULT_RULES
from .options import Configurable
from .redaction import masked, shown
from .verdicts import CALLS, Explanation, Rule, Verdict, Where

_BEARER = re.compile(r"^Bearer(\s+|$)", re.IGNORECASE)
Which = Literal["access", "refresh"]
#: Where the rules of all backends are said to be defined.
_DEFAULT = "default"


class Responses(Configurable):
    """The half of a backend that reads answers; every annotated attribute is an option.

    The paths of an option are tried in order. ``a.b.0.c`` is a path into a body of JSON or a form, ``header:Name`` the
    value of a header and ``cookie:name`` that of a cookie.
    """

    access_paths: tuple[str, ...] = ("access_token", "access", "token")
    refresh_paths: tuple[str, ...] = ("refresh_token", "refresh")
    expires_in_paths: tuple[str, ...] = ("expires_in",)
    expires_at_paths: tuple[str, ...] = ("expires_at",)
    refresh_expires_in_paths: tuple[str, ...] = ("refresh_expires_in", "refresh_token_expires_in")
    refresh_expires_at_paths: tuple[str, ...] = ("refresh_expires_at",)
    lifetime_unit: str = "s"
    lifetime: float = 0.0
    refresh_lifetime: float = 0.0
    message_paths: tuple[str, ...] = (
        "error_description",
        "message",
        "detail",
        "msg",
        "error.message",
        "error",
        "non_field_errors.0",
        "errors.0.message",
        "title",
    )

    rules: Sequence[Rule | Mapping[str, Any]] = DEFAULT_RULES
    locked_statuses: tuple[int, ...] = ()
    expired_statuses: tuple[int, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep secrets and control characters out of what a subclass's ``reason`` quotes."""
        super().__init_subclass__(**kwargs)
        if "reason" in cls.__dict__:
            setattr(cls, "reason", _redacting(cls.__dict__["reason"]))  # noqa: B010 -- not declared anew to mypy

    def _check_responses(self) -> Iterator[str]:
        if self.lifetime_unit not in {"s", "ms"}:
            yield f"lifetime_unit must be 's' or 'ms', not {self.lifetime_unit!r}"

    def verdict(self, where: Where, response: Response) -> Verdict:
        """Return what an answer means; ``where`` is what it answers: "api", "login" or "refresh".

        Reads at most a bounded part of the body, only if a rule needs it, and leaves the body readable.
        """
        return self.explain(where, response).verdict

    def explain(self, where: Where, response: Response) -> Explanation:
        """Return the verdict with the rule or default that gave it."""
        # What is said beside a new pair, of the old one say, takes nothing from it, unless the server's own rules do.
        has_pair = where != "api" and is_success(response) and bool(self._find(response, self.access_paths))
        for source, rule in self._rules_for(where, response.status_code):
            if not (has_pair and source.startswith(_DEFAULT)) and rule.matches(where, response):
                return Explanation(rule.verdict, rule, source)
        verdict, default = self._call_default(response) if where == "api" else self._token_default(where, response)
        return Explanation(verdict, None, default)

    def may_concern_token(self, status: int, headers: Container[str]) -> bool:
        """Tell whether an answer to a call with this status and these headers may be about our token or account."""
        if status == 401 or self._judges_itself:
            return True
        return any(not rule.header or rule.header in headers for _, rule in self._rules_for("api", status))

    def reads_body(self, status: int) -> bool:
        """Tell whether the verdict on an answer to a call with this status may depend on its body."""
        return self._judges_itself or any(rule.reads_body for _, rule in self._rules_for("api", status))

    @cached_property
    def _judges_itself(self) -> bool:
        """Whether a class of the project's own decides on answers by more than rules."""
        own = [cls for cls in type(self).__mro__ if not cls.__module__.startswith("jwt_upstream.")]
        return any({"verdict", "explain"} & vars(cls).keys() for cls in own)

    def _rules_for(self, where: Where, status: int) -> list[tuple[str, Rule]]:
        # Most rules are for statuses that most answers don't have; trying them all takes a fortieth of a call.
        try:
            return self._by_status[where, status]
        except KeyError:
            rules = [(source, rule) for source, rule in self._rules[where] if not rule.status or status in rule.status]
            return self._by_status.setdefault((where, status), rules)

    @cached_property
    def _by_status(self) -> dict[tuple[Where, int], list[tuple[str, Rule]]]:
        return {}

    @cached_property
    def _rules(self) -> dict[str, list[tuple[str, Rule]]]:
        rules = [(source, Rule.parse(rule)) for source, rule in self._written_rules()]
        return {where: [each for each in rules if where in each[1].where] for where in ("api", "login", "refresh")}

    def _written_rules(self) -> Iterator[tuple[str, Rule | Mapping[str, Any]]]:
        """Yield where each rule is defined and the rule, in the order in which they are tried."""
        yield from _numbered("OPTIONS", self._options.get("rules", ()))
        if self.locked_statuses:
            yield "locked_statuses", Rule(Verdict.LOCKED, status=self.locked_statuses)
        for cls in type(self).__mro__:
            yield from _numbered(_DEFAULT if cls is Responses else cls.__name__, cls.__dict__.get("rules", ()))
        if self.expired_statuses:
            yield "expired_statuses", Rule(Verdict.EXPIRED, CALLS, self.expired_statuses)

    def _call_default(self, response: Response) -> tuple[Verdict, str]:
        if response.status_code == 401:
            return Verdict.EXPIRED, recorded.STATUS % {"status": 401}
        if response.status_code < 400:
            return Verdict.OK, recorded.NO_ERROR
        return Verdict.PASS, recorded.OTHER_ERROR

    def _token_default(self, where: Where, response: Response) -> tuple[Verdict, str]:
        status = response.status_code
        if is_success(response):
            if self._find(response, self.access_paths):
                return Verdict.OK, recorded.SUCCESS
            return Verdict.TRANSIENT, recorded.NO_TOKEN
        if status < 400 or status >= 500 or status in {408, 409, 425, 429}:
            return Verdict.TRANSIENT, recorded.STATUS % {"status": status}
        if status in {401, 403}:
            return self._refusal(where, response)
        return Verdict.CONFIG, recorded.STATUS % {"status": status}

    def _refusal(self, where: Where, response: Response) -> tuple[Verdict, str]:
        about = {"status": response.status_code}
        # A web page comes from something in front of the token endpoint, and says nothing about the token.
        if document(response) is not None or not body(response).strip():
            return Verdict.REJECTED, recorded.REFUSAL % about
        return Verdict.TRANSIENT, recorded.NO_REFUSAL % about

    def token_pair(self, where: Where, response: Response, now: datetime | None = None) -> TokenPair:
        """Return the token pair of an answer with its expiries; ``now`` is when the request was sent.

        A missing refresh token is "": the one that was sent stays valid. Raises ValueError if there is no access
        token, or if a token has characters that a header can't carry.
        """
        now = now or clock.now()
        access = self._find(response, self.access_paths)
        if not access:
            raise ValueError("the answer holds no access token")
        refresh = self._find(response, self.refresh_paths)
        return TokenPair(
            access,
            refresh,
            self._expiry("access", response, access, now),
            self._expiry("refresh", response, refresh, now),
        )

    def _expiry(self, which: Which, response: Response, token: str, now: datetime) -> datetime | None:
        return next((expiry for _, _, expiry in self.expiries(which, response, token, now) if expiry), None)

    def _find(self, response: Response, paths: Iterable[str]) -> str:
        return next((text for _, text in self.tokens_at(response, paths) if text), "")

    def tokens_at(self, response: Response, paths: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield each path with the token at it, "" for none."""
        for path in paths:
            value = lookup_token(response, path)
            # Headers, and the bodies of some servers, have the scheme in front of the token.
            yield path, _BEARER.sub("", value.strip()) if isinstance(value, str) else ""

    def expiries(
        self, which: Which, response: Response, token: str, now: datetime
    ) -> Iterator[tuple[str, Any, datetime | None]]:
        """Yield each place that may state an expiry, its value there and what that means; the first expiry counts."""
        prefix = "" if which == "access" else "refresh_"
        unit = 0.001 if self.lifetime_unit == "ms" else 1.0
        for path in getattr(self, f"{prefix}expires_in_paths"):
            value = lookup_token(response, path)
            yield path, value, expiry_after(value, now, unit)
        for path in getattr(self, f"{prefix}expires_at_paths"):
            value = lookup_token(response, path)
            yield path, value, expiry_at(value)
        yield "exp claim", None, claimed_expiry(token, now)
        lifetime = getattr(self, f"{prefix}lifetime")
        yield f"option {prefix}lifetime", lifetime, expiry_after(lifetime, now) if token else None

    def reason(self, response: Response, secrets: Iterable[str] = ()) -> str:
        """Return the status and message of an answer in about 200 characters, without secrets and tokens."""
        texts = (lookup(response, path) for path in self.message_paths)
        message = next((text for text in texts if isinstance(text, str) and text.strip()), "")
        if not message and is_html(response):
            message = "an HTML page"
        return f"HTTP {response.status_code}" + (f": {shown(message, secrets)}" if message else "")


def _redacting(reason: Callable[..., str]) -> Callable[..., str]:
    @wraps(reason)
    def redacted(self: Responses, response: Response, secrets: Iterable[str] = ()) -> str:
        known = list(secrets)
        return one_line(masked(reason(self, response, known), known))

    return redacted


def _numbered(
    source: str, rules: Sequence[Rule | Mapping[str, Any]]
) -> Iterator[tuple[str, Rule | Mapping[str, Any]]]:
    for number, rule in enumerate(rules):
        yield f"{source} rules[{number}]", rule
