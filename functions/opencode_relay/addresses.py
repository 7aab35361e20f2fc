"""URLs and client addresses in the one form in which they are compared."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from .errors import ConfigError

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::([1-9][0-9]{0,4}))?")
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})*)+")
_DEFAULT_PORT = {"http": 80, "https": 443}
# The second is each network's own, of which nearly all use a /96 as well.
_NAT64 = [ipaddress.IPv6Network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48")]
NOBODYS = "192.0.2.99"  # RFC 5737; `doctor` calls itself so, to see who believes it
_THIS = ipaddress.IPv4Network("0.0.0.0/8")
_PRIVATE = [
    ipaddress.ip_network(one)
    for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]
MAX_RETURN_URL = 512  # leaves most of the 7,500 bytes of a redirect to the sealed response


def origin(url: str, what: str) -> str:
    """Check that `url` is an origin in canonical form: https, or http on loopback.

    Raises ConfigError, naming `what`, with the reason.
    """
    found = _ORIGIN.fullmatch(url)
    if not found:
        raise ConfigError(
            f"{what} must be an origin such as https://relay.example.com (lower case, no path, "
            f"no trailing slash, no user), not {url[:100]!r}."
        )
    scheme, host, port = found.groups()
    if not _canonical_host(host):
        raise ConfigError(f"{what}: {host!r} is not a host name or address in canonical form.")
    if port and (int(port) > 65535 or int(port) == _DEFAULT_PORT[scheme]):  # noqa: PLR2004
        raise ConfigError(f"{what}: leave out port {port}, or give one that exists.")
    if scheme == "http" and not is_loopback(host):
        raise ConfigError(f"{what} must be https; http is for loopback only, not {host!r}.")
    return url


def return_url(url: str) -> str:
    """Check a return URL for registration; raises ConfigError.

    Only one spelling of an address passes, because the relay compares strings and a browser
    compares meanings: what they could read differently is refused (oauth2-proxy CVE-2020-4037).
    """
    what = "The return URL"
    if len(url) > MAX_RETURN_URL:
        raise ConfigError(f"{what} is longer than {MAX_RETURN_URL} characters.")
    found = _ORIGIN.match(url)
    rest = url[found.end() :] if found else ""
    if not found or not _PATH.fullmatch(rest):
        raise ConfigError(
            f"{what} must be https://host/path in plain ASCII, lower-case host, without user, "
            f"query, fragment, backslash or spaces, not {url[:100]!r}."
        )
    origin(found.group(), what)
    segments = re.sub("%2E", ".", rest).split("/")
    if "//" in rest or any(s in {".", ".."} for s in segments) or re.search("%(2F|5C)", rest):
        raise ConfigError(f"{what} must have no dot segments or doubled slashes: {url[:100]!r}.")
    return url


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def nearness(host: str) -> int:
    """How near a named host is: 3 for this machine, 2 for its link, 1 for a private network.

    0 for all others, and for names, which are not resolved.
    """
    host = host.strip("[]").rstrip(".").lower()
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address | None
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        try:  # "127.1" and "0x7f000001" are addresses to the resolver
            ip = ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return 3 * is_loopback(host)
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    if ip.is_loopback or ip in _THIS or ip.is_unspecified:
        return 3
    return 2 if ip.is_link_local else int(any(ip in network for network in _PRIVATE))


def secure(url: str) -> bool:
    """Whether a client may speak to this URL: https, or http to loopback."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def client(address: str) -> str:
    """Return a client's address as it is shown and counted; "unknown" for what is none.

    IPv4 where IPv6 only maps it (RFC 4291), and without a zone (RFC 4007), which may be any text.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.IPv6Address(int(ip)))
    return str(ip)


def bucket(address: str) -> str:
    """Return what one caller cannot change at will: an IPv4 address, or an IPv6 /64."""
    return _network(address, 64)


def wide_bucket(address: str) -> str:
    """Return what one caller of many addresses cannot: an IPv4 address, or an IPv6 /48."""
    return _network(address, 48)


def _network(address: str, bits: int) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    inner = _ipv4_inside(ip)
    if inner:
        return str(inner)
    host = 128 - bits
    return str(ipaddress.ip_network((int(ip) >> host << host, bits)))


def _ipv4_inside(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Read the IPv4 address that an IPv6 address only clothes.

    Mapped (RFC 4291), 6to4 (RFC 3056), Teredo's client (RFC 4380), NAT64 (RFC 6052, RFC 8215): who
    has one such IPv4 address has 2**16 networks and more, or shares one with the whole IPv4
    internet.
    """
    if any(ip in one for one in _NAT64):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def _canonical_host(host: str) -> bool:
    if host.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(host[1:-1])}]" == host
        except ValueError:
            return False
    last = host.rpartition(".")[2]
    # A browser reads a host whose last label is a number as an IPv4 address, however it is written.
    if last.isdigit() or re.fullmatch("0x[0-9a-f]*", last):
        try:
            return str(ipaddress.IPv4Address(host)) == host
        except ValueError:
            return False
    return len(host) <= 253 and bool(_HOST.fullmatch(host))  # noqa: PLR2004  # RFC 1035
