"""What the address that a relay's page names tells of the proxy in front of the relay."""

from __future__ import annotations

import ipaddress

from opencode_relay.addresses import NOBODYS

from .checks import NotTried, Wrong

_NAME_IT = "name the proxy in RELAY_TRUSTED_PROXIES and let it set X-Forwarded-For"


def judge(shown: str, *, here: str, there: str, https: bool) -> str:
    """Judge the address from which our own login is said to come; return what to make of it.

    `here` and `there` are the ends of our connection as this machine sees them. The request said in
    `X-Forwarded-For` that it came from `NOBODYS`. Raises Wrong or NotTried.
    """
    if shown == NOBODYS:
        raise Wrong(
            "The X-Forwarded-For that any caller sends is believed, so limits hold nobody: let the "
            "proxy replace that header (nginx: $remote_addr), and RELAY_TRUSTED_PROXIES name the "
            "proxy alone."
        )
    try:
        address = ipaddress.ip_address(shown)
    except ValueError:
        raise Wrong(f"A page names {shown!r} as an address: {_NAME_IT}.") from None
    if not https:  # loopback, where nothing stands between
        return f"{shown}, with nothing in front"
    if shown == here and here != there:
        return f"{shown}, this machine's own"
    if shown != here and (shown == there or address.is_loopback):
        raise Wrong(
            f"Everybody seems to come from {shown}, the proxy, and shares its limits: {_NAME_IT}."
        )
    if shown == here or not address.is_global:
        raise NotTried(
            f"the pages name {shown}, which may be this machine or the proxy: run doctor on a "
            f"machine elsewhere, or {_NAME_IT}"
        )
    return f"{shown}: right if the internet sees this machine, and not a proxy, under it"
