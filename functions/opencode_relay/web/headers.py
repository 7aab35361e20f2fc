"""Headers that every answer carries, whatever it is."""

from __future__ import annotations

# RFC 6797; two years, without includeSubDomains: the relay speaks for its own host only.
HSTS = {"Strict-Transport-Security": "max-age=63072000"}
EVERYWHERE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
