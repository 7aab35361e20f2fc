"""HTTP clients for what this package asks of others.

Plain http is for loopback alone, and httpx would send it, with every secret in it, to `HTTP_PROXY`:
it goes through no proxy. https keeps to `HTTPS_PROXY` and `NO_PROXY`: a proxy sees a tunnel.

Certificates are checked against the system's store, where an organisation keeps its own authority,
or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name; httpx would bring a store of its own.
"""

from __future__ import annotations

import functools
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import httpx

from .errors import ConfigError

_Given = TypeVar("_Given")

_SECONDS = 5.0  # for a look at a certificate; it is only for a sentence
_LONGEST = 200  # characters of a name that nobody vouches for
# What OpenSSL says of a chain that ends at no authority it knows (X509_V_ERR_…).
_UNKNOWN_AUTHORITY = {18, 19, 20, 21}


def blocking() -> httpx.Client:
    """Raises ConfigError where the environment's proxies or authorities cannot be used."""
    return _made(httpx.Client)


def asynchronous() -> httpx.AsyncClient:
    """Raises ConfigError where the environment's proxies or authorities cannot be used."""
    return _made(httpx.AsyncClient)


def _made(kind: Callable[..., _Given]) -> _Given:
    try:
        return kind(mounts={"http://": None}, verify=ssl.create_default_context())
    except (ImportError, ValueError, OSError, httpx.InvalidURL) as wrong:
        raise ConfigError(
            "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY or SSL_CERT_FILE cannot be used as it is "
            f"set ({type(wrong).__name__}): mend or unset it."
        ) from None


def within(seconds: float, ask: Callable[[], _Given]) -> _Given:
    """Give up on the whole of it after so many seconds; raises TimeoutError.

    httpx bounds each read, and a server that sends a byte now and then would hold us for good. The
    thread that is given up dies with its connection, or with the process.
    """
    future: Future[_Given] = Future()

    def run() -> None:
        try:
            future.set_result(ask())
        except BaseException as wrong:  # noqa: BLE001  # raised where it is waited for
            future.set_exception(wrong)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)


def refused_certificate(wrong: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return what was wrong with a certificate, if that is why a request failed."""
    while wrong is not None and not isinstance(wrong, ssl.SSLCertVerificationError):
        wrong = wrong.__cause__ or wrong.__context__
    return wrong


def told(url: str, wrong: ssl.SSLCertVerificationError) -> str:
    """Say that a certificate was refused and by whom it was issued, looking at it once more."""
    try:
        issuer = within(_SECONDS, functools.partial(_issuer, url))
    except TimeoutError:
        issuer = ""
    parts = [
        f"The certificate of {url} is refused: {wrong.verify_message.rstrip('.')}.",
        f"It was issued by {issuer}." if issuer else "",
        "An authority of your own is trusted by SSL_CERT_FILE=its-certificate.pem, or in the "
        "system's store."
        if wrong.verify_code in _UNKNOWN_AUTHORITY
        else "",
    ]
    return " ".join(part for part in parts if part)


def _issuer(url: str) -> str:
    # Only who is refused pays for it.
    from cryptography import x509  # noqa: PLC0415

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing secret is sent
    try:
        # By the same way as before: a proxy that looks into TLS is what this is to show.
        with (
            httpx.Client(verify=context, timeout=_SECONDS) as web,
            web.stream("HEAD", url) as answer,
        ):
            tls = answer.extensions["network_stream"].get_extra_info("ssl_object")
            name = x509.load_der_x509_certificate(tls.getpeercert(True)).issuer
            shown = name.rfc4514_string()
    except (httpx.HTTPError, ValueError, TypeError, LookupError, AttributeError):
        return ""
    return "".join(one if one.isprintable() else "\ufffd" for one in shown[:_LONGEST])
