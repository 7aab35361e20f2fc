"""HTTP clients for what this package asks of others.

Plain http is for loopback alone, and httpx would send it, with every secret in it, to `HTTP_PROXY`:
it goes through no proxy. https keeps to `HTTPS_PROXY` and `NO_PROXY`: a proxy sees a tunnel.

Certificates are judged by the system's own authorities, or those of `SSL_CERT_FILE`, as other
programs of the machine judge them, and not by a list that came with a package.
"""

from __future__ import annotations

import ssl

import httpx


def blocking() -> httpx.Client:
    return httpx.Client(verify=ssl.create_default_context(), mounts={"http://": None})


def asynchronous() -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=ssl.create_default_context(), mounts={"http://": None})
