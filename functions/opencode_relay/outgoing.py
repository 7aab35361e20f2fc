"""HTTP clients for what this package asks of others.

Plain http is for loopback alone, and httpx would send it, with every secret in it, to `HTTP_PROXY`:
it goes through no proxy. https keeps to `HTTPS_PROXY` and `NO_PROXY`: a proxy sees a tunnel.
"""

from __future__ import annotations

import httpx


def blocking() -> httpx.Client:
    return httpx.Client(mounts={"http://": None})


def asynchronous() -> httpx.AsyncClient:
    return httpx.AsyncClient(mounts={"http://": None})
