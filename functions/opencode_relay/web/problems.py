"""Errors of the API: RFC 9457 `application/problem+json`."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from opencode_relay.errors import Refused

RETRY_SOON = 5  # seconds, where the store cannot be used just now

PROBLEMS: dict[str, tuple[int, str]] = {
    "invalid-request": (400, "The request is not as the protocol says"),
    "instance-key-required": (401, "An instance key is required"),
    "instance-key-invalid": (401, "The instance key is not valid"),
    "verifier-required": (401, "The login's verifier is required"),
    "return-url-not-allowed": (403, "The return URL is not registered"),
    "redirect-not-offered": (403, "Delivery by redirect is not offered here"),
    "completion-code-wrong": (403, "The completion code is wrong"),
    "not-found": (404, "There is nothing at this path"),
    "login-not-found": (404, "There is no such login"),
    "method-not-allowed": (405, "This path does not take this method"),
    "login-pending": (409, "The login is still pending"),
    "completion-not-expected": (409, "This login takes no completion code"),
    "delivery-is-redirect": (409, "This login is delivered by redirect"),
    "login-expired": (410, "The login has expired"),
    "login-declined": (410, "The login was declined"),
    "login-cancelled": (410, "The login was cancelled"),
    "too-large": (413, "The request is too large"),
    "unsupported-media-type": (415, "The media type is not supported"),
    "rate-limited": (429, "Too many requests"),
    "unavailable": (503, "The relay cannot answer just now"),
}


def problem(issuer: str, refused: Refused, headers: dict[str, str] | None = None) -> JSONResponse:
    """Answer a refusal; its code must be one of `PROBLEMS`."""
    status, title = PROBLEMS[refused.code]
    body: dict[str, Any] = {
        "type": f"{issuer}/problems/{refused.code}",
        "title": title,
        "status": status,
        "detail": refused.detail or f"{title}.",
    }
    headers = dict(headers or {})
    if refused.tries_left is not None:
        body["tries_left"] = refused.tries_left
    if refused.retry_after is not None:
        headers["Retry-After"] = str(refused.retry_after)
    if status == 401:  # noqa: PLR2004
        wrong = ', error="invalid_token"' if refused.code == "instance-key-invalid" else ""
        headers["WWW-Authenticate"] = f'Bearer realm="opencode-relay"{wrong}'
    return JSONResponse(body, status, headers, "application/problem+json")


def unavailable(detail: str = "") -> Refused:
    return Refused("unavailable", detail or "Try again.", retry_after=RETRY_SOON)
