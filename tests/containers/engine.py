"""podman with a store of its own, and the images that no registry is asked for."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COMPOSE = ROOT / "infra" / "compose.yaml"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
# Builds reach what this machine reaches, by its authorities: a registry may be behind a proxy.
BUILDING = f"--format=docker --layers=false --network=host --volume={AUTHORITIES}:{AUTHORITIES}:ro"
BASE = "docker.io/library/debian:trixie-slim"
# What sets Debian's slim image apart: no documentation, no caches. And its dpkg does not sync.
SLIM = {
    "dpkgopt": [
        "force-unsafe-io",
        *(f"path-exclude=/usr/share/{part}/*" for part in ("doc", "locale", "man")),
    ],
    "aptopt": [
        'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; }',
        'Dir::Cache::pkgcache ""',
        'Dir::Cache::srcpkgcache ""',
    ],
}


@dataclass(frozen=True)
class Engine:
    home: Path

    def __enter__(self) -> Self:
        (self.home / "networks").mkdir(parents=True)
        (self.home / "containers.conf").write_text(f"""
            [engine]
            cgroup_manager = "cgroupfs"
            events_logger = "file"
            runtime = "runc"
            [engine.runtimes]
            runc = ["{HERE / "runtime"}"]
            [network]
            network_config_dir = "{self.home / "networks"}"
            """)
        (self.home / "storage.conf").write_text(f"""
            [storage]
            driver = "overlay"
            graphroot = "{self.home / "store"}"
            runroot = "{self.home / "run"}"
            """)
        return self

    def __exit__(self, *_: object) -> None:
        self.podman("system", "reset", "--force")

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOME": f"{self.home}",
            "CONTAINERS_CONF": f"{self.home / 'containers.conf'}",
            "CONTAINERS_STORAGE_CONF": f"{self.home / 'storage.conf'}",
        }

    def podman(self, *args: object) -> str:
        """Run a command of podman's and return what it says. Raises AssertionError."""
        return self._run(["podman", *map(str, args)])

    def compose(self, *args: object, **environment: str) -> str:
        program = Path(sys.executable).with_name("podman-compose")
        return self._run([str(program), "--in-pod=false", *map(str, args)], **environment)

    def _run(self, argv: list[str], **environment: str) -> str:
        done = subprocess.run(
            argv,
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"[-4000:]
        return done.stdout.strip()

    def logs(self, container: str) -> str:
        return self._run(["sh", "-c", 'podman logs "$1" 2>&1', "sh", container])

    def make_base(self) -> None:
        """Make the base image of Debian's packages, as the official one is made."""
        options = [f"--{option}={value}" for option, values in SLIM.items() for value in values]
        made = self.home / "base.tar"
        # With authorities, over whose bundle this machine's is mounted while images are built.
        options += ["--quiet", "--variant=minbase", "--include=ca-certificates"]
        self._run(["mmdebstrap", *options, "trixie", f"{made}", "http://deb.debian.org/debian"])
        self.podman("import", made, BASE)
        made.unlink()

    def make_caddy(self) -> None:
        """Make an image that is called as Caddy's own, of Debian's program."""
        folder = self.home / "caddy"
        folder.mkdir()
        program = shutil.which("caddy")
        assert program
        shutil.copy(program, folder / "caddy")
        (folder / "Dockerfile").write_text(f"""
            FROM {BASE}
            COPY caddy /usr/bin/
            ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
            CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
            """)
        self.podman("build", *BUILDING.split(), "--tag=docker.io/library/caddy:2", folder)

    def build(self) -> None:
        """Build what the Compose file builds."""
        names = dict.fromkeys(("OPENCODE_NAME", "RELAY_NAME", "OPENCODE_SERVER_PASSWORD"), "x")
        self.compose("--podman-build-args", BUILDING, "--file", COMPOSE, "build", **names)
