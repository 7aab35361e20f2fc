"""Whether a server can be reached, and whether its certificate holds.

Asked by the same client as everything else: through the same proxy, with the same trust store.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass

import httpx
from cryptography import x509

from .checks import Check, NotTried, Wrong, why

SOON = 14  # days before a certificate ends in which to renew it
_DAY = 86400  # seconds
_OWN_CA = "One of your own authority is trusted with SSL_CERT_FILE=its-certificate.pem."


@dataclass(frozen=True, slots=True)
class Met:
    """A connection that was made: its two addresses, and what TLS said."""

    here: str
    there: str
    version: str
    ends: str


class Connection:
    """Makes a connection once, and keeps what came of it for two checks."""

    def __init__(self, web: httpx.Client, url: str, ask: str = "") -> None:
        """`ask` is the question to whoever finds nobody there."""
        self._web = web
        self._url = url
        self._ask = ask
        self.met: Met | None = None
        self._untrusted: ssl.SSLError | None = None

    def checks(self) -> list[Check]:
        return [Check("reachable", self._reachable), Check("certificate", self._certificate)]

    def _reachable(self) -> str:
        try:
            with self._web.stream("GET", f"{self._url}/healthz") as answer:
                self.met = _met(answer)
        except httpx.ProxyError as wrong:
            raise Wrong(f"The proxy of HTTPS_PROXY does not lead there: {wrong}.") from None
        except httpx.RequestError as wrong:
            self._untrusted = _tls_error(wrong)
            if self._untrusted is None:
                raise Wrong(f"Nothing answers: {wrong}.{self._ask}") from None
        return "connected"

    def _certificate(self) -> str:
        if not self._url.startswith("https://"):
            return "none needed on loopback"
        if self._untrusted is not None:
            raise Wrong(f"TLS fails: {_reason(self._untrusted)}.{self._shown()}")
        if self.met is None or not self.met.ends:
            raise NotTried("the connection tells nothing of its certificate")
        days = int((ssl.cert_time_to_seconds(self.met.ends) - time.time()) // _DAY)
        if days < SOON:
            raise Wrong(f"The certificate ends in {days} days: renew it now.")
        return f"{self.met.version}, {days} days left"

    def _shown(self) -> str:
        """Name the certificate that does not hold, asked for once more; nothing else is sent."""
        if not isinstance(self._untrusted, ssl.SSLCertVerificationError):
            return ""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with (
                httpx.Client(verify=context) as web,
                web.stream("GET", f"{self._url}/healthz") as answer,
            ):
                tls = answer.extensions["network_stream"].get_extra_info("ssl_object")
                one = x509.load_der_x509_certificate(tls.getpeercert(True))
        except (httpx.RequestError, ValueError, AttributeError) as wrong:
            return f" ({why(wrong)})"
        subject, issuer = one.subject.rfc4514_string(), one.issuer.rfc4514_string()
        return f" The certificate is of {subject}, issued by {issuer}. {_OWN_CA}"


def _met(answer: httpx.Response) -> Met:
    stream = answer.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream else None
    here, there = (
        (stream.get_extra_info(end) or ("",))[0] if stream else ""
        for end in ("client_addr", "server_addr")
    )
    if tls is None:
        return Met(here, there, "", "")
    ends = str((tls.getpeercert() or {}).get("notAfter", ""))
    return Met(here, there, str(tls.version()), ends)


def _tls_error(wrong: BaseException | None) -> ssl.SSLError | None:
    while wrong is not None and not isinstance(wrong, ssl.SSLError):
        wrong = wrong.__cause__ or wrong.__context__
    return wrong


def _reason(wrong: ssl.SSLError) -> str:
    if isinstance(wrong, ssl.SSLCertVerificationError):
        return wrong.verify_message.rstrip(".")
    return str(wrong.reason or wrong).replace("_", " ").lower()
