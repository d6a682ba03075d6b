"""What ``upstream_probe --discover`` prints: settings to copy, and what the server supports."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jwt_upstream.backends.core import DEVICE_GRANT
from jwt_upstream.backends.explain import Metadata, Proposal

_LABEL_WIDTH = 22


def discovery_lines(metadata: Metadata, proposal: Proposal, alias: str, width: int) -> Iterator[str]:
    """Yield what a person reads: the settings, what they must know, and what the server supports."""
    yield _("%(issuer)s is %(product)s. What follows is from") % {
        "issuer": metadata.issuer,
        "product": proposal.product,
    }
    yield f"{metadata.document}."
    yield ""
    yield _("An entry for JWT_UPSTREAM:")
    yield ""
    yield from textwrap.indent("\n".join(_settings(proposal, alias)), " " * 4).splitlines()
    yield ""
    for note in proposal.notes:
        yield textwrap.fill(note, width, break_long_words=False, break_on_hyphens=False)
    yield ""
    yield _("The server supports:")
    yield ""
    for label, text in supported(metadata).items():
        yield _labelled(_(label), text, width)


def discovery_data(metadata: Metadata, proposal: Proposal) -> dict[str, Any]:
    """Return the same as a dict for JSON."""
    return {
        "issuer": metadata.issuer,
        "document": metadata.document,
        "product": proposal.product,
        "settings": {"BACKEND": proposal.backend, "BASE_URL": proposal.base_url, "OPTIONS": proposal.options},
        "notes": list(proposal.notes),
        "supports": supported(metadata),
    }


def _settings(proposal: Proposal, alias: str) -> Iterator[str]:
    yield f"{_literal(alias)}: {{"
    yield f'    "BACKEND": {_literal(proposal.backend)},'
    yield f'    "BASE_URL": {_literal(proposal.base_url)},'
    yield '    "OPTIONS": {'
    for name, value in proposal.options.items():
        comment = "  # " + _("of your registration at the server") if name == "client_id" else ""
        yield f"        {_literal(name)}: {_value(name, value, alias)},{comment}"
    yield "    },"
    yield "},"


def _value(name: str, value: Any, alias: str) -> str:
    if name in {"client_secret", "signing_key"}:
        return f'env("{re.sub(r"[^A-Z0-9]+", "_", alias.upper()).strip("_")}_{name.upper()}")'
    return _literal(value)


def _literal(value: Any) -> str:
    # The JSON of a text is Python as well, with the quotes of our pages.
    return str(value) if isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


def supported(metadata: Metadata) -> dict[str, str]:
    """Return what the document says of each matter, by its English name; "not stated" is not the same as "no"."""
    has_iss = metadata.authorization_response_iss_parameter_supported
    return {
        gettext_noop("grants"): _listed(metadata.grant_types_supported),
        "PKCE": _listed(metadata.code_challenge_methods_supported),
        gettext_noop("browser login"): _where(metadata.authorization_endpoint),
        gettext_noop("iss in redirects"): _("yes") if has_iss else _("not stated"),
        gettext_noop("device login"): _device(metadata),
        gettext_noop("client authentication"): _listed(metadata.token_endpoint_auth_methods_supported),
        gettext_noop("signed with"): _listed(metadata.token_endpoint_auth_signing_alg_values_supported),
        gettext_noop("revocation"): _where(metadata.revocation_endpoint),
        gettext_noop("scopes"): _listed(metadata.scopes_supported),
        gettext_noop("rotation"): _("unknown: no document states whether a refresh brings a new refresh token"),
    }


def _listed(items: tuple[str, ...]) -> str:
    return ", ".join(items) or _("not stated")


def _where(endpoint: str) -> str:
    return endpoint or _("not stated")


def _device(metadata: Metadata) -> str:
    if not metadata.device_authorization_endpoint and DEVICE_GRANT in metadata.grant_types_supported:
        return _("yes, but the document doesn't say where")
    return _where(metadata.device_authorization_endpoint)


def _labelled(label: str, text: str, width: int) -> str:
    head, indent = f"  {label:<{_LABEL_WIDTH - 1}} ", " " * (_LABEL_WIDTH + 2)
    return textwrap.fill(
        text, width, initial_indent=head, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
