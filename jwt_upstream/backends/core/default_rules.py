"""The rules for answers of any server, gateway or firewall, by standards and by widespread conventions.

They are tried after a backend's own rules. A login or refresh may be refused for reasons other than the password or
token: a rate limit, a gateway's API key, the IP address that we call from, a field missing from our settings. Giving
up a credential for one of those would be the worst mistake, so the common ways to state them are recognized here, in
any of the usual places of an answer.
"""

from __future__ import annotations

from .verdicts import CALLS, TOKEN_REQUESTS, Rule, Verdict

_REFUSAL_STATUSES = (400, 401, 403, 422, 423)
#: Where a refusal may stand that leaves no doubt. Some servers refuse with 200, or with 500 by an exception of theirs.
_ANY_REFUSAL = (200, 400, 401, 403, 404, 409, 410, 419, 422, 423, 440, 498, 500)

#: Where servers state an error, as a sentence or a code.
ERROR_PATHS = (
    "error",
    "error_description",
    "message",
    "Message",
    "detail",
    "msg",
    "reason",
    "title",
    "non_field_errors",
    "code",
    "error_code",
    "errorCode",
    "error.message",
    "error.code",
    "error.status",
    "errors.0",
    "errors.0.message",
    "errors.0.detail",
    "errors.0.code",
    "errors.0.extensions.code",
    "fault.faultstring",
    "fault.detail.errorcode",
)
#: The same of token endpoints; the last are those of ArcGIS, league/oauth2-server and of field errors.
TOKEN_ERROR_PATHS = (
    *ERROR_PATHS,
    *("error_message", "errorMessage", "error_msg", "errorDescription", "error_type", "err", "description", "status"),
    *("Error", "ErrorMessage", "ErrorDescription", "ErrorCode", "Code", "exception", "statusMessage"),
    *("hint", "error_hint", "refresh_token", "refresh", "refreshToken", "errors.refresh_token", "errors.refreshToken"),
    *("data.message", "data.error", "data.code", "error.error", "error.error_description", "error.description"),
    *("error.detail", "error.type", "error.reason", "errors.0.title", "errors.message", "meta.message"),
)
#: A challenge that no token can satisfy, such as a proxy's Basic authentication (RFC 9110, section 11.6.1).
_OTHER_CHALLENGE = r"^(?!.*\b(Bearer|DPoP|jwt)\b)\s*(Basic|Digest|Negotiate|NTLM|Key|ApiKey)\b"
# RFC 6749 section 5.2, RFC 8707, RFC 9449, and additions of Google, Salesforce and fosite. ``access_denied`` is not an
# error of token endpoints but of the authorization endpoint (section 4.1.2.1); if they use it, a policy is meant.
_CLIENT_ERRORS = (
    r"^(\w{1,30}_client(_\w{1,30})?|invalid_(request|scope|target|resource|dpop_proof|redirect_uri)|redirect_uri_mismatch"
    r"|unsupported_\w+|use_dpop_nonce|access_denied|scope_not_granted|org_internal)$"
)
_SERVER_ERRORS = (
    r"^(temporarily_unavailable|server_error|internal_\w+|slow_down|rate_?limit\w*|too_many_\w+|throttl\w+)$"
)
# Descriptions of an ``invalid_grant`` which is not about the grant: a failure of the server's own; an IP address, a
# client or an issuer that is not allowed.
_SERVER_FAILURE = (
    r"\btransient\b|\btimed?[ -]?out\b|\bretry\b|too many|\brequest loop\b|\brate[ -]?limit|\bunable to connect\b"
)
_WRONG_CLIENT = r"\bip\b.{0,99}\brestrict|\bissuer\b|\bclient\b.{0,99}\bnot allowed to\b"
_BUSY = (
    r"too[ _-]?many(?! (segments|parts))|\brate[ _-]?limit|throttl|\bquota\b"
    r"|(try|retry) again (in|later|after)|retry later|temporar"
    r"|system problem|internal (server )?error|something went wrong|unavailable|maintenance|overload"
    r"|\b(request|connection|gateway) time(d )?[ _-]?out|could not connect|connection (refused|reset)|database error"
)
_STORE_DOWN = (
    r"\b(database|redis|cache|store|network|ldap|connection)\b.{0,30}\b(timeout|timed out|down|unreachable"
    r"|fail(ed|ure)|lost|closed)\b|\binvalid response from\b|\bcheck whether\b"
)
#: The same from servers that answer in their own language although English is requested.
_BUSY_TRANSLATED = (
    r"réessayer|problème système|zu viele|später noch|systemproblem|demasiad|inténtelo|problema del sistema"
    r"|troppi|riprova|errore di sistema|te veel|probeer het|technisch probleem|zbyt (dużo|wiele)|spróbuj ponownie"
    r"|problemu z systemem|(muitas|várias) tentativas|tente (novamente|mais tarde)|problema no sistema"
)
_STEP_UP = r"\b(fresh token|step[ -]?up)\b|(mfa|2fa|otp|(two|multi)[ _-]?factor)\b.{0,40}\brequired|mfa_required"

#: About the calling application, which a gateway checks before any user or token.
_APPLICATION = (
    r"(api|subscription|consumer|application|developer)[ _-]?(key|id)\b|\bclient[ _-]?(id|key|secret|credentials|auth)"
    r"|client certificate|csrf|xsrf|captcha|\bbots?\b|\bwaf\b|\borigin\b.{0,40}\ballowed"
    r"|\bip\b.{0,40}\b(allow|block|denied|forbidden|restrict|white|permit)"
    r"|\b(tenant|realm|workspace)\b.{0,40}\b(not (found|exist|enabled)|unknown|disabled|invalid)"
    r"|\b(unknown|invalid) (tenant|realm|workspace)\b|\b(your|this) (country|region)\b|user[ -]agent\b|firewall"
    r"|security policy|https (is )?required|request signature|\bclock skew|\bnonce\b"
)
#: About our request: something is missing, or it was sent to the wrong place.
_REQUEST = (
    r"content[ _-]type|media type|method\b.{0,20}\bnot (allowed|supported)|format is authorization|no route matched"
    r"|\b(in|from) (the )?(request|cookies?|body|headers?|payload)\b|full authentication is required"
    r"|^missing\b(?!.*\b(invalid|expired)\b)|^no (auth|bearer|token|jwt)[a-z]*\b(?!.*\b(valid|match))"
    r"|^(?!.*\bvalid\b).*\b(token|header|field|parameter|username|email|password|credentials|body)\b"
    r".{0,20}\b((is|are) (missing|required|empty)|not (been )?(provided|supplied|given|sent|present|included)\b)"
    r"|\bmust (include|provide|contain|be (provided|supplied|sent))\b"
    r"|^no (valid )?refresh[ _]token (was )?(found|provided|given|sent|supplied|specified)\b"
    r"|^invalid refresh[ _]token (request|header|parameter|field|grant|type|endpoint)|\brequired field\b"
    r"|\b(this|another|other|different) client\b|\bclient\b.{0,20}\bmismatch|\bgrant\b.{0,20}\bnot (allowed|enabled)"
    r"|\bcookie not (found|set)|sign in or sign up"
)
#: What access control in front of a token endpoint says; the endpoint itself would speak of the token.
_ACCESS_CONTROL = (
    r"^(403:? )?(unauthori[sz]ed|forbidden( resource)?|access (is )?denied|(request )?(forbidden|blocked)"
    r"|permission[ _]denied)[.!]?$"
    r"|\bpermissions?\b.{0,40}\b(to|for|required|denied)\b|insufficient (scope|permission|privilege|right)"
    r"|cannot consume this service|\baction is unauthori[sz]ed|^not authenticated"
)
_NOT_ALLOWED = r"\bnot (authori[sz]ed|allowed|permitted) to\b(?!.*\b((log|sign)[ -]?in|authenticate)\b)"

_STATES = r"(disabled|locked|suspended|blocked|banned|deactivated|inactive|deleted|closed|terminated|expired)"
_VERB = r"((?!token|session|password|key|licen)[\w.@+-]+ )?(is|has|has been|was)"
#: The account's state as the whole message or code, so that "before your account is locked" doesn't match.
ACCOUNT = (
    rf"^(sorry,? )?((your|this|the) )?(user|account|user account)( {_VERB})?[ _.-]{_STATES}[.!]?$"
    rf"|^{_STATES}[ _](user|account)[.!]?$"
)
#: The same said to a call, as a whole sentence. A code or title, and a sentence that names an account or points at one
#: ("user bob", "this account"), may be about another than ours.
_OUR_ACCOUNT = rf"^(sorry[,.]? )?(your )?(user|account|user account) (is|has|has been|was) {_STATES}[.!]?$"
#: Where the message of an answer to a call stands; codes, titles and what token endpoints say stand elsewhere.
_MESSAGE_PATHS = ("message", "Message", "detail", "msg", "error.message", "errors.0.message", "errors.0.detail")
_ABOUT_TOKEN = r"token|\bjwt\b|\bsession\b|\bsignature has expired\b"
_UNCONFIRMED = (
    r"\b(e-?mail|account)\b[\w ]{0,40} not (been |yet )?(verified|confirmed|activated|active)\b"
    r"|(email|account|user)_not_(verified|confirmed|activated|active)\b|\b(confirm|verify) your e-?mail"
)
#: A name that the server doesn't know; not a field that the request lacks, nor a URL or a table.
_WHO = r"(user([ _-]?(name|account))?|account|e-?mail([ _-]address)?)"
_UNKNOWN_USER = (
    r"^(?=.{1,300}$)(?!.*(/|\b(field|column|table|page|route|url|(in|from) (the )?(request|body|payload))\b))"
    r"(.*[^a-z])?("
    rf"{_WHO}[^a-z](.{{0,80}}[^a-z])?"
    r"(not[ _](be[ _])?(found|registered|exist)|(doesn't|cannot|can't|couldn't) (exist|be found))"
    rf"|(could not|couldn't|cannot|can't|unable to) find (an? |the |your |any )?{_WHO}(?![a-z])"
    rf"|(no such|unknown|unregistered)[ _]{_WHO}(?![ _]?agent|[a-z])"
    rf"|no {_WHO} ((was )?found|exists|(registered )?(with|for|by|matching)) )"
)
_WRONG_PASSWORD = (
    r"\b(invalid|incorrect|wrong|bad)\b(?!.*\bclient)[\w ,/-]{0,60}\b(credentials?|password|login)\b"
    r"|unable to log ?in with|(bad|invalid|incorrect|wrong)_(login_|user_)?(credentials|password)"
    rf"|credentials do not match|{_UNKNOWN_USER}"
)
# -- a refresh token that is dead, in sentences and codes: "Unauthorized: the refresh token has expired, log in again",
# "InvalidRefreshTokenException". The whole message must be about that, and what follows may only explain it.
_REFRESH_TOKEN = r"refresh[ _.-]?(token|jwt)"
_BEGINNING = (
    r"(^|[.:;,!?)\]>/\"-] ?|\b(err(or)?|e|auth|oauth2?|code|exception)[ _.-])"
    r"((the|your|this|that|an?|provided|given|supplied|submitted|specified|current|stored|old|user'?s?|jwt"
    r"|oauth ?2?(\.0)?)[ _-]){0,4}"
)
_FILLING = (
    r"( ?['\"(\[][^'\"()\[\]]{1,60}['\")\]])?"
    r"([ _.-]?(is|was|has|had|been|already|either|now|that|which|you|sent|provided|supplied|given|submitted|presented"
    r"|used|passed|string|value|seems|appears|to|be|could)(?![a-z])){0,7}[ _.-]?"
)
_DEAD_ADJECTIVE = (
    r"(invalid(ated)?|inactive|expired|revoked|(black|block|deny)[ -]?listed|unknown|unrecogni[sz]ed|malformed"
    r"|consumed|rotated|replaced|superseded|deleted|reused|rejected|bad|wrong|incorrect|already[ _-]?(been[ _-])?used)"
)
_DEAD_PREDICATE = (
    rf"({_DEAD_ADJECTIVE}|already redeemed|(?<=been)[ _-]used|re-?use[ _-]?((has|was) (been )?)?detect(ed|ion)|reuse"
    r"|(not|no longer)[ _-]?((be|been)[ _-]found|valid|found|exist(s|ing)?|recogni[sz]ed|active|in (the )?database)"
    r"|does(n't| ?not)[ _-]exist)"
)
_END = (
    r"(?=\W*$|[.,;:!)\]]|exception|error"
    r"|[ _-]+(or|and|by|due|because|since|please|at|on|for user|provided|supplied|given|specified|sent|found|error"
    r"|exception|-|–|\())"
)
#: What makes a message one about the request, the client, or a server that could not find out.
_OTHER_CAUSE = (
    r"\b(?<!bad )(?<!sign-in )(?<!signin )(?<!login )requests?\b|\b(?<!login )(?<!authentication )required\b"
    r"|\b(requires?|missing|cookies?|body|headers?|payload|parameters?|fields?|client([ _-]?\w{1,12})?|clients"
    r"|api[ _-]?key|applications?|issuer|audience|scopes?|tenant"
    r"|realm|region|environment|origin|ip|\w{0,12}mismatch\w{0,3}|match(es)?|whether|if|unless|until|before|when"
    r"|services?|servers?|redis|cache|backend|network|connection|timeout|timed|unavailable|internal|temporar\w{1,4}"
    r"|maintenance|overload(ed)?|retry|rate|limit(s|ed)?|quota|too many|(try|retry) (again )?(in|later|after)"
    r"|configur\w{1,6})\b|(?<!not in )(?<!not in the )\bdatabase\b"
)
_IN_ENGLISH = (
    rf"^(?=.*refresh)(?!.*({_OTHER_CAUSE})).*{_BEGINNING}("
    rf"{_DEAD_ADJECTIVE}([ ,_/-]{{1,2}}((or|and)[ _-])?{_DEAD_ADJECTIVE}){{0,3}}[ _.-]?((jwt|oauth2?)[ _-])?"
    rf"{_REFRESH_TOKEN}{_END}|{_REFRESH_TOKEN}s?{_FILLING}{_DEAD_PREDICATE}{_END}"
    rf"|(no such|could not find) (the )?{_REFRESH_TOKEN}{_END})"
)
#: The same from servers that answer in their own language although English is requested.
_TRANSLATED = (
    r"^(ungültiges|abgelaufenes) refresh[- ]?token\W*$"
    r"|^(das |der |dein |ihr )?(refresh|aktualisierungs)[- ]?token (ist |wurde )?"
    r"(ungültig|abgelaufen|widerrufen|gesperrt|nicht gefunden|nicht gültig)\b"
    r"|^(le )?(refresh[- ]?token|jeton (de )?(rafra[iî]chissement|renouvellement|d'actualisation)) ((est|a|a été) )?"
    r"(invalide|expiré|révoqué|introuvable)\b"
    r"|^(el |o |il )?(refresh[- ]?token|token (de (actualización|refresco|renovación|atualização)|di aggiornamento)) "
    r"((es|está|fue|ha|é|foi|è|è stato) )?((no es|não é|não|non è|non) v[áa]lido|inv[áa]lido|expirado|expirou|caducado"
    r"|scaduto|revocado|revogado|revocato)\b"
    r"|^refresh[- ]?token is (ongeldig|verlopen|ingetrokken)\b"
    r"|^(刷新|refresh ?)(令牌|token) ?(已|无效|過期|过期|失效|不存在)"
    r"|^(リフレッシュ|refresh ?)(トークン|token)[がはの]?(無効|期限|失効)"
    r"|^(refresh[- ]?token|токен обновления) (недействителен|ист[её]к|отозван|не найден)\b"
)
_REFRESH_TOKEN_DEAD = f"{_IN_ENGLISH}|{_TRANSLATED}"
#: The state of our token; messages about another one (of a form, a device, a password reset) name it.
_KINDS = r"((the|your|provided|given|incoming|access|auth|authentication|authorization|bearer|session|jwt)[ _-]?)*"
_TOKEN = rf"{_KINDS}(token|jwt|session)( provided)?[ _-]?((is|has|was|has been)[ _])?"
_TOKEN_EXPIRED = (
    rf"^({_TOKEN}|refresh has )(expired|revoked|blacklisted|invalid or expired|expired or invalid)\b"
    rf"|^(invalid or expired|expired or invalid) {_KINDS}(token|jwt|session)[.!]?$"
)
_SESSION_GONE = (
    r"^((the|your|user) )?(session|grant)[ _-]((is|was|has|has been)[ _])?"
    r"(not[ _-]found|expired|revoked|terminated|no longer (valid|active)|does not exist)[.!]?$"
    r"|^token re-?use (was |has been )?detected\b"
)
_TOKEN_NOT_VALID = r"^(given )?token (is )?(invalid|not valid)\b"
# A gateway that found no API key, or no credentials in the request at all.
_GATEWAY = (
    r"\bapi[ _-]?key\b|subscription key|not configured"
    r"|authentication credentials (were not|are missing|(could )?not (be )?found)"
)

DEFAULT_RULES: tuple[Rule, ...] = (
    # -- answers to calls; most of their words are about the application's own business
    Rule(Verdict.LOCKED, CALLS, (401,), json=_MESSAGE_PATHS, pattern=_OUR_ACCOUNT),
    # RFC 6750 section 3.1 and RFC 9470: a refreshed token would be refused as well.
    Rule(Verdict.PASS, CALLS, header="WWW-Authenticate", pattern=r"\berror=\"?insufficient_"),
    Rule(
        Verdict.PASS,
        CALLS,
        (401,),
        json=ERROR_PATHS,
        pattern=rf"csrf|xsrf|^(?!.*\b(token|jwt|session)\b).*({_APPLICATION})",
    ),
    Rule(
        Verdict.PASS, CALLS, (401,), json=ERROR_PATHS, pattern=rf"^(?!.*\b(expired|invalid)\b).*({_STEP_UP}|{_BUSY})"
    ),
    # A server with several ways to authenticate may send the challenge of one and speak of another: Django REST
    # framework's is that of the first class (``APIView.get_authenticate_header``), whichever refused.
    Rule(Verdict.EXPIRED, CALLS, (401,), json=ERROR_PATHS, pattern=_ABOUT_TOKEN),
    Rule(Verdict.PASS, CALLS, (401,), header="WWW-Authenticate", pattern=_OTHER_CHALLENGE),
    # RFC 6750 section 3.1: it is about the token that came with the request. Words alone may be about any other.
    Rule(
        Verdict.EXPIRED,
        CALLS,
        (400, 403),
        header="WWW-Authenticate",
        pattern=r"^\s*Bearer\b.*\berror=\"?invalid_token",
    ),
    # -- answers to logins and refreshes
    Rule(
        Verdict.LOCKED,
        TOKEN_REQUESTS,
        json="message",
        pattern=r"^Account is disabled\.?$",
        status=(400, 401, 403, 423),
    ),
    # The error codes of OAuth 2 (RFC 6749, section 5.2), by whatever status.
    Rule(Verdict.TRANSIENT, TOKEN_REQUESTS, json="error", pattern=_SERVER_ERRORS),
    Rule(Verdict.TRANSIENT, TOKEN_REQUESTS, _ANY_REFUSAL, json="error_description", pattern=_SERVER_FAILURE),
    Rule(Verdict.CONFIG, TOKEN_REQUESTS, _ANY_REFUSAL, json="error_description", pattern=_WRONG_CLIENT),
    Rule(Verdict.REJECTED, TOKEN_REQUESTS, _ANY_REFUSAL, json=TOKEN_ERROR_PATHS, pattern=r"^invalid_grant$"),
    # Rate limits in the form of a refusal; further attempts would prolong them.
    Rule(Verdict.TRANSIENT, TOKEN_REQUESTS, _ANY_REFUSAL, header="Retry-After"),
    Rule(Verdict.TRANSIENT, TOKEN_REQUESTS, (401, 403), header="X-RateLimit-Remaining", pattern=r"^0$"),
    Rule(Verdict.TRANSIENT, TOKEN_REQUESTS, (401, 403), header="RateLimit-Remaining", pattern=r"^0$"),
    Rule(Verdict.TRANSIENT, TOKEN_REQUESTS, _REFUSAL_STATUSES, pattern=_BUSY),
    Rule(
        Verdict.TRANSIENT,
        TOKEN_REQUESTS,
        _REFUSAL_STATUSES,
        json=ERROR_PATHS,
        pattern=f"{_BUSY_TRANSLATED}|{_STORE_DOWN}",
    ),
    Rule(
        Verdict.REJECTED,
        TOKEN_REQUESTS,
        _ANY_REFUSAL,
        header="WWW-Authenticate",
        pattern=r"\berror=\"?invalid_grant\b",
    ),
    # Words about the refresh token outrank a code that is about the client (Jira's, that of league/oauth2-server 8).
    Rule(
        Verdict.REJECTED,
        ("refresh",),
        _ANY_REFUSAL,
        json=TOKEN_ERROR_PATHS,
        pattern=_REFRESH_TOKEN_DEAD,
    ),
    # A text and nothing else, as Express sends it.
    Rule(
        Verdict.REJECTED, ("refresh",), _ANY_REFUSAL, pattern=rf"^(?=[^<>{{}}\n]{{1,200}}\n?$)({_REFRESH_TOKEN_DEAD})"
    ),
    # 501 is Auth0's status for an unknown grant type.
    Rule(Verdict.CONFIG, TOKEN_REQUESTS, (200, 400, 401, 403, 501), json=ERROR_PATHS, pattern=_CLIENT_ERRORS),
    # Answers of gateways: AWS; Kong, by a header which answers from behind it don't have; Cloudflare; the bot
    # protection of DataDome and PerimeterX. A resource that names its metadata (RFC 9728) is not a token endpoint.
    Rule(Verdict.CONFIG, TOKEN_REQUESTS, (401, 403), header="x-amzn-ErrorType"),
    Rule(Verdict.CONFIG, TOKEN_REQUESTS, (401, 403), header="X-Kong-Response-Latency"),
    Rule(Verdict.CONFIG, TOKEN_REQUESTS, (401, 403), json="cloudflare_error"),
    Rule(Verdict.CONFIG, TOKEN_REQUESTS, (403,), json=("url", "blockScript"), pattern="captcha"),
    Rule(Verdict.CONFIG, TOKEN_REQUESTS, (401, 403), header="WWW-Authenticate", pattern="resource_metadata"),
    Rule(
        Verdict.LOCKED,
        TOKEN_REQUESTS,
        (400, 401, 403, 422, 423),
        json=ERROR_PATHS,
        pattern=f"{ACCOUNT}|{_UNCONFIRMED}",
    ),
    # No token but the refresh token was sent; one that is called an access token belongs to something in front.
    Rule(
        Verdict.REJECTED,
        ("refresh",),
        (400, 401, 403, 404, 410, 422, 440, 498),
        json=TOKEN_ERROR_PATHS,
        pattern=rf"^(?!.*\b(access|bearer|auth\w*)[ _-]?token)({_TOKEN_EXPIRED}|{_SESSION_GONE})",
    ),
    # A challenge outranks no word about the token, as in answers to calls.
    Rule(Verdict.REJECTED, ("refresh",), (401, 403), json=TOKEN_ERROR_PATHS, pattern=_TOKEN_NOT_VALID),
    Rule(Verdict.CONFIG, TOKEN_REQUESTS, (401, 403), header="WWW-Authenticate", pattern=_OTHER_CHALLENGE),
    Rule(Verdict.REJECTED, ("login",), (400, 404, 422), json=ERROR_PATHS, pattern=_WRONG_PASSWORD),
    Rule(Verdict.REJECTED, ("login",), (401, 403), json=ERROR_PATHS, pattern=_STEP_UP),
    Rule(Verdict.CONFIG, TOKEN_REQUESTS, (401, 403), pattern=_GATEWAY),
    # From access control in front of the token endpoint: a stale token was sent, or the path requires one.
    Rule(
        Verdict.CONFIG,
        TOKEN_REQUESTS,
        (401,),
        json="message",
        pattern=r"^((Expired|Invalid) JWT Token|JWT Token not found)$",
    ),
    Rule(
        Verdict.CONFIG,
        TOKEN_REQUESTS,
        (401, 403),
        json=ERROR_PATHS,
        pattern=f"{_APPLICATION}|{_REQUEST}|{_STEP_UP}|{_NOT_ALLOWED}",
    ),
    Rule(Verdict.CONFIG, TOKEN_REQUESTS, (403,), json=ERROR_PATHS, pattern=_ACCESS_CONTROL),
    # In answer to a refresh it may be about a bearer token; a login sends none.
    Rule(Verdict.CONFIG, ("login",), (401,), json=ERROR_PATHS, pattern=r"^unauthenticated\.?$"),
)
