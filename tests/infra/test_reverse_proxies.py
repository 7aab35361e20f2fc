"""The files of infra/ for an opencode behind a proxy, as far as they can be tried without one.

tests/e2e signs in behind the very same files.
"""

import ipaddress
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # comes with moto

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
CADDYFILE = (INFRA / "reverse-proxy" / "Caddyfile").read_text()
COMPOSE = (INFRA / "compose.yaml").read_text()
NAME = "opencode.example.com"


@pytest.fixture
def compose() -> dict[str, Any]:
    """What Compose reads, once the variables are filled in."""
    filled = re.sub(
        r"\$\{(\w+):\?\}", lambda found: {"OPENCODE_NAME": NAME}.get(found[1], "x"), COMPOSE
    )
    assert "$" not in filled
    read: dict[str, Any] = yaml.safe_load(filled)
    return read


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


def test_compose_file_says_that_it_was_not_run() -> None:
    assert "NOT RUN YET" in COMPOSE[:300]


def test_only_caddy_can_be_reached_from_outside(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert [name for name, one in services.items() if "ports" in one] == ["caddy"]
    assert all("network_mode" not in one for one in services.values())


def test_caddy_of_the_compose_file_is_the_one_that_is_tested(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    content = compose["configs"]["caddyfile"]["content"]
    caddy_takes(tmp_path, content)
    shipped = CADDYFILE.replace("127.0.0.1", "opencode")
    assert directives(content) == directives(shipped)


def directives(caddyfile: str) -> list[str]:
    return [line for one in caddyfile.splitlines() if (line := one.split("#")[0].strip())]


def test_plugin_of_the_compose_file_knows_its_settings(compose: dict[str, Any]) -> None:
    settings = (ROOT / "plugin" / "src" / "settings.ts").read_text()
    given = compose["services"]["opencode"]["environment"]
    names = re.findall(r'variable\("(\w+)"\)', settings)
    known = {f"OPENCODE_RELAY_{name}" for name in names} | {"OPENCODE_PUBLIC_URL"}
    assert "OPENCODE_PUBLIC_URL" in settings
    assert set(given) - known == {"OPENCODE_SERVER_PASSWORD"}
    assert given["OPENCODE_PUBLIC_URL"] == f"https://{NAME}"
    host, port = given["OPENCODE_RELAY_LISTEN"].split(":")
    assert ipaddress.ip_address(host).is_unspecified
    assert f"opencode:{port}" in compose["configs"]["caddyfile"]["content"]
