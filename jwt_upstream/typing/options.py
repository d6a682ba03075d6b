"""What OPTIONS of an upstream may have: the type of every option, what it does, and an example.

``docs/reference_tables.py`` makes the reference of these comments, and takes the defaults from the backends. Each ends
with an example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Required, TypeAlias, TypedDict

__all__ = ["Options", "RuleSettings", "Secret", "StepSettings"]

#: A secret itself, "file:PATH", "call:DOTTED.PATH", or a callable that returns it.
Secret: TypeAlias = str | Callable[[], str]


class RuleSettings(TypedDict, total=False):
    """A rule in OPTIONS["rules"]: how an answer is read."""

    verdict: Required[str]
    where: str | Sequence[str]
    status: int | Sequence[int]
    header: str
    json: str | Sequence[str]
    pattern: str


class StepSettings(TypedDict, total=False):
    """A step in OPTIONS["login_steps"]: a request before the login itself."""

    path: Required[str]
    method: str
    fields: Mapping[str, Any]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body_format: str
    client_authentication: str
    keep: Mapping[str, str]


class LoginOptions(TypedDict, total=False):
    """Logins and refreshes."""

    #: Where to log in: a path below ``BASE_URL``, or a whole URL. Example: ``"oauth/token"``
    login_path: str
    #: Where to refresh; empty: the ``login_path``. Example: ``"token/refresh/"``
    refresh_path: str
    #: The method of a login, ``"POST"``, ``"GET"``, ``"PUT"`` or ``"PATCH"``. With ``"GET"`` the fields go into the
    #: query. Example: ``"GET"``
    login_method: str
    #: The method of a refresh, one of the same. Example: ``"PUT"``
    refresh_method: str
    #: The fields of a login's body. Without fields there is no body.
    #: Example: ``{"email": "{username}", "password": "{password}"}``
    login_fields: Mapping[str, Any]
    #: The fields of a refresh's body. Example: ``{"refresh": "{refresh}"}``
    refresh_fields: Mapping[str, Any]
    #: Query parameters of a login. Example: ``{"grant_type": "password"}``
    login_query: Mapping[str, str]
    #: Query parameters of a refresh. Example: ``{"grant_type": "refresh_token"}``
    refresh_query: Mapping[str, str]
    #: Headers of a login. Example: ``{"X-Api-Key": "{api_key}"}``
    login_headers: Mapping[str, str]
    #: Headers of a refresh. Example: ``{"Authorization": "Bearer {refresh}"}``
    refresh_headers: Mapping[str, str]
    #: Headers of logins, refreshes and revocations. Example: ``{"X-Tenant": "acme"}``
    headers: Mapping[str, str]
    #: How a body is written: ``"json"``, ``"form"`` or ``"query"``. Example: ``"form"``
    body_format: str
    #: The format of a refresh, if it differs from that of a login; empty: the same. Example: ``"json"``
    refresh_format: str
    #: Requests before that of the login, in order; dicts with the fields of ``Step``.
    #: Example: ``[{"path": "challenge", "method": "GET", "keep": {"nonce2": "nonce"}}]``
    login_steps: Sequence[StepSettings]
    #: Whether a refresh is another login, for logins that ask for nothing, since options have all that they send.
    #: Example: ``True``
    refresh_repeats_login: bool


class ClientOptions(TypedDict, total=False):
    """The client and its JWTs."""

    #: The client's id, where the server wants one. Example: ``"shop"``
    client_id: str
    #: The client's secret. It may be kept in a file or be returned by a function, and there may be several.
    #: Example: ``"file:/run/secrets/crm"``
    client_secret: Secret | Sequence[Secret]
    #: A date before which the admins are told to replace the client secret. Example: ``"2027-01-31"``
    client_secret_expires_at: str
    #: How the client is sent: ``"none"``, ``"post"`` for fields of the body, or by HTTP Basic: ``"basic"``
    #: form-encodes id and secret first, as RFC 6749 (section 2.3.1) wants it, ``"basic_plain"`` does not;
    #: ``"private_key_jwt"``, ``"client_secret_jwt"`` and ``"assertion_file"`` prove it by a JWT. Example: ``"basic"``
    client_authentication: str
    #: A key to use as ``{api_key}``. Example: ``"k-123"``
    api_key: str
    #: The key that JWTs are signed with: PEM, with its certificate or without, a JWK, or Google's key file. It may be
    #: kept elsewhere, and there may be several. Example: ``"file:/run/secrets/key.pem"``
    signing_key: Secret | Sequence[Secret]
    #: The ``kid`` of JWTs; empty: the one in the key's own text. Example: ``"2027-a"``
    key_id: str
    #: The algorithm of JWTs; empty: the usual one for the kind of key. Example: ``"ES256"``
    signing_algorithm: str
    #: The absolute path of a file with a JWT, which is read anew for each request.
    #: Example: ``"/var/run/secrets/tokens/oidc"``
    assertion_file: Secret | Sequence[Secret]
    #: The ``aud`` of JWTs; empty: the URL of ``login_path``. Example: ``"https://sso.example.com"``
    assertion_audience: str
    #: Further claims of ``{assertion}``, in which placeholders stand for text options and
    #: ``{public_key_fingerprint}``, and ``None`` leaves a claim out. Example: ``{"scope": "orders", "nbf": None}``
    assertion_claims: Mapping[str, Any]
    #: Further fields of the header of JWTs; ``None`` leaves one out. Example: ``{"typ": "at+jwt"}``
    assertion_headers: Mapping[str, Any]
    #: For how many seconds a JWT is good from now on. Example: ``300``
    assertion_lifetime: float
    #: How many seconds in the past a JWT begins, since the server's clock may be behind. Example: ``60``
    clock_skew: float


class BrowserLoginOptions(TypedDict, total=False):
    """Logins with a browser, or with a code."""

    #: Where a login with a browser sends a person, the authorization endpoint; empty: nowhere. ``./`` and ``../`` are
    #: beside ``login_path``. Example: ``"./authorize"``
    authorize_path: str
    #: What that page's URL has besides the standard's parameters and ``scope``; empty ones are left out.
    #: Example: ``{"prompt": "consent"}``
    authorize_params: Mapping[str, str]
    #: Where the browser comes back to if nothing else is given: a URL that is registered at the server.
    #: Example: ``"https://shop.example.com/connected/"``
    redirect_uri: str
    #: How PKCE is done (RFC 7636), ``"S256"``; empty: not at all. Example: ``""``
    code_challenge_method: str
    #: What the ``iss`` of a redirect must be (RFC 9207), a URL or a path; empty: something of the origin of
    #: ``authorize_path``. Example: ``"https://sso.example.com"``
    issuer: str
    #: Whether every redirect must have an ``iss``. Example: ``True``
    requires_iss: bool
    #: Where a device login gets its codes, the device authorization endpoint of RFC 8628; empty: nowhere.
    #: Example: ``"./device"``
    device_path: str
    #: The fields of the request for codes. Example: ``{"client_id": "{client_id}", "scope": "orders"}``
    device_fields: Mapping[str, Any]
    #: The fields of a poll, which goes to ``login_path``; ``{device_code}`` is the secret code.
    #: Example: ``{"grant_type": "device", "code": "{device_code}"}``
    device_login_fields: Mapping[str, Any]
    #: How the client is sent with the request for codes, if it differs from ``client_authentication``.
    #: Example: ``"none"``
    device_authentication: str


class LogoutOptions(TypedDict, total=False):
    """Logouts."""

    #: Where the upstream is told of a logout; empty: nowhere. ``./`` and ``../`` are beside ``login_path``.
    #: Example: ``"./revoke"``
    revoke_path: str
    #: The method of a revocation, ``"POST"`` or ``"DELETE"``. Example: ``"DELETE"``
    revoke_method: str
    #: Its fields, in which ``{token}`` is the refresh token, or the access token if there is no other, and
    #: ``{token_type}`` is ``refresh_token`` or ``access_token``. Example: ``{"token": "{token}"}``
    revoke_fields: Mapping[str, Any]
    #: Its headers, with the same placeholders. Example: ``{"Authorization": "Bearer {access}"}``
    revoke_headers: Mapping[str, str]
    #: Its format, if it differs from that of a login. Example: ``"form"``
    revoke_format: str
    #: How the client is sent with it, if that differs from ``client_authentication``. Example: ``"post"``
    revoke_authentication: str


class ApiOptions(TypedDict, total=False):
    """Calls."""

    #: Headers of a call. Example: ``{"Authorization": "JWT {access}"}``
    api_headers: Mapping[str, str]
    #: Fields that are added to the query of a call; no log, error or redirect shows them.
    #: Example: ``{"access_token": "{access}"}``
    api_query: Mapping[str, str]
    #: What happens to a caller's own header or field that ``api_headers`` or ``api_query`` sets as well: with
    #: ``"refuse"`` the call raises ``InvalidHeader`` or ``InvalidURL``, with ``"replace"`` ours is sent in its place.
    #: Example: ``"replace"``
    caller_authorization: str
    #: Whether calls may not leave the path of ``BASE_URL``, however ``..`` is spelt. Example: ``True``
    within_base_url: bool
    #: Further origins of the same upstream that calls may send the token to.
    #: Example: ``["https://uploads.example.com"]``
    origins: Sequence[str]
    #: Where an answer says which address the API has for this account; ``"kept:name"`` is what a step has kept. Calls
    #: are joined to it, and are sent nowhere else; without one they go to ``BASE_URL``. Example: ``["instance_url"]``
    base_url_paths: Sequence[str]
    #: The hosts at which an address may be that an answer names, or all below a domain; ``https`` only.
    #: Example: ``["*.example.com"]``
    base_url_hosts: Sequence[str]
    #: What *Test* in the admin asks for, with the access token: a path whose GET changes nothing. Example: ``"me/"``
    test_path: str


class AnswerOptions(TypedDict, total=False):
    """How answers are read."""

    #: Where the access token is; the paths are tried in order. Example: ``["data.token"]``
    access_paths: Sequence[str]
    #: Where the refresh token is. Example: ``["cookie:refresh"]``
    refresh_paths: Sequence[str]
    #: Where the lifetime of the access token is. If the answer has neither this nor an expiry, a JWT's own ``exp``
    #: counts. Example: ``["data.ttl"]``
    expires_in_paths: Sequence[str]
    #: Where the expiry of the access token is, as epoch seconds or ISO 8601. Example: ``["data.expires"]``
    expires_at_paths: Sequence[str]
    #: Where the lifetime of the refresh token is. Example: ``["data.refresh_ttl"]``
    refresh_expires_in_paths: Sequence[str]
    #: Where the expiry of the refresh token is. Example: ``["data.refresh_expires"]``
    refresh_expires_at_paths: Sequence[str]
    #: The unit of lifetimes in answers, ``"s"`` or ``"ms"``. Example: ``"ms"``
    lifetime_unit: str
    #: The lifetime of an access token in seconds where neither the answer nor the token states it; 0: unknown.
    #: Example: ``3600``
    lifetime: float
    #: The same of a refresh token. Example: ``2592000``
    refresh_lifetime: float
    #: Where the message of an error is, to be stored and shown. Example: ``["error.text"]``
    message_paths: Sequence[str]
    #: Rules for verdicts, tried before those of the class; dicts with the fields of ``Rule``.
    #: Example: ``[{"verdict": "LOCKED", "where": "api", "status": 403, "json": "code", "pattern": "^SUSPENDED$"}]``
    rules: Sequence[RuleSettings]
    #: Statuses that mean that the account is locked. Example: ``[423]``
    locked_statuses: Sequence[int]
    #: Statuses of calls, besides 401, that mean that the token has expired; tried after all rules. Example: ``[498]``
    expired_statuses: Sequence[int]


class TransportOptions(TypedDict, total=False):
    """Time and transport."""

    #: The timeout of a call in seconds: to connect, and between two bytes. Example: ``(3.05, 60)``
    timeout: float | tuple[float, float]
    #: How many seconds a login or refresh may take in total. Example: ``5``
    deadline: float
    #: The CA bundle, as in requests; False verifies nothing. Example: ``"/etc/ssl/crm-ca.pem"``
    verify: bool | str
    #: The client certificate, as in requests: one file, or the certificate and its key.
    #: Example: ``("/etc/ssl/us.pem", "/etc/ssl/us.key")``
    cert: str | tuple[str, str] | None
    #: The proxies, as in requests. Example: ``{"https": "http://proxy.example.com:3128"}``
    proxies: Mapping[str, str] | None
    #: Whether a client keeps the upstream's cookies as long as it lives; not where ``api_headers`` has ``Cookie``.
    #: Example: ``True``
    keep_cookies: bool
    #: How often an idempotent call is repeated when the upstream is unreachable or busy. Example: ``2``
    retries: int
    #: The longest backoff before such a repetition, in seconds. Example: ``5``
    retry_backoff_max: float
    #: How many seconds no refresh is attempted after one has failed, doubled with each further failure. Example: ``2``
    backoff: float
    #: The longest such backoff, in seconds. Example: ``300``
    backoff_max: float
    #: The longest ``Retry-After``, or time until a rate limit is reset, that is honoured after a failed login or
    #: refresh, in seconds. Example: ``600``
    retry_after_max: float
    #: Headers that say when a rate limit is reset, for servers without ``Retry-After``, each with its kind.
    #: Example: ``{"X-RateLimit-Remaining": "remaining", "X-RateLimit-Reset": "epoch"}``
    rate_limit_headers: Mapping[str, str]
    #: How many seconds before its expiry a token is refreshed, at most half of its lifetime. Example: ``120``
    refresh_leeway: float
    #: For how many seconds a 401 causes no refresh after one that didn't help: it brought the same access token, or
    #: one that got a 401 as well. Example: ``300``
    min_refresh_interval: float
    #: After how many days the background refresh renews a pair whose access token expires later or nobody knows when,
    #: so that its refresh token doesn't lapse; 0 for never. Example: ``1``
    keep_alive: float
    #: How many credentials the background refresh renews at the same time, in each process. Example: ``8``
    max_concurrent_refreshes: int
    #: How many it renews at the same time in all processes together, as far as their leases show; 0 for no such limit.
    #: Example: ``10``
    max_concurrent_refreshes_overall: int


class ProductOptions(TypedDict, total=False):
    """Of some backends."""

    #: The API that the tokens are for. Example: ``"https://api.example.com/"``
    audience: str
    #: The id of the authorization server. Example: ``"aus123"``
    authorization_server: str
    #: The address of the service account; empty: the one in the key file.
    #: Example: ``"robot@shop.iam.gserviceaccount.com"``
    client_email: str
    #: The collection whose users log in. Example: ``"_superusers"``
    collection: str
    #: The host of your tenant, without ``https://`` and slashes. Example: ``"shop.eu.example.com"``
    domain: str
    #: The grant of a login, ``"password"`` or ``"client_credentials"``. Example: ``"client_credentials"``
    grant_type: str
    #: The number of the app's installation. Example: ``"1234567"``
    installation_id: str
    #: What is stored as the token, made of the values that a login asks for. Example: ``"{api_key}"``
    key_format: str
    #: Scopes that a login asks for, and does without. Example: ``"tickets"``
    optional_scope: str
    #: The realm. Example: ``"shop"``
    realm: str
    #: The region of the user pool. Example: ``"eu-central-1"``
    region: str
    #: The scopes that a login asks for, with spaces between them. Example: ``"orders invoices"``
    scope: str
    #: The user in whose name the service account acts. Example: ``"ann@example.com"``
    subject: str
    #: The audience of an id token, which is asked for in place of an access token.
    #: Example: ``"https://job-abc.a.run.app"``
    target_audience: str
    #: The id or domain of your tenant. Example: ``"contoso.onmicrosoft.com"``
    tenant: str
    #: The scopes that a login asks for in the person's own name. Example: ``"chat:write"``
    user_scope: str


class Options(
    LoginOptions,
    ClientOptions,
    BrowserLoginOptions,
    LogoutOptions,
    ApiOptions,
    AnswerOptions,
    TransportOptions,
    ProductOptions,
    total=False,
):
    """The OPTIONS of all backends of the app; the reference of the documentation says which backend has which."""
