"""infra/compose.yaml and its files, as far as they can be tried without containers.

tests/containers runs the very same.
"""

import ipaddress
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # comes with moto

from .test_reverse_proxies import CADDYFILE, INFRA, NAME, ROOT, caddy_takes

COMPOSE = (INFRA / "compose.yaml").read_text()
CONTAINERS = INFRA / "containers"
DOCKERFILES = sorted(CONTAINERS.glob("*/Dockerfile"))
OWN = (CONTAINERS / "Caddyfile").read_text()
VARIABLE = re.compile(r"\$\{(\w+):[?-]\}")


@pytest.fixture
def services() -> dict[str, Any]:
    """What Compose reads, once the variables are filled in."""
    filled = VARIABLE.sub(lambda one: NAME if one[1] == "OPENCODE_NAME" else "x", COMPOSE)
    assert "$" not in filled
    read: dict[str, Any] = yaml.safe_load(filled)["services"]
    return read


def test_its_head_names_every_variable() -> None:
    head = re.findall(r"^#   (\w+)=", COMPOSE, re.MULTILINE)
    assert set(head) == set(VARIABLE.findall(COMPOSE))


def test_only_caddy_can_be_reached_from_outside(services: dict[str, Any]) -> None:
    assert [name for name, one in services.items() if "ports" in one] == ["caddy"]
    assert services["relay"]["network_mode"] == "none"


def test_what_is_ours_is_locked(services: dict[str, Any]) -> None:
    for name in set(services) - {"caddy"}:
        assert services[name]["read_only"] is True, name
        assert services[name]["cap_drop"] == ["ALL"], name
        assert services[name]["security_opt"] == ["no-new-privileges:true"], name


def test_its_caddy_treats_opencode_as_the_file_that_is_tested_does(tmp_path: Path) -> None:
    caddy_takes(tmp_path, re.sub(r"\{\$(\w+)\}", r"\1.example.com", OWN))
    site = OWN[OWN.index("{$OPENCODE_NAME}") :].replace("{$OPENCODE_NAME}", NAME)
    shipped = CADDYFILE.replace("127.0.0.1", "opencode")
    # There an access log may be on; here is none, and errors are logged without queries.
    assert directives(site) == [one for one in directives(shipped) if one != "skip_log"]


def directives(caddyfile: str) -> list[str]:
    return [line for one in caddyfile.splitlines() if (line := one.split("#")[0].strip())]


def test_its_plugin_knows_its_settings(services: dict[str, Any]) -> None:
    settings = (ROOT / "plugin" / "src" / "settings.ts").read_text()
    given = services["opencode"]["environment"]
    names = [*re.findall(r'variable\("(\w+)"\)', settings), "CATCHER"]
    assert 'isOn("catcher")' in settings
    known = {f"OPENCODE_RELAY_{name}" for name in names} | {"OPENCODE_PUBLIC_URL"}
    assert set(given) - known == {"OPENCODE_SERVER_PASSWORD"}
    assert given["OPENCODE_PUBLIC_URL"] == f"https://{NAME}"
    host, port = given["OPENCODE_RELAY_LISTEN"].split(":")
    assert ipaddress.ip_address(host).is_unspecified
    assert f"opencode:{port}" in OWN


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_an_image_is_debians_and_runs_as_nobody(path: Path) -> None:
    text = path.read_text()
    stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", text, re.MULTILINE)
    named = {name for _, name in stages}
    assert {base for base, _ in stages} - named == {"debian:trixie-slim"}
    last = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER \w+$", last, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", last, re.MULTILINE)
    assert "useradd --uid 10001 " in last  # one number: opencode reads the key that the relay wrote


def test_opencode_is_the_version_that_is_tested() -> None:
    tested = json.loads((ROOT / "tests/e2e/package.json").read_text())["dependencies"]
    built = (CONTAINERS / "opencode/Dockerfile").read_text()
    assert f"ARG OPENCODE={tested['opencode-ai']}\n" in built


def test_every_folder_that_is_copied_reaches_the_builder() -> None:
    sent = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    for path in DOCKERFILES:
        for words in re.findall(r"^COPY (?!--from)(.*) \S+$", path.read_text(), re.MULTILINE):
            for source in words.split():
                assert any(source == one or source.startswith(f"{one}/") for one in sent), source
