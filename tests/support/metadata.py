"""What servers say of themselves, as far as settings are made of it."""

from __future__ import annotations

from typing import Any

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"

KEYCLOAK: dict[str, Any] = {
    "issuer": "https://sso.example.com/realms/shop",
    "authorization_endpoint": "https://sso.example.com/realms/shop/protocol/openid-connect/auth",
    "token_endpoint": "https://sso.example.com/realms/shop/protocol/openid-connect/token",
    "device_authorization_endpoint": "https://sso.example.com/realms/shop/protocol/openid-connect/auth/device",
    "revocation_endpoint": "https://sso.example.com/realms/shop/protocol/openid-connect/revoke",
    "grant_types_supported": ["authorization_code", "implicit", "refresh_token", "password", DEVICE],
    "scopes_supported": ["openid", "email", "offline_access"],
    "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "client_secret_post"],
    "token_endpoint_auth_signing_alg_values_supported": ["RS256", "ES256"],
    "code_challenge_methods_supported": ["plain", "S256"],
    "authorization_response_iss_parameter_supported": True,
}
ENTRA = {
    "issuer": "https://login.microsoftonline.com/8b87af7d-8647-4dc7-8df4-5f69a2011bb5/v2.0",
    **{
        f"{name}_endpoint": f"https://login.microsoftonline.com/8b87af7d-8647-4dc7-8df4-5f69a2011bb5/oauth2/v2.0/{path}"
        for name, path in [("authorization", "authorize"), ("token", "token"), ("device_authorization", "devicecode")]
    },
    "scopes_supported": ["openid", "profile", "email", "offline_access"],
    "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
}
GOOGLE = {
    "issuer": "https://accounts.google.com",
    "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
    "device_authorization_endpoint": "https://oauth2.googleapis.com/device/code",
    "token_endpoint": "https://oauth2.googleapis.com/token",
    "revocation_endpoint": "https://oauth2.googleapis.com/revoke",
    "grant_types_supported": ["authorization_code", "refresh_token", DEVICE],
    "scopes_supported": ["openid", "email", "profile"],
    "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    "code_challenge_methods_supported": ["plain", "S256"],
}
AUTH0 = {
    "issuer": "https://example.eu.auth0.com/",
    "authorization_endpoint": "https://example.eu.auth0.com/authorize",
    "token_endpoint": "https://example.eu.auth0.com/oauth/token",
    "device_authorization_endpoint": "https://example.eu.auth0.com/oauth/device/code",
    "revocation_endpoint": "https://example.eu.auth0.com/oauth/revoke",
    "scopes_supported": ["openid", "profile", "offline_access"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
}
#: The same under a domain of the tenant's own.
OWN_AUTH0 = {
    name: url.replace("example.eu.auth0.com", "login.example.com")
    for name, url in AUTH0.items()
    if isinstance(url, str)
}
OKTA = {
    "issuer": "https://example.okta.com/oauth2/aus1",
    **{
        f"{name}_endpoint": f"https://example.okta.com/oauth2/aus1/v1/{path}"
        for name, path in [
            ("authorization", "authorize"),
            ("token", "token"),
            ("device_authorization", "device/authorize"),
            ("revocation", "revoke"),
        ]
    },
    "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", DEVICE],
    "scopes_supported": ["openid", "offline_access"],
}
#: Okta's server for its own API, whose paths name no server.
OKTA_ORG = {name: str(url).replace("/oauth2/aus1/", "/oauth2/") for name, url in OKTA.items() if "_e" in name}
OKTA_ORG["issuer"] = "https://example.okta.com"
COGNITO = {
    "issuer": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEf",
    "authorization_endpoint": "https://example.auth.eu-central-1.amazoncognito.com/oauth2/authorize",
    "token_endpoint": "https://example.auth.eu-central-1.amazoncognito.com/oauth2/token",
    "revocation_endpoint": "https://example.auth.eu-central-1.amazoncognito.com/oauth2/revoke",
    "scopes_supported": ["openid", "email"],
}
SALESFORCE = {
    "issuer": "https://example.my.salesforce.com",
    "authorization_endpoint": "https://example.my.salesforce.com/services/oauth2/authorize",
    "token_endpoint": "https://example.my.salesforce.com/services/oauth2/token",
    "revocation_endpoint": "https://example.my.salesforce.com/services/oauth2/revoke",
    "scopes_supported": ["api", "refresh_token"],
    "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
}
OAUTH_TOOLKIT = {
    "issuer": "https://shop.example.com/o",
    "authorization_endpoint": "https://shop.example.com/o/authorize/",
    "token_endpoint": "https://shop.example.com/o/token/",
    "revocation_endpoint": "https://shop.example.com/o/revoke_token/",
    "grant_types_supported": ["authorization_code", "password", DEVICE],
}
HYDRA = {
    "issuer": "https://hydra.example.com/",
    "authorization_endpoint": "https://hydra.example.com/oauth2/auth",
    "token_endpoint": "https://hydra.example.com/oauth2/token",
    "revocation_endpoint": "https://hydra.example.com/oauth2/revoke",
    "device_authorization_endpoint": "https://hydra.example.com/oauth2/device/auth",
    "scopes_supported": ["offline_access", "offline", "openid"],
}
#: Oracle's, whose paths look like Okta's.
OTHER = {
    "issuer": "https://idcs.example.com/",
    "authorization_endpoint": "https://idcs.example.com/oauth2/v1/authorize",
    "token_endpoint": "https://idcs.example.com/oauth2/v1/token",
    "grant_types_supported": ["client_credentials"],
    "token_endpoint_auth_methods_supported": ["none"],
}
EVERY = {
    "KeycloakBackend": KEYCLOAK,
    "EntraBackend": ENTRA,
    "GoogleBackend": GOOGLE,
    "Auth0Backend": AUTH0,
    "OktaBackend": OKTA,
    "CognitoBackend": COGNITO,
    "SalesforceBackend": SALESFORCE,
    "DjangoOAuthToolkitBackend": OAUTH_TOOLKIT,
    "OryBackend": HYDRA,
    "OAuth2Backend": OTHER,
}
