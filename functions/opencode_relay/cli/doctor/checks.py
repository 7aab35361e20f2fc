"""What `doctor`'s checks are made of."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from opencode_relay.errors import RelayError

SOON = 14  # days before a certificate ends in which to renew it
_DAY = 86400  # seconds


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw; `ok` is None where it could not be made."""

    check: str
    ok: bool | None
    seen: str


class Wrong(RelayError):  # a finding, told in a table
    """A check failed; the sentence says what to change."""


class NotTried(RelayError):
    """A check could not be made; the sentence says what it needs."""


Check = tuple[str, Callable[[], str]]


def carry_out(checks: Sequence[Check], *, needed: int) -> list[Finding]:
    """Make each check; the first `needed` must hold, or the rest are not tried."""
    found: list[Finding] = []
    for name, check in checks:
        if any(one.ok is False for one in found[:needed]):
            found.append(Finding(name, None, "not tried"))
            continue
        try:
            found.append(Finding(name, True, check()))
        except NotTried as missing:
            found.append(Finding(name, None, str(missing)))
        except RelayError as wrong:
            found.append(Finding(name, False, str(wrong)))
        except (httpx.HTTPError, ValueError, LookupError, AttributeError) as wrong:
            found.append(Finding(name, False, f"No usable answer ({type(wrong).__name__})."))
    return found


def certificate(url: str) -> str:
    """Check the certificate of an https URL as a browser would. Raises Wrong."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return "none needed on loopback"
    address = (parts.hostname or "", parts.port or 443)
    context = ssl.create_default_context()
    try:
        with (
            socket.create_connection(address, timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as tls,
        ):
            ends = str((tls.getpeercert() or {}).get("notAfter", ""))
            version = tls.version()
    except OSError as wrong:
        raise Wrong(f"TLS fails: {wrong}.") from None
    days = int((ssl.cert_time_to_seconds(ends) - time.time()) // _DAY)
    if days < SOON:
        raise Wrong(f"The certificate ends in {days} days: renew it now.")
    return f"{version}, {days} days left"
