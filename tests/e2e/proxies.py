"""The real reverse proxies in front of an opencode, run with the very files that we ship.

Of those files only names, ports and paths are changed.
"""

import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from .opencode import USER
from .processes import HERE, nginx_with, running

SHIPPED = HERE.parents[1] / "infra" / "reverse-proxy"
PASSWORD = "a-password-for-tests"
NAMES = ("opencode.test", "other.test", "localhost")  # the browser looks up *.test on loopback
PROGRAMS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@dataclass(frozen=True)
class Certificate:
    """One that signs itself."""

    chain: Path
    key: Path

    @property
    def trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.chain)


def make_certificate(into: Path, names: Iterable[str] = NAMES) -> Certificate:
    into.mkdir(parents=True, exist_ok=True)
    made = Certificate(into / "cert.pem", into / "key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=for tests"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
            *("-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)),
            *("-out", made.chain, "-keyout", made.key),
        ],
        check=True,
        capture_output=True,
    )
    return made


def changed(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, f"no longer in the file that we ship: {old}"
        text = text.replace(old, new)
    return text


@dataclass(frozen=True)
class Front:
    """What a proxy stands in front of, and where it is reached."""

    port: int
    opencode: int
    listener: int
    certificate: Certificate
    home: Path

    @property
    def ready(self) -> str:
        return f"https://{USER}:{PASSWORD}@localhost:{self.port}/global/health"

    @property
    def access_log(self) -> Path:
        return self.home / "access.log"

    @property
    def upstreams(self) -> dict[str, str]:
        return {"127.0.0.1:4096": f"127.0.0.1:{self.opencode}"} | {
            "127.0.0.1:4097": f"127.0.0.1:{self.listener}"
        }


Spoil = Callable[[str], str]


def nginx(front: Front, spoil: Spoil = str, also: str = "") -> AbstractContextManager[None]:
    conf = changed(
        (SHIPPED / "nginx.conf").read_text(),
        {
            "listen 443 ssl": f"listen 127.0.0.1:{front.port} ssl",
            "server_name opencode.example.com": f"server_name {' '.join(NAMES)}",
            " cert.pem": f" {front.certificate.chain}",
            " key.pem": f" {front.certificate.key}",
            "/var/log/nginx/access.log": f"{front.access_log}",
            **front.upstreams,
        },
    )
    return nginx_with(
        also + spoil(conf), home=front.home, ready=front.ready, trusted=front.certificate.trusted
    )


@contextmanager
def caddy(front: Front) -> Iterator[None]:
    addresses = ", ".join(f"https://{name}:{front.port}" for name in NAMES)
    conf = changed(
        (SHIPPED / "Caddyfile").read_text(),
        {
            "opencode.example.com {": f"""{{
                admin off
                auto_https off
            }}
            {addresses} {{
                bind 127.0.0.1
                tls {front.certificate.chain} {front.certificate.key}
                log {{
                    output file {front.access_log}
                }}""",
            **front.upstreams,
        },
    )
    front.home.mkdir(parents=True)
    (front.home / "Caddyfile").write_text(conf)
    with proxy(front, "caddy", "run", "--config", "Caddyfile"):
        yield


@contextmanager
def traefik(front: Front) -> Iterator[None]:
    hosts = " || ".join(f"Host(`{name}`)" for name in NAMES)
    conf = changed(
        (SHIPPED / "traefik.yaml").read_text(),
        {"Host(`opencode.example.com`)": f"({hosts})", **front.upstreams},
    )
    dynamic = front.home / "dynamic"
    dynamic.mkdir(parents=True)
    (dynamic / "traefik.yaml").write_text(conf)
    (dynamic / "tls.yaml").write_text(
        f"tls: {{ certificates: [{{ certFile: {front.certificate.chain}, "
        f"keyFile: {front.certificate.key} }}] }}"
    )
    with proxy(
        front,
        "traefik",
        f"--entrypoints.web.address=127.0.0.1:{front.port}",
        f"--providers.file.directory={dynamic}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ):
        yield


@contextmanager
def proxy(front: Front, program: str, *arguments: str) -> Iterator[None]:
    found = shutil.which(program, path=PROGRAMS)
    assert found, program
    with running(
        [found, *arguments],
        home=front.home,
        log=front.home.with_suffix(".log"),
        ready=front.ready,
        trusted=front.certificate.trusted,
    ):
        yield


PROXIES: dict[str, Callable[[Front], AbstractContextManager[None]]] = {
    "nginx": nginx,
    "caddy": caddy,
    "traefik": traefik,
}
