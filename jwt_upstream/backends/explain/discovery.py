"""What a server says of itself (RFC 8414, OpenID Connect Discovery): fetched once, at set-up time, and checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.utils.translation import gettext as _
from requests import Request, RequestException, Response
from urllib3.exceptions import HTTPError

from jwt_upstream.backends.core import (
    cause,
    document,
    is_encrypted_or_local,
    is_html,
    is_success,
    is_web_address,
    media_type,
    origin,
    transport,
)

#: How long each document may take, and how many redirects within the origin are followed.
_SECONDS = 10.0
_MAX_REDIRECTS = 3
_MAX_CHARACTERS = 2000
_MAX_ITEMS = 500
_OPENID, _OAUTH = "openid-configuration", "oauth-authorization-server"
_WELL_KNOWN = re.compile(rf"(?P<before>.*)/\.well-known/(?P<name>{_OPENID}|{_OAUTH})(?P<behind>/.*)?")


class NotDiscovered(Exception):
    """There is no usable document; the message is a sentence that says why."""


@dataclass(frozen=True)
class Metadata:
    """The part of a document that settings are made of; "" and () for what it doesn't state.

    ``document`` is where it was found. The names of the rest are those of RFC 8414 (section 2) and RFC 9207 (3).
    """

    document: str
    issuer: str
    token_endpoint: str
    authorization_endpoint: str = ""
    device_authorization_endpoint: str = ""
    revocation_endpoint: str = ""
    scopes_supported: tuple[str, ...] = ()
    grant_types_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ()
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...] = ()
    code_challenge_methods_supported: tuple[str, ...] = ()
    authorization_response_iss_parameter_supported: bool = False


def discover(url: str) -> Metadata:
    """Return what the server with this issuer says of itself; ``url`` may be the address of its document as well.

    Every place is tried where a document may be: below the issuer, and between its host and its path. Raises
    NotDiscovered with what was wrong at each, if none has a document that states this issuer (RFC 8414, section 3.3;
    a slash at the end makes no difference) and only endpoints with https, or on this machine. Follows no redirect to
    another origin, and reads a bounded part of an answer.
    """
    issuer = _issuer(url)
    problems = []
    for address in dict.fromkeys(_addresses(issuer)):
        try:
            return _metadata(issuer, address, _fetched(address))
        except NotDiscovered as problem:
            problems.append(f"{address}: {problem}")
    text = _("found nothing to make settings of. %(problems)s")
    raise NotDiscovered(text % {"problems": "; ".join(problems)})


def _issuer(url: str) -> str:
    """Return the issuer that a URL is, or that is in the address of a document."""
    if not _is_protected(url) or {"?", "#"} & {*url}:
        # Not repeated, since it may hold a password.
        raise NotDiscovered(_("it takes an https:// URL (http:// on this machine only) without user and query"))
    parts = urlsplit(url)
    if found := _WELL_KNOWN.fullmatch(parts.path):
        path = found["before"] + (found["behind"] or "")
        return parts._replace(path=path).geturl()
    return url


def _is_protected(url: str) -> bool:
    is_printable = url.isprintable() and " " not in url and len(url) <= _MAX_CHARACTERS
    return is_printable and is_web_address(url) and is_encrypted_or_local(url)


def _addresses(issuer: str) -> Iterator[str]:
    parts = urlsplit(issuer.rstrip("/"))
    # OpenID Connect Discovery, section 4.1; RFC 8414, sections 3.1 and 5. The last is where servers under a prefix
    # have it that only append.
    yield f"{parts.geturl()}/.well-known/{_OPENID}"
    for name in (_OAUTH, _OPENID):
        yield parts._replace(path=f"/.well-known/{name}{parts.path}").geturl()
    yield f"{parts.geturl()}/.well-known/{_OAUTH}"


def _fetched(address: str) -> Response:
    url = address
    for _number in range(_MAX_REDIRECTS + 1):
        response = _got(url)
        if not response.is_redirect:
            return response
        url = _target(url, response)
    raise NotDiscovered(_("more than %(number)d redirects") % {"number": _MAX_REDIRECTS})


def _target(url: str, response: Response) -> str:
    try:
        target = urljoin(url, response.headers["Location"])
        if origin(target) == origin(url):
            return target
    except ValueError:
        pass
    raise NotDiscovered(_("redirects to another origin, where nothing is read"))


def _got(url: str) -> Response:
    with transport.Deadline(_SECONDS) as deadline, transport.OneRequest.within(deadline) as session:
        prepared = session.prepare_request(Request("GET", url, headers={"Accept": "application/json"}))
        settings = session.merge_environment_settings(url, {}, True, None, None)
        try:
            return session.send_within_deadline(prepared, **{**settings, "timeout": _SECONDS})
        except (RequestException, HTTPError, OSError, ValueError) as error:
            raise NotDiscovered(cause(error)) from None


def _metadata(issuer: str, address: str, response: Response) -> Metadata:
    said = document(response)
    if not is_success(response):
        raise NotDiscovered(f"HTTP {response.status_code}")
    if not isinstance(said, dict) or media_type(response) == "application/x-www-form-urlencoded":
        raise NotDiscovered(_("a web page, not a JSON object") if is_html(response) else _("not a JSON object"))
    _check_issuer(issuer, said.get("issuer"))
    return Metadata(address, **_values(said))


def _check_issuer(asked: str, said: Any) -> None:
    if isinstance(said, str) and said.rstrip("/") == asked.rstrip("/"):
        return
    if not isinstance(said, str) or not said.isprintable() or len(said) > _MAX_CHARACTERS:
        raise NotDiscovered(_("states no issuer"))
    text = _("its issuer is '%(said)s', not '%(asked)s'; if that is the server you mean, ask for it")
    if "{tenantid}" in said:  # Entra's, for "common", "organizations" and "consumers"
        text = _("its issuer is '%(said)s'; ask with the id of your tenant in place of {tenantid}")
    raise NotDiscovered(text % {"said": said, "asked": asked})


def _values(said: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {"issuer": said["issuer"]}
    for field in fields(Metadata):
        stated = said.get(field.name)
        if field.name.endswith("_endpoint"):
            values[field.name] = _endpoint(field.name, stated)
        elif field.type == "bool":
            values[field.name] = stated is True
        elif field.name.endswith("_supported"):
            values[field.name] = _texts(stated)
    if not values["token_endpoint"]:
        raise NotDiscovered(_("has no token_endpoint: this server issues no tokens to programs"))
    return values


def _endpoint(name: str, url: Any) -> str:
    if url is None or url == "":
        return ""
    if not isinstance(url, str) or not _is_protected(url):
        text = _("its %(name)s is no https:// URL, so what is sent there would be read on the way")
        raise NotDiscovered(text % {"name": name})
    return url


def _texts(items: Any) -> tuple[str, ...]:
    if not isinstance(items, list):
        return ()
    texts = (item for item in items[:_MAX_ITEMS] if isinstance(item, str) and 0 < len(item) <= _MAX_CHARACTERS)
    return tuple(text for text in texts if text.isprintable())
