"""Entra ID's side of the wire: tokens for applications (client credentials), which end after an hour."""

from hashlib import sha256
from urllib.parse import parse_qsl

from providers.base import Json
from providers.simulation import Reply, Request, World, json_reply, trouble

LIFE = 3599
SCOPES = ("https://cognitiveservices.azure.com/.default", "https://ai.azure.com/.default")


def refused(status: int, error: str, number: int, words: str) -> Reply:
    body: Json = {"error": error, "error_description": f"AADSTS{number}: {words}", "error_codes": [number]}
    return json_reply(status, body)


class Entra:
    def __init__(self, world: World) -> None:
        self.world = world
        self._issued: dict[str, tuple[str, float]] = {}
        """By token: whose it is, and until when."""

    def token(self, request: Request, tenant: str) -> Reply:
        asked = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        if request.method != "POST" or not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return refused(400, "invalid_request", 900144, "The request body must be a form.")
        for field in ("grant_type", "client_id", "client_secret", "scope"):
            if not asked.get(field):
                return refused(400, "invalid_request", 900144, f"The request body must contain the following parameter: '{field}'.")
        if trouble(tenant) == "invalid":
            return refused(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")
        if asked["grant_type"] != "client_credentials":
            return refused(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        if asked["scope"] not in SCOPES:
            return refused(400, "invalid_scope", 70011, "The provided value for the input parameter 'scope' is not valid.")
        client, now = asked["client_id"], self.world.now()
        if trouble(client) == "invalid" or (client not in self.world.accounts and not trouble(client)):
            return refused(400, "unauthorized_client", 700016, f"Application with identifier '{client}' was not found in the directory.")
        if not trouble(client) and asked["client_secret"] != self.world.accounts[client]:
            return refused(401, "invalid_client", 7000215, "Invalid client secret provided.")
        token = "eyJ" + sha256(f"{tenant} {client} {now} {len(self._issued)}".encode()).hexdigest()
        self._issued[token] = (client, now + LIFE)
        return json_reply(200, {"token_type": "Bearer", "expires_in": LIFE, "ext_expires_in": LIFE, "access_token": token})

    def holder(self, token: str) -> str:
        """The application that a token was issued to; "" if it was not, or has ended."""
        client, until = self._issued.get(token, ("", 0.0))
        return client if until > self.world.now() else ""
