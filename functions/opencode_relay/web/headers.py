"""Headers that every answer carries, whatever it is."""

from __future__ import annotations

EVERYWHERE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def hsts(seconds: int) -> dict[str, str]:
    """Tell browsers to speak https only (RFC 6797); it holds for all ports of the host's name.

    Without includeSubDomains: the relay speaks for its own host only.
    """
    return {"Strict-Transport-Security": f"max-age={seconds}"}
