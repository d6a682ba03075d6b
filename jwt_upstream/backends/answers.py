"""What an upstream's answers mean: verdict, token pair, reason. Reads answers, asks for none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from django.utils import timezone
from requests import Response

from jwt_upstream.tokens import TokenPair, claimed_end, end_after, end_at

from .bodies import body, document, is_html, lookup
from .failures import shown
from .verdicts import Rule, Verdict, Where

_BASIC_ONLY = r"^(?!.*\b(Bearer|DPoP|jwt)\b)\s*Basic\b"
_CLIENT_ERRORS = r"^(invalid_client|invalid_request|unauthorized_client|unsupported_grant_type|invalid_scope)$"
_BUSY = r"too[ _]many|\brate[ _-]?limit|throttl|try again (in|later)|temporar|system problem|unavailable"
_BEARER = re.compile(r"^Bearer(\s+|$)", re.IGNORECASE)
_API: tuple[Where, ...] = ("api",)
_ASKING: tuple[Where, ...] = ("login", "refresh")


class Answers:
    """The half of a backend that reads; every annotated attribute is an option.

    Paths into answers are tried in order; see ``bodies.lookup`` for their form.
    """

    access_paths: tuple[str, ...] = ("access_token", "access", "token")
    refresh_paths: tuple[str, ...] = ("refresh_token", "refresh")
    expires_in_paths: tuple[str, ...] = ("expires_in",)
    expires_at_paths: tuple[str, ...] = ("expires_at",)
    refresh_expires_in_paths: tuple[str, ...] = ("refresh_expires_in", "refresh_token_expires_in")
    refresh_expires_at_paths: tuple[str, ...] = ("refresh_expires_at",)
    #: "s" or "ms": what the lifetimes in answers are counted in.
    lifetime_unit: str = "s"
    #: Seconds that a token lives where the answer doesn't say and the token is no JWT; 0: unknown.
    lifetime: float = 0.0
    refresh_lifetime: float = 0.0
    message_paths: tuple[str, ...] = ("error_description", "message", "detail", "msg", "error.message", "error")

    #: Tried before the class's own ``rules``, in order; dicts with the fields of ``Rule``.
    rules: Sequence[Rule | Mapping[str, Any]] = (
        Rule(Verdict.LOCKED, json="message", pattern=r"^Account is disabled\.?$", status=(400, 401, 403, 423)),
        # RFC 6750 section 3.1 and RFC 9470: another token of the same kind would be refused as well.
        Rule(Verdict.PASS, _API, header="WWW-Authenticate", pattern=r"\berror=\"?insufficient_"),
        Rule(Verdict.PASS, _API, status=(401,), header="WWW-Authenticate", pattern=_BASIC_ONLY),
        Rule(Verdict.EXPIRED, _API, (403,), header="WWW-Authenticate", pattern=r"^\s*Bearer\b.*\binvalid_token\b"),
        Rule(Verdict.TRANSIENT, _ASKING, json="error", pattern=r"^(temporarily_unavailable|server_error|slow_down)$"),
        Rule(Verdict.REJECTED, _ASKING, (400, 401, 403), json="error", pattern=r"^invalid_grant$"),
        Rule(Verdict.CONFIG, _ASKING, (400, 401, 403), json="error", pattern=_CLIENT_ERRORS),
        # The answer of an API's guard, not of the token endpoint: a stale token went along, or the path is behind it.
        Rule(
            Verdict.CONFIG,
            _ASKING,
            (401,),
            json="message",
            pattern=r"^((Expired|Invalid) JWT Token|JWT Token not found)$",
        ),
        # Rate limits that come as a refusal; knocking on would make them worse, giving up would be wrong.
        Rule(Verdict.TRANSIENT, _ASKING, (400, 401, 403), header="Retry-After"),
        Rule(
            Verdict.TRANSIENT,
            _ASKING,
            (400, 401, 403),
            pattern=_BUSY,
        ),
    )
    locked_statuses: tuple[int, ...] = ()
    refresh_on: tuple[int, ...] = ()

    _options: Mapping[str, Any] = {}

    def _check_answers(self) -> Iterator[str]:
        if self.lifetime_unit not in {"s", "ms"}:
            yield f"lifetime_unit must be 's' or 'ms', not {self.lifetime_unit!r}"

    def verdict(self, where: Where, response: Response) -> Verdict:
        """Say what an answer means; ``where`` is what was asked: "api", "login" or "refresh".

        Reads the body only if a rule wants it, a bounded part of it, and leaves it to be read.
        """
        return self.explain(where, response)[0]

    def explain(self, where: Where, response: Response) -> tuple[Verdict, Rule | None]:
        """Return the verdict with the rule which gave it, None for the defaults."""
        for rule in self._rules[where]:
            if rule.matches(where, response):
                return rule.verdict, rule
        return (self._api_default if where == "api" else self._asked_default)(response), None

    @cached_property
    def _rules(self) -> dict[str, list[Rule]]:
        rules = [Rule.parse(rule) for rule in self._written_rules()]
        return {where: [rule for rule in rules if where in rule.where] for where in ("api", "login", "refresh")}

    def _written_rules(self) -> Iterator[Rule | Mapping[str, Any]]:
        yield from self._options.get("rules", ())
        if self.locked_statuses:
            yield Rule(Verdict.LOCKED, status=self.locked_statuses)
        for cls in type(self).__mro__:
            yield from cls.__dict__.get("rules", ())
        if self.refresh_on:
            yield Rule(Verdict.EXPIRED, _API, self.refresh_on)

    def _api_default(self, response: Response) -> Verdict:
        if response.status_code == 401:
            return Verdict.EXPIRED
        return Verdict.OK if response.status_code < 400 else Verdict.PASS

    def _asked_default(self, response: Response) -> Verdict:
        status = response.status_code
        if 200 <= status < 300:
            return Verdict.OK if self._find(response, self.access_paths) else Verdict.TRANSIENT
        if status < 400 or status >= 500 or status in {408, 425, 429}:
            return Verdict.TRANSIENT
        return self._refusal(response) if status in {401, 403} else Verdict.CONFIG

    def _refusal(self, response: Response) -> Verdict:
        # Not the token endpoint's own words: a page, or the wall of a proxy in front of it, says nothing of the token.
        if re.search(_BASIC_ONLY, response.headers.get("WWW-Authenticate", ""), re.IGNORECASE):
            return Verdict.CONFIG
        is_its_own = document(response) is not None or not body(response).strip()
        return Verdict.REJECTED if is_its_own else Verdict.TRANSIENT

    def token_pair(self, where: Where, response: Response, now: datetime | None = None) -> TokenPair:
        """Take the pair and its lifetimes out of an answer; ``now`` is when it was asked for.

        Raises ValueError where no access token stands, or one that no header can carry. A missing refresh token is "":
        the one that was used stays good.
        """
        now = now or timezone.now()
        access = self._find(response, self.access_paths)
        if not access:
            raise ValueError("the answer holds no access token")
        refresh = self._find(response, self.refresh_paths)
        end = self._end(response, self.expires_in_paths, self.expires_at_paths, access, now)
        refresh_end = self._end(response, self.refresh_expires_in_paths, self.refresh_expires_at_paths, refresh, now)
        return TokenPair(
            access,
            refresh,
            end or end_after(self.lifetime, now),
            refresh_end or (end_after(self.refresh_lifetime, now) if refresh else None),
        )

    def _find(self, response: Response, paths: Iterable[str]) -> str:
        found = (lookup(response, path) for path in paths)
        # In a header, and from some servers in the body as well, the scheme comes with the token.
        texts = (_BEARER.sub("", value.strip()) for value in found if isinstance(value, str))
        return next(filter(None, texts), "")

    def _end(
        self, response: Response, lifetimes: Iterable[str], moments: Iterable[str], token: str, now: datetime
    ) -> datetime | None:
        unit = 0.001 if self.lifetime_unit == "ms" else 1.0
        ends: Iterator[datetime | None] = (end_after(lookup(response, path), now, unit) for path in lifetimes)
        ends_at: Iterator[datetime | None] = (end_at(lookup(response, path)) for path in moments)
        return next(filter(None, ends), None) or next(filter(None, ends_at), None) or claimed_end(token, now)

    def reason(self, response: Response, secrets: Iterable[str] = ()) -> str:
        """Return what the upstream said, in about 200 characters, without secrets and what looks like a token."""
        texts = (lookup(response, path) for path in self.message_paths)
        said = next((text for text in texts if isinstance(text, str) and text.strip()), "")
        if not said and is_html(response):
            said = "an HTML page"
        return f"HTTP {response.status_code}: {shown(said, secrets)}" if said else f"HTTP {response.status_code}"
