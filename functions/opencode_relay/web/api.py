"""What programs call: JSON, errors as problems."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from opencode_relay import __version__
from opencode_relay.errors import Refused
from opencode_relay.login import Confirmation
from opencode_relay.lookup import not_found
from opencode_relay.relay import Relay
from opencode_relay.secret import Secret

from .bodies import read_completion, read_open
from .requests import (
    bearer,
    client_address,
    disconnected,
    media_type,
    read_body,
    wait_seconds,
)

MAX_BODY = 8192  # bytes
CACHEABLE = {"Cache-Control": "public, max-age=300"}
_LOGIN_ID = re.compile(r"[A-Za-z0-9_-]{22,64}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class API:
    """The endpoints under `/v1` and `/.well-known`, the client's metadata, and the health check."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay

    @property
    def client_id(self) -> str | None:
        """Where a client's metadata is; such a client ID is https, or there is none."""
        issuer = self.relay.issuer
        return f"{issuer}/oauth/client" if issuer.startswith("https://") else None

    def public_routes(self) -> list[Route]:
        return [
            Route("/.well-known/opencode-relay", self.discovery, methods=["GET"]),
            Route("/.well-known/jwks.json", self.jwks, methods=["GET"]),
            *([Route("/oauth/client", self.client, methods=["GET"])] if self.client_id else []),
            Route("/healthz", self.health, methods=["GET"]),
        ]

    def login_routes(self) -> list[Route]:
        one = "/v1/logins/{login_id}"
        return [
            Route("/v1/logins", self.open, methods=["POST"]),
            Route(f"{one}/completion", self.complete, methods=["POST"]),
            Route(f"{one}/response", self.collect, methods=["GET"]),
            Route(one, self.finish, methods=["DELETE"]),
        ]

    async def discovery(self, _: Request) -> Response:
        relay, settings = self.relay, self.relay.settings
        strict = relay.admission.strict
        document = {
            "protocol": 1,
            "issuer": relay.issuer,
            "redirect_uri": f"{relay.issuer}/auth/callback",
            "logins_endpoint": f"{relay.issuer}/v1/logins",
            "jwks_uri": f"{relay.issuer}/.well-known/jwks.json",
            "enrolment": settings.enrolment,
            "deliveries_supported": ["poll"] if strict else ["poll", "redirect"],
            "confirmations_supported": [
                *([] if strict else [Confirmation.PAIRING_CODE]),
                Confirmation.COMPLETION_CODE,
            ],
            "max_wait": settings.max_wait,
            "login_lifetime": settings.login_lifetime,
            "response_signing_alg_values_supported": ["ES256"],
            "response_encryption_alg_values_supported": ["ECDH-ES"],
            "response_encryption_enc_values_supported": ["A256GCM"],
            "registered_clients": list(settings.registered_clients),
            "version": __version__,
        }
        if self.client_id:
            document["client_metadata_uri"] = self.client_id
        return JSONResponse(document, headers=CACHEABLE)

    async def client(self, _: Request) -> Response:
        """Say who an instance is at an authorization server that registers no clients.

        draft-ietf-oauth-client-id-metadata-document, of RFC 7591's members. The same document for
        every instance.
        """
        document = {
            "client_id": self.client_id,
            "client_name": "opencode (via relay)",
            "client_uri": self.relay.issuer,
            "redirect_uris": [f"{self.relay.issuer}/auth/callback"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }
        return JSONResponse(document, headers=CACHEABLE)

    async def jwks(self, _: Request) -> Response:
        return JSONResponse(self.relay.keys.ring.jwks(), headers=CACHEABLE)

    async def health(self, _: Request) -> Response:
        await self.relay.store.check()
        self.relay.keys.check()
        return JSONResponse({"status": "ok", "version": __version__})

    async def open(self, request: Request) -> Response:
        caller = await self.relay.admission.admit(bearer(request), client_address(request))
        body = await read_body(request, MAX_BODY)
        if body is None:
            raise Refused("too-large", f"The body may have {MAX_BODY} bytes at most.")
        if media_type(request) != "application/json":
            raise Refused("unsupported-media-type", "Content-Type must be application/json.")
        opened = await self.relay.open(caller, read_open(body))
        login, settings = opened.login, self.relay.settings
        answer = {
            "login_id": login.id,
            "state": opened.state.reveal(),
            "redirect_uri": f"{self.relay.issuer}/auth/callback",
            "confirmation": login.confirmation,
            "expires_in": settings.login_lifetime,
            "max_wait": settings.max_wait,
        }
        if opened.pairing_code:
            answer["pairing_code"] = opened.pairing_code.reveal()
        return JSONResponse(answer, 201, {"Location": f"/v1/logins/{login.id}"})

    async def complete(self, request: Request) -> Response:
        verifier, login_id = _verifier(request), _login_id(request)
        body = await read_body(request, MAX_BODY)
        await self.relay.complete(login_id, verifier, lambda: read_completion(body))
        return Response(status_code=204)

    async def collect(self, request: Request) -> Response:
        verifier, login_id = _verifier(request), _login_id(request)
        collected = await self.relay.collect(
            login_id,
            verifier,
            lambda: wait_seconds(request, self.relay.settings.max_wait),
            lambda: disconnected(request),
        )
        if collected.sealed is not None:
            return JSONResponse({"status": collected.status, "response": collected.sealed})
        pace = {"Retry-After": str(collected.retry_after)}
        return JSONResponse({"status": collected.status}, 202, pace)

    async def finish(self, request: Request) -> Response:
        verifier, login_id = _verifier(request), _login_id(request)
        await self.relay.finish(login_id, verifier)
        return Response(status_code=204)


def _verifier(request: Request) -> Secret:
    verifier = bearer(request)
    if verifier is None or not _VERIFIER.fullmatch(verifier.reveal()):
        detail = "Send the login's verifier (43 to 128 characters) as `Authorization: Bearer …`."
        raise Refused("verifier-required", detail)
    return verifier


def _login_id(request: Request) -> str:
    """Check the form before any store is asked: what is no id may be no key of a table either."""
    login_id: str = request.path_params["login_id"]
    if not _LOGIN_ID.fullmatch(login_id):
        raise not_found()
    return login_id
