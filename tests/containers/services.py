"""The services of infra/compose.yaml, and people who come to them with a browser."""

import json
import secrets
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Self

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
SERVICES = ("relay", "opencode", "caddy")
TIMEOUT = 20_000  # ms that the browser waits for anything
Meet = Callable[[str], Person]
numbers = count(1)


class Services:
    """Up as long as the block lasts."""

    host = OPENCODE
    url = f"https://{OPENCODE}"

    def __init__(self, engine: Engine, home: Path, idp: Idp) -> None:
        self.engine = engine
        self.home = home
        self.idp = idp
        self.port = free_port()
        # The machine's containers find each other by their network's name, whoever started them.
        self.project = f"opencode-relay-{secrets.token_hex(3)}"
        self._open = ExitStack()
        self._files = ("--file", COMPOSE, "--file", self._override())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self.compose("down", "--volumes", "--timeout", 5)

    def compose(self, *args: object) -> str:
        named = (f"--project-name={self.project}", f"--env-file={self.home / 'env'}")
        return self.engine.compose(*named, *self._files, *args)

    def up(self) -> None:
        """Bring up what is not; returns once a sign-in can begin."""
        self.compose("up", "--detach", "--no-build")
        gateway = self.engine.podman(
            *("network", "inspect", f"{self.project}_default"),
            *("--format", "{{(index .Subnets 0).Gateway}}"),
        )
        played = self.idp.outside
        self._open.close()
        self._open.enter_context(outside(played.certificate, played.hosts, (gateway, self._proxy)))
        self.ready()

    def ready(self) -> None:
        """Wait until both answer by their public names."""
        for name, path in ((RELAY, "healthz"), (OPENCODE, "provider/auth")):
            wait_until(partial(self._answers, name, path), f"{name} answers")
        label_is(self.opencode, HELPER)

    def _answers(self, name: str, path: str) -> bool:
        with suppress(httpx.HTTPError):
            return self.get(name, path).is_success
        return False

    def get(self, name: str, path: str) -> httpx.Response:
        """Ask Caddy, by one of the two names."""
        own = httpx.Client(verify=False, trust_env=False, timeout=10)  # noqa: S501  # Caddy's own CA
        with own as web:
            return web.get(
                f"https://127.0.0.1:{self.port}/{path}",
                auth=(USER, PASSWORD),
                headers={"Host": name},
                extensions={"sni_hostname": name},
            )

    def container(self, service: str) -> str:
        return f"{self.project}_{service}_1"

    def inspect(self, service: str, format_: str) -> str:
        return self.engine.podman("inspect", self.container(service), "--format", format_)

    def execute(self, service: str, *command: str) -> str:
        return self.engine.podman("exec", self.container(service), *command)

    def log(self, service: str) -> str:
        """All that it has written to stdout and stderr."""
        return self.engine.logs(self.container(service))

    @property
    def key(self) -> str:
        return (self.volume("instance") / "key").read_text().strip()

    def instances(self) -> list[dict[str, Any]]:
        """Who is enrolled, without when each was last used."""
        listed = self.execute("relay", "opencode-relay", "instances", "list", "--json")
        return [{**one, "last_used_at": None} for one in json.loads(listed)]

    def volume(self, name: str) -> Path:
        """Where this machine has it."""
        named = ("volume", "inspect", f"{self.project}_{name}", "--format", "{{.Mountpoint}}")
        return Path(self.engine.podman(*named))

    @property
    def opencode(self) -> Opencode:
        """opencode past Caddy, and its home."""
        networks = json.loads(self.inspect("opencode", "{{json .NetworkSettings.Networks}}"))
        address = networks[f"{self.project}_default"]["IPAddress"]
        home = self.volume("opencode")
        log = home / ".local/share/opencode/log/opencode.log"
        return Opencode(f"http://{USER}:{PASSWORD}@{address}:4096", home, log)

    def restart(self, service: str) -> None:
        self.engine.podman("restart", "--time", 10, self.container(service))
        self.ready()

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
