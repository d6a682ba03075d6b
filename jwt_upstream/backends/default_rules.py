"""What any server's answers mean, by the standards and by what many servers share; tried after a backend's own."""

from __future__ import annotations

from .verdicts import Rule, Verdict, Where

BASIC_ONLY = r"^(?!.*\b(Bearer|DPoP|jwt)\b)\s*Basic\b"
# RFC 6749 section 5.2, RFC 8707, RFC 9449, and what Google, Salesforce and fosite add. ``access_denied`` is no error
# of a token endpoint (section 4.1.2.1 has it for a browser's way): where one says it, a policy or a realm is meant.
_CLIENT_ERRORS = (
    r"^(\w{1,30}_client(_\w{1,30})?|invalid_(request|scope|target|resource|dpop_proof|redirect_uri)|redirect_uri_mismatch"
    r"|unsupported_\w+|use_dpop_nonce|access_denied|scope_not_granted|org_internal)$"
)
_SERVER_ERRORS = (
    r"^(temporarily_unavailable|server_error|internal_\w+|slow_down|rate_?limit\w*|too_many_\w+|throttl\w+)$"
)
# Said with ``invalid_grant`` by servers that mean something else: trouble of their own; an address, a client or a name
# of the server which is not the right one.
_NOT_NOW = (
    r"\btransient\b|\btimed?[ -]?out\b|\bretry\b|too many|\brequest loop\b|\brate[ -]?limit|\bunable to connect\b"
)
_NOT_HERE = r"\bip\b.{0,99}\brestrict|\bissuer\b|\bclient\b.{0,99}\bnot allowed to\b"
_BUSY = r"too[ _]many|\brate[ _-]?limit|throttl|try again (in|later)|temporar|system problem|unavailable"
# What a gateway or a guard in front says: it misses the application's key or right, and has seen no token.
_GATE = r"\bapi[ _-]?key\b|subscription key|authentication credentials (were not|are missing|not found)|not configured"
_GATE_403 = r"\"PERMISSION_DENIED\"|\"message\":\s*\"forbidden( resource)?\.?\"|\"error\":\s*\"unauthorized\""
_API: tuple[Where, ...] = ("api",)
_ASKING: tuple[Where, ...] = ("login", "refresh")

DEFAULT_RULES: tuple[Rule, ...] = (
    Rule(Verdict.LOCKED, json="message", pattern=r"^Account is disabled\.?$", status=(400, 401, 403, 423)),
    # RFC 6750 section 3.1 and RFC 9470: another token of the same kind would be refused as well.
    Rule(Verdict.PASS, _API, header="WWW-Authenticate", pattern=r"\berror=\"?insufficient_"),
    Rule(Verdict.PASS, _API, status=(401,), header="WWW-Authenticate", pattern=BASIC_ONLY),
    Rule(Verdict.EXPIRED, _API, (403,), header="WWW-Authenticate", pattern=r"^\s*Bearer\b.*\binvalid_token\b"),
    Rule(Verdict.TRANSIENT, _ASKING, json="error", pattern=_SERVER_ERRORS),
    Rule(Verdict.TRANSIENT, _ASKING, (400, 401, 403), json="error_description", pattern=_NOT_NOW),
    Rule(Verdict.CONFIG, _ASKING, (400, 401, 403), json="error_description", pattern=_NOT_HERE),
    Rule(Verdict.REJECTED, _ASKING, (400, 401, 403), json="error", pattern=r"^invalid_grant$"),
    # 501 is Auth0's status for grants that it doesn't know.
    Rule(Verdict.CONFIG, _ASKING, (400, 401, 403, 501), json="error", pattern=_CLIENT_ERRORS),
    # The answer of an API's guard, not of the token endpoint: a stale token went along, or the path is behind it.
    Rule(
        Verdict.CONFIG,
        _ASKING,
        (401,),
        json="message",
        pattern=r"^((Expired|Invalid) JWT Token|JWT Token not found)$",
    ),
    # Amazon's API Gateway, which says 403 for an unknown path as well.
    Rule(Verdict.CONFIG, _ASKING, (401, 403), header="x-amzn-ErrorType"),
    Rule(Verdict.CONFIG, _ASKING, (401, 403), pattern=_GATE),
    Rule(Verdict.CONFIG, _ASKING, (403,), pattern=_GATE_403),
    # Rate limits that come as a refusal; knocking on would make them worse, giving up would be wrong.
    Rule(Verdict.TRANSIENT, _ASKING, (400, 401, 403), header="Retry-After"),
    Rule(
        Verdict.TRANSIENT,
        _ASKING,
        (400, 401, 403),
        pattern=_BUSY,
    ),
)
