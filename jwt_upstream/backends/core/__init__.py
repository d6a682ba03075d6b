"""What every backend is built from: requests, responses, rules, transport and redaction."""

from __future__ import annotations

from . import options, transport
from .bodies import MAX_BODY_BYTES, body, document, drain, is_html, lookup, media_type
from .default_rules import ACCOUNT
from .diagnosis import asked, leaves, shown_url, without_token
from .redaction import cause, error_chain, masked, shown
from .requests import Requests
from .responses import Responses, Which
from .retry_after import retry_after, stated_wait
from .templates import filled, placeholders
from .transport import BoundedConnection, use_connections
from .urls import is_below, is_web_address, origin
from .verdicts import CALLS, REFUSALS, TOKEN_REQUESTS, Outcome, Rule, Verdict, Where

__all__ = [
    "ACCOUNT",
    "CALLS",
    "MAX_BODY_BYTES",
    "REFUSALS",
    "TOKEN_REQUESTS",
    "BoundedConnection",
    "Outcome",
    "Requests",
    "Responses",
    "Rule",
    "Verdict",
    "Where",
    "Which",
    "asked",
    "body",
    "cause",
    "document",
    "drain",
    "error_chain",
    "filled",
    "is_below",
    "is_html",
    "is_web_address",
    "leaves",
    "lookup",
    "masked",
    "media_type",
    "options",
    "origin",
    "placeholders",
    "retry_after",
    "shown",
    "shown_url",
    "stated_wait",
    "transport",
    "use_connections",
    "without_token",
]
