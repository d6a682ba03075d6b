"""Amazon Cognito as moto plays it, a client with a secret; an API that asks it with GetUser whose a token is."""

from __future__ import annotations

import os
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from serving import serve_wsgi
from werkzeug.test import Client as Asking
from werkzeug.wrappers import Request, Response

os.environ |= {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests", "AWS_DEFAULT_REGION": "us-east-1"}

cognito = DomainDispatcherApplication(create_backend_app)
asking = Asking(cognito)


def ask(operation: str, **fields: Any) -> Response:
    """Ask moto as the AWS clients do."""
    credential = "AWS4-HMAC-SHA256 Credential=tests/20260101/us-east-1/cognito-idp/aws4_request"
    headers = {
        "X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"{credential}, SignedHeaders=host, Signature=none",
    }
    return asking.post("/", json=fields, headers=headers)


def order(operation: str, **fields: Any) -> Any:
    """Have an administrator do something."""
    answer = ask(operation, **fields)
    if answer.status_code != 200:
        raise RuntimeError(answer.get_data(as_text=True))
    return answer.get_json(force=True)


def app(environ: Any, start_response: Any) -> Any:
    """Answer /me by what Cognito says of the token; everything else is Cognito's."""
    request = Request(environ)
    if request.path != "/me":
        return cognito(environ, start_response)
    answer = ask("GetUser", AccessToken=request.headers.get("Authorization", "").removeprefix("Bearer "))
    return Response(answer.get_data(), answer.status_code, content_type=answer.content_type)(environ, start_response)


pool = order("CreateUserPool", PoolName="tests")["UserPool"]["Id"]


def client(name: str) -> dict[str, Any]:
    """Make an application client with a secret."""
    flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    made: dict[str, Any] = order(
        "CreateUserPoolClient", UserPoolId=pool, ClientName=name, GenerateSecret=True, ExplicitAuthFlows=flows
    )["UserPoolClient"]
    return made


made = client("app under test")


def for_user(operation: str, **fields: Any) -> Any:
    """Return an order about a user."""
    return lambda username, *more: order(
        operation, UserPoolId=pool, Username=username, **fields, **({"Password": more[0]} if more else {})
    )


def create(username: str, password: str) -> None:
    """Add a user, with nothing left to do at the first login."""
    for_user("AdminCreateUser")(username)
    for_user("AdminSetUserPassword", Permanent=True)(username, password)


if __name__ == "__main__":
    serve_wsgi(
        app,
        {
            "create": create,
            "lock": for_user("AdminDisableUser"),
            "unlock": for_user("AdminEnableUser"),
            "delete": for_user("AdminDeleteUser"),
            "change_password": for_user("AdminSetUserPassword", Permanent=True),
            "revoke": for_user("AdminUserGlobalSignOut"),
            # moto's tokens live for an hour.
            "lifetimes": lambda access, refresh: None,
        },
        options={"client_id": made["ClientId"], "client_secret": made["ClientSecret"]},
    )
