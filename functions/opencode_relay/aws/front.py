"""What may stand before the API: CloudFront, with a firewall, which an HTTP API itself cannot have.

Every CloudFront has the same addresses, a stranger's own too: so it is known by a secret that it
sends, and only then is believed for whom it asks.
"""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import Any

from opencode_relay.secret import same

_LOG = logging.getLogger("opencode_relay")
SECRET = "x-relay-front"  # noqa: S105  # a header's name
ADDRESS = (
    "cloudfront-viewer-address"  # an address, a colon and a port; IPv6 with brackets or without
)


class Front:
    """`hashes` are SHA-256 in base16, with commas between: two while the secret is changed.

    With none of them nothing stands before the API, and nobody is believed.
    """

    def __init__(self, hashes: str) -> None:
        self._hashes = hashes.split(",") if hashes else []
        self._told = False

    def passes(self, event: dict[str, Any]) -> bool:
        """Whether the relay is to answer; puts the caller's own address into the event."""
        if not self._hashes:
            return True
        headers = event.get("headers", {})
        digest = sha256(headers.pop(SECRET, "").encode()).hexdigest()
        if not any(same(digest, one) for one in self._hashes):
            self._tell()
            return False  # or whoever goes around it would choose an address, and meet no firewall
        address = headers.get(ADDRESS, "").rpartition(":")[0].strip("[]")
        event["requestContext"]["http"]["sourceIp"] = address
        return True

    def _tell(self) -> None:
        """Once: where the front sends another secret everybody is refused, and no alarm knows."""
        if not self._told:
            self._told = True
            detail = (
                "A request had no secret of FrontSecretHash. If your CloudFront sent it, mend that."
            )
            _LOG.warning("front_passed_by", extra={"fields": {"detail": detail}})
