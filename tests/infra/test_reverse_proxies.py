"""The files of infra/ for an opencode behind a proxy, as far as they can be tried without one.

tests/e2e signs in behind the very same files.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # comes with moto

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
CADDYFILE = (INFRA / "reverse-proxy" / "Caddyfile").read_text()
NAME = "opencode.example.com"


def run(home: Path, program: str, *arguments: str) -> None:
    found = shutil.which(program)
    if not found:
        pytest.skip(f"not installed: {program}")
    done = subprocess.run(
        [found, *arguments],
        cwd=home,
        env={"HOME": f"{home}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def caddy_takes(home: Path, caddyfile: str) -> None:
    (home / "Caddyfile").write_text(caddyfile)
    run(home, "caddy", "validate", "--config", "Caddyfile", "--adapter", "caddyfile")


def test_caddy_takes_the_file_as_it_is(tmp_path: Path) -> None:
    caddy_takes(tmp_path, CADDYFILE)


def test_nginx_takes_the_file_with_a_certificate(tmp_path: Path) -> None:
    subject = ("-subj", f"/CN={NAME}", "-out", "cert.pem", "-keyout", "key.pem")
    run(tmp_path, "openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", *subject)
    shipped = (INFRA / "reverse-proxy" / "nginx.conf").read_text()
    for old, new in (
        ("listen 443", "listen unix:nginx.sock"),
        ("/var/log/nginx/", f"{tmp_path}/"),
        (" cert.pem", f" {tmp_path}/cert.pem"),
        (" key.pem", f" {tmp_path}/key.pem"),
    ):
        assert old in shipped
        shipped = shipped.replace(old, new)
    (tmp_path / "nginx.conf").write_text(f"pid pid; events {{}} http {{ {shipped} }}")
    run(tmp_path, "nginx", "-t", "-p", f"{tmp_path}", "-c", "nginx.conf", "-e", "stderr")


def test_traefik_has_the_same_two_paths_and_strips_the_password() -> None:
    http = yaml.safe_load((INFRA / "reverse-proxy" / "traefik.yaml").read_text())["http"]
    plugin = http["routers"]["plugin"]
    assert re.findall(r"Path\(`(.*?)`\)", plugin["rule"]) == ["/auth/start", "/auth/callback"]
    (middleware,) = plugin["middlewares"]
    assert http["middlewares"][middleware]["headers"]["customRequestHeaders"] == {
        "Authorization": ""
    }
