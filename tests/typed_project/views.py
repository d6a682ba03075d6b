"""Views whose calls and errors a type checker knows."""

from __future__ import annotations

from datetime import datetime
from typing import Unpack, assert_type

from django.http import HttpRequest, HttpResponse, JsonResponse
from requests import Response, Timeout

from jwt_upstream.client import UpstreamClient
from jwt_upstream.exceptions import CredentialError, RefreshUnavailable, UpstreamError
from jwt_upstream.tokens import AccessToken, TokenPair
from jwt_upstream.typing import CallOptions, StoredCredential
from jwt_upstream.views import UpstreamErrorMiddleware, answer_upstream_errors


@answer_upstream_errors
def orders(request: HttpRequest, page: int) -> HttpResponse:
    """Call as requests does."""
    with UpstreamClient("crm", account="acme") as client:
        response = client.get("orders/", params={"page": page}, headers={"Accept": "application/json"}, timeout=5)
    assert_type(response, Response)
    return JsonResponse(response.json())


@answer_upstream_errors(also=(Timeout,))
async def upload(request: HttpRequest) -> HttpResponse:
    """Await calls."""
    client = UpstreamClient("crm")
    sent = await client.apost("orders/", json={"lines": [1, 2]}, timeout=(3, 10), stream=True, verify="ca.pem")
    assert_type(sent, Response)
    await client.aget("orders/", params=[("page", "2")], headers=None, auth=None, hooks={"response": print})
    await client.arequest("PATCH", "orders/1/", data={"state": "paid"}, allow_redirects=False)
    assert_type(await client.atoken(), AccessToken)
    assert_type(await client.arun(len, "four"), int)
    await client.aget("orders/", parms={"page": 2})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await client.aget("orders/", timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.ahead("orders/", stream="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return HttpResponse(status=sent.status_code)


async def call(path: str, **kwargs: Unpack[CallOptions]) -> Response:
    """Pass on what a call takes."""
    return await UpstreamClient("crm").aget(path, **kwargs)


def of_errors(client: UpstreamClient) -> str:
    """Ask what an error has."""
    try:
        assert_type(client.refresh(), TokenPair)
    except CredentialError as error:
        assert_type(error.credential, StoredCredential | None)
        assert_type(error.since, datetime | None)
        if error.credential is None or error.credential.acount:  # type: ignore[attr-defined]  # pyright: ignore
            return error.reason
        return f"{error.credential.upstream}/{error.credential.account}: {error.credential.remedy}"
    except RefreshUnavailable as error:
        return f"{error.retry_after or 0:.0f} s"
    except UpstreamError as error:
        return str(error)
    return ""


# A decorated view is still what it was.
assert_type(orders(HttpRequest(), 2), HttpResponse)
orders(HttpRequest(), "2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class GatewayMiddleware(UpstreamErrorMiddleware):
    """Answers more errors."""

    errors = (*UpstreamErrorMiddleware.errors, Timeout)
