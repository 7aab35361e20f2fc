"""Opencodes with a password, each at a public https address behind a real proxy."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.support.ports import free_port

from .helpers import HELPER
from .opencode import Opencode, label_is, opencode
from .outside import Outside
from .processes import Restartable
from .proxies import NAMES, PASSWORD, PROXIES, Front, make_certificate

# A proxy, and what `publicUrl` is: "auto", or configured. The last two are more of nginx.
FRONTS = (
    *("nginx-configured", "nginx-auto", "caddy-configured", "caddy-auto", "traefik-auto"),
    *("patient", "spoilt"),
)


def behind(*fronts: str) -> pytest.MarkDecorator:
    """Run a test at each of these sites."""
    return pytest.mark.parametrize("site", fronts, indirect=True)


@dataclass(frozen=True)
class Backend:
    """An opencode and its plugin's listener."""

    served: Restartable[Opencode]
    port: int
    listener: int


@dataclass(frozen=True)
class Site:
    url: str
    front: Front
    served: Restartable[Opencode]

    @property
    def opencode(self) -> Opencode:
        return self.served.now

    def under(self, name: str) -> str:
        """Its address under another name."""
        return f"https://{name}:{self.front.port}"

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask without opencode's password, as a stranger does."""
        return httpx.get(
            self.under("localhost") + path,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            verify=self.front.certificate.trusted,
        )


class Sites:
    """Starts each site when it is first asked for. Everything at `auto` is the same opencode."""

    def __init__(
        self,
        world: Path,
        ports: Mapping[str, int],
        plugin: Path,
        template: Path,
        options: Mapping[str, object],
        outside: Outside,
    ) -> None:
        self._world = world
        self._ports = ports
        self._plugin = plugin
        self._template = template
        self._options = options
        self._outside = outside
        self._certificate = make_certificate(world)
        self._running = ExitStack()
        self._backends: dict[str, Backend] = {}
        self._sites: dict[str, Site] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def at(self, front: str) -> Site:
        """The site that is called, say, `nginx-auto`."""
        if front not in self._sites:
            proxy, public = front.split("-")
            url = f"https://{NAMES[0]}:{self._ports[front]}"
            self._sites[front] = site = self.site(front, "auto" if public == "auto" else url)
            self._running.enter_context(PROXIES[proxy](site.front))
        return self._sites[front]

    def site(self, front: str, public_url: str = "auto") -> Site:
        """A site whose proxy is still to be started."""
        backend = self._backend(public_url)
        port = self._ports[front]
        home = self._world / front
        place = Front(port, backend.port, backend.listener, self._certificate, home)
        return Site(f"https://{NAMES[0]}:{port}", place, backend.served)

    def _backend(self, public_url: str) -> Backend:
        if public_url not in self._backends:
            name = f"opencode-{len(self._backends)}"
            port, listener = free_port(), free_port()
            served = self._running.enter_context(
                Restartable(lambda: self._opencode(name, public_url, port, listener))
            )
            label_is(served.now, HELPER if "catcher" in self._options else "(browser)")
            self._backends[public_url] = Backend(served, port, listener)
        return self._backends[public_url]

    def beside(self, site: Site) -> AbstractContextManager[Opencode]:
        """Another opencode of this machine, whose plugin is to listen where that of `site` does."""
        return self._opencode("beside", "auto", free_port(), site.front.listener)

    def _opencode(
        self, name: str, public_url: str, port: int, listener: int
    ) -> AbstractContextManager[Opencode]:
        told = {"publicUrl": public_url, "listen": f"127.0.0.1:{listener}"}
        options = {**self._options, **told}
        return opencode(
            self._world / name,
            self._plugin,
            options,
            self._template,
            outside=self._outside,
            port=port,
            password=PASSWORD,
        )
