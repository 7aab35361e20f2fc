"""The services of infra/compose.yaml, and people who come to them with a browser."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Self

import httpx
import yaml  # type: ignore[import-untyped]  # comes with moto
from playwright.sync_api import Browser

from tests.e2e.helpers import HELPER, chromium_with_extension
from tests.e2e.idp import Idp
from tests.e2e.opencode import MODELS, QUIET, USER, Opencode, label_is
from tests.e2e.outside import outside
from tests.e2e.person import Person
from tests.e2e.processes import wait_until
from tests.e2e.proxies import PASSWORD, make_certificate
from tests.support.ports import free_port

from .engine import COMPOSE, Engine

# Caddy has an authority of its own for what ends so.
OPENCODE, RELAY = "opencode.local", "relay.local"
PROJECT = "opencode-relay-tests"
TIMEOUT = 20_000  # ms that the browser waits for anything
Meet = Callable[[str], Person]
numbers = count(1)


class Services:
    """Up as long as the block lasts."""

    url = f"https://{OPENCODE}"

    def __init__(self, engine: Engine, home: Path, idp: Idp) -> None:
        self.engine = engine
        self.home = home
        self.idp = idp
        self.port = free_port()
        self._open = ExitStack()
        self._files = ("--project-name", PROJECT, "--file", COMPOSE, "--file", self._override())

    def __enter__(self) -> Self:
        self.up()
        gateway = self.engine.podman(
            *("network", "inspect", f"{PROJECT}_default"),
            *("--format", "{{(index .Subnets 0).Gateway}}"),
        )
        hosts, certificate = self.idp.outside.hosts, self.idp.outside.certificate
        self._open.enter_context(outside(certificate, hosts, (gateway, self._proxy)))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self.compose("down", "--volumes", "--timeout", 5)

    def compose(self, *args: object) -> str:
        return self.engine.compose("--env-file", self.home / "env", *self._files, *args)

    def up(self) -> None:
        """Bring up what is not; returns once a sign-in can begin."""
        self.compose("up", "--detach", "--no-build")
        self.ready()

    def ready(self) -> None:
        """Wait until both answer by their public names."""
        web = httpx.Client(verify=False, trust_env=False)  # noqa: S501  # by an authority of Caddy's
        for name in (RELAY, OPENCODE):
            asked = {"headers": {"Host": name}, "extensions": {"sni_hostname": name}}
            path = "healthz" if name == RELAY else "provider/auth"
            url = f"https://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{path}"

            def answers(url: str = url, asked: dict[str, dict[str, str]] = asked) -> bool:
                try:
                    return web.get(url, **asked, timeout=10).is_success  # type: ignore[arg-type]
                except httpx.HTTPError:
                    return False

            wait_until(answers, f"{name} answers")
        label_is(self.opencode, HELPER)

    def container(self, service: str) -> str:
        return f"{PROJECT}_{service}_1"

    def inspect(self, service: str, format_: str) -> str:
        return self.engine.podman("inspect", self.container(service), "--format", format_)

    def volume(self, name: str) -> Path:
        """Where this machine has it."""
        named = ("volume", "inspect", f"{PROJECT}_{name}", "--format", "{{.Mountpoint}}")
        return Path(self.engine.podman(*named))

    @property
    def opencode(self) -> Opencode:
        """opencode past Caddy, and its home."""
        networks = json.loads(self.inspect("opencode", "{{json .NetworkSettings.Networks}}"))
        address = networks[f"{PROJECT}_default"]["IPAddress"]
        home = self.volume("opencode")
        log = home / ".local/share/opencode/log/opencode.log"
        return Opencode(f"http://{USER}:{PASSWORD}@{address}:4096", home, log)

    def restart(self, service: str) -> None:
        self.engine.podman("restart", "--time", 10, self.container(service))

    def people(self, browser: Browser, into: Path) -> "People":
        return People(self, browser, into)

    def _override(self) -> Path:
        """Name what is other here: a proxy to a world that is played, and Caddy's port."""
        (self.home / "env").write_text(
            f"OPENCODE_NAME={OPENCODE}\nRELAY_NAME={RELAY}\n"
            f"OPENCODE_SERVER_PASSWORD={PASSWORD}\nOPENCODE_RELAY_CATCHER=true\n"
        )
        own = make_certificate(self.home / "authority")
        own.chain.rename(own.chain.with_name("root.crt"))
        own.key.rename(own.key.with_name("root.key"))
        trusted = own.chain.with_name("root.crt").read_text()
        told = self.home / "told"
        told.mkdir()
        (told / "trusted.pem").write_text(trusted + self.idp.outside.certificate.chain.read_text())
        (told / "models.json").write_text(json.dumps(MODELS))
        self._proxy = free_port()
        override = {
            "services": {
                "opencode": {
                    "environment": {
                        **QUIET,
                        "HTTPS_PROXY": f"http://host.containers.internal:{self._proxy}",
                        "NODE_EXTRA_CA_CERTS": "/told/trusted.pem",
                        "NO_PROXY": RELAY,
                        "OPENCODE_MODELS_PATH": "/told/models.json",
                    },
                    "volumes": [f"{told}:/told:ro"],
                },
                "caddy": {
                    "ports": [f"127.0.0.1:{self.port}:443"],
                    "volumes": [f"{own.chain.parent}:/data/caddy/pki/authorities/local"],
                },
            }
        }
        file = self.home / "override.yaml"
        file.write_text(yaml.safe_dump(override).replace("ports:", "ports: !override"))
        return file


@dataclass
class People:
    services: Services
    browser: Browser
    into: Path
    met: list[Person] = field(default_factory=list)

    def meet(self, name: str) -> Person:
        services = self.services
        context = chromium_with_extension(
            self.browser,
            self.into / name,
            f"https://{RELAY}",
            services.idp.outside,
            f"MAP *.local:443 127.0.0.1:{services.port}",
        )
        context.set_default_timeout(TIMEOUT)
        self.met.append(Person(f"{name}-{next(numbers)}", context))
        return self.met[-1]

    def leave(self) -> None:
        for person in self.met:
            person.browser.close()
