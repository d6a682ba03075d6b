"""What calls are sent with: the token, and what else came with it, in headers, in the query and as the address."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.utils.functional import cached_property
from requests import PreparedRequest, Response
from urllib3.util import Url

from jwt_upstream.exceptions import UpstreamMisconfigured
from jwt_upstream.names import did_you_mean
from jwt_upstream.tokens import Secrets, TokenPair

from .core import (
    Requests,
    Template,
    Where,
    is_at,
    is_below,
    is_host_pattern,
    is_origin,
    is_web_address,
    lookup,
    origin,
    placeholders,
    same_values,
    shown_url,
    template,
    with_query,
)

#: Under which name the API's address is stored with a pair.
BASE_URL = "base_url"
_ANSWER = "answer."
#: Web servers take headers of 8 KiB.
_MAX_VALUE_CHARACTERS = 8 * 1024
_KEPT = "kept:"

#: The origin of an address that came with a token.
_origin = lru_cache(maxsize=1000)(origin)


class UnusableAnswer(ValueError):
    """An answer has a token, but not what calls need besides."""


class Calls(Requests):
    """The part of a backend that calls need; every annotated attribute is an option.

    ``{access}`` is the access token, ``{answer.organization.id}`` another value of the answer that it came with, and a
    name that a step keeps that value.
    """

    api_headers: Mapping[str, str] = {"Authorization": "Bearer {access}"}
    api_query: Mapping[str, str] = {}
    base_url_paths: tuple[str, ...] = ()
    caller_authorization: str = "refuse"
    within_base_url: bool = False
    origins: tuple[str, ...] = ()
    test_path: str = ""

    def _check_calls(self, kept: Iterable[str]) -> Iterator[str]:
        if self.caller_authorization not in {"refuse", "replace"}:
            yield f"caller_authorization must be 'refuse' or 'replace', not {self.caller_authorization!r}"
        tested = self.url(self.test_path)
        if not is_web_address(tested) or origin(tested) != origin(self.base_url):
            yield "test_path must be a path at BASE_URL, since no other host gets the token"
        yield from self._check_headers(("api_headers",))
        yield from self._check_functions(("api_headers", "api_query"))
        known = {"access", *kept, *self._texts}
        for name in sorted({*placeholders([self.api_headers, self.api_query])} - known):
            if not name.startswith(_ANSWER):
                told = f"not {{{name}}}{did_you_mean(name, known)}"
                yield f"calls may contain {{access}}, {{answer.…}}, text options and kept values, {told}"
        yield from self._check_base_url({*kept})
        yield from self._check_origins()

    def _check_origins(self) -> Iterator[str]:
        for written in self.origins:
            if not is_origin(written):
                # Not shown: there may be a password in it.
                yield "origins must have web addresses without user, path and wildcard: 'https://uploads.example.com'"
            elif origin(written).scheme not in {"https", self.origin.scheme}:
                yield f"origins has {written!r}, which is not encrypted, and BASE_URL is"
            elif self.within_base_url and origin(written) == self.origin:
                yield "origins has the origin of BASE_URL, all paths of which within_base_url forbids; take one out"

    def _check_base_url(self, kept: set[str]) -> Iterator[str]:
        for path in self.base_url_paths:
            if path.startswith(_KEPT) and path.removeprefix(_KEPT) not in kept:
                yield f"base_url_paths has {path!r}, but no step keeps that"
        if self.base_url_paths and not self.base_url_hosts:
            yield "base_url_paths needs base_url_hosts, such as ['*.example.com']: no other host may get the token"
        for pattern in self.base_url_hosts:
            if not is_host_pattern(pattern):
                yield f"base_url_hosts has {pattern!r}; write hosts such as 'api.example.com' or '*.example.com'"

    @cached_property
    def origin(self) -> Url:
        """The scheme, host and port that calls may send tokens to."""
        return origin(self.base_url)

    @cached_property
    def _further_origins(self) -> frozenset[Url]:
        return frozenset(map(origin, self.origins))

    # -- where a call goes

    #: Whether each account may have an address of its own, which is known with its token and not before.
    has_addresses = False

    def may_call(self, url: str, base_url: str = "") -> bool:
        """Tell whether calls to a URL may have the token; whatever sends calls asks this and nothing else.

        ``base_url`` is what ``address`` returns for the pair, ``BASE_URL`` by default. To the further ``origins`` any
        path may be called, ``within_base_url`` or not.
        """
        base_url = base_url or self.base_url
        if url.startswith(base_url) and not self.within_base_url:
            return True
        try:
            there = origin(url)
        except ValueError:
            return False
        if there in self._further_origins:
            return True
        is_there = there == (self.origin if base_url == self.base_url else _origin(base_url))
        return is_there and (not self.within_base_url or is_below(url, base_url))

    def address(self, pair: TokenPair) -> tuple[str, Url]:
        """Return the URL that calls with a pair are joined to, which ends with a slash, and its origin.

        Raises UpstreamMisconfigured for one that came with the token and is at none of ``base_url_hosts``.
        """
        if not self.base_url_paths or BASE_URL not in pair.answer:
            return self.base_url, self.origin
        url = pair.answer[BASE_URL]
        if not self._may_be_address(url):
            raise UpstreamMisconfigured(f"{self.alias}: not sent: {self._misplaced(url)}")
        return url, _origin(url)

    def _may_be_address(self, url: str) -> bool:
        return is_at(url, self.base_url_hosts) or (is_web_address(url) and _origin(url) == self.origin)

    def _misplaced(self, url: str) -> str:
        where = shown_url(url, ()) if is_web_address(url) else "none that can be called"
        return f"the API's address that came with the token is {where}, at none of base_url_hosts; correct OPTIONS"

    # -- what is stored with a pair

    def _stored_values(self, response: Response, kept: Mapping[str, Any]) -> dict[str, str]:
        found = {name: lookup(response, name.removeprefix(_ANSWER)) for name in self._of_answer}
        found |= {name: kept[name] for name in self._stored_names if name in kept}
        values = {name: text for name, value in found.items() if (text := _as_text(value))}
        if url := next(filter(None, (_as_text(value) for value in self._addresses(response, kept))), ""):
            values[BASE_URL] = self._completed(url)
        return values

    def with_stored_values(
        self, where: Where, pair: TokenPair, response: Response, kept: Mapping[str, Any]
    ) -> TokenPair:
        """Return a pair with what else of its answer must be stored; raises UnusableAnswer at a login.

        A pair that a refresh has brought is stored in any case, as there is no other: then calls say what is wrong.
        """
        values = self._stored_values(response, kept)
        if where == "login":
            self._check_stored(values)
        return replace(pair, answer=Secrets(pair.answer, **values)) if values else pair

    def _check_stored(self, values: Mapping[str, str]) -> None:
        if missing := [name for name in self._stored_names if name not in values]:
            raise UnusableAnswer(f"calls need {', '.join(missing)}, which the answer does not hold")
        if (url := values.get(BASE_URL)) and not self._may_be_address(url):
            raise UnusableAnswer(self._misplaced(url))

    def _addresses(self, response: Response, kept: Mapping[str, Any]) -> Iterator[Any]:
        for path in self.base_url_paths:
            yield kept.get(path.removeprefix(_KEPT)) if path.startswith(_KEPT) else lookup(response, path)

    def _completed(self, url: str) -> str:
        """Return an address with a scheme, with the path of ``BASE_URL`` if it has none, and a slash at its end."""
        url = url if "://" in url else f"https://{url}"
        try:
            has_path = urlsplit(url).path.strip("/")
        except ValueError:
            return url
        return f"{url.rstrip('/')}/" if has_path else urljoin(url, urlsplit(self.base_url).path)

    @cached_property
    def _stored_names(self) -> list[str]:
        """The names of what calls and refreshes need besides tokens and options."""
        needed = dict.fromkeys(placeholders([self.api_headers, self.api_query]))
        return [name for name in needed if name != "access" and name not in self._texts]

    @cached_property
    def _of_answer(self) -> list[str]:
        names = dict.fromkeys([*self._stored_names, *sorted(self._refresh_asks)])
        return [name for name in names if name.startswith(_ANSWER)]

    # -- the token

    def authorize(self, request: PreparedRequest, pair: TokenPair) -> None:
        """Add the access token, and what else calls are sent with, to a prepared request of a call.

        Raises UpstreamMisconfigured if a value is missing that should have come with the token.
        """
        if self._plain_headers is not None:
            for name, text in self._plain_headers.items():
                request.headers[name] = text.replace("{access}", pair.access)
            return
        values = Secrets(self._texts, **pair.answer, access=pair.access)
        try:
            with same_values():
                for name, text in self.api_headers.items():
                    request.headers[name] = template(text).fill(values)
                query = {name: template(text).fill(values) for name, text in self.api_query.items()}
        except KeyError as error:
            wanted = f"{self.alias}: not sent: no {{{error.args[0]}}} came with the token"
            raise UpstreamMisconfigured(f"{wanted}; log in again") from None
        if query:
            request.url = with_query(str(request.url), query)

    @cached_property
    def _plain_headers(self) -> Secrets | None:
        """The headers of calls, if the access token is all that is filled in anew for each."""
        templates: dict[str, Template] = {name: template(text) for name, text in self.api_headers.items()}
        if self.api_query or any(not each.is_plain({"access", *self._texts}) for each in templates.values()):
            return None
        if any("{access}" in secret for secret in self.own_account_secrets.values()):
            return None  # what somebody has entered is no place for the token
        values = {**self._texts, "access": "{access}"}
        return Secrets({name: each.fill(values) for name, each in templates.items()})


def _as_text(value: Any) -> str:
    """Return a text or number as a text, "" for anything else and for what no header or URL can carry."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(value).strip()
    # Too long a value is none, lest a pair that a refresh has brought is lost for it.
    is_good = text.isascii() and text.isprintable() and len(text) <= _MAX_VALUE_CHARACTERS
    return text if is_good else ""
