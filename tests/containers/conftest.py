"""The images, built once, and the services of infra/compose.yaml, run for real.

Only localhost's redirect URIs are registered with ChatGPT, as today. People have the extension.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.e2e.idp import HOST, LOCALHOST, Idp, identity_provider
from tests.e2e.processes import CHROMIUM, OPENCODE
from tests.e2e.proxies import make_certificate
from tests.support.ports import free_port

from .engine import Engine
from .services import Meet, Services

expect.set_options(timeout=20_000)
PROGRAMS = ("podman", "runc", "mmdebstrap", "caddy", "chromium", "node", "openssl")


@pytest.fixture(scope="package", autouse=True)
def programs() -> None:
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if not OPENCODE.exists():
        missing.append("the identity provider (npm ci in tests/e2e)")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if os.getuid() != 0:
        pytest.skip("containers are run by root only, who may make a base image")


@pytest.fixture(scope="package")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Have the images: both of ours are built by the Compose file, with Caddy's beside them."""
    with Engine(tmp_path_factory.mktemp("engine")) as engine:
        engine.make_base()
        engine.make_caddy()
        engine.build()
        yield engine


@pytest.fixture(scope="package")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Idp]:
    home = tmp_path_factory.mktemp("idp")
    certificate = make_certificate(home / "certificate", (HOST, "chatgpt.com", "api.openai.com"))
    with identity_provider(free_port(), LOCALHOST, home / "home", certificate) as idp:
        yield idp


@pytest.fixture(scope="package")
def services(
    engine: Engine, idp: Idp, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    with Services(engine, tmp_path_factory.mktemp("services"), idp) as services:
        services.up()
        yield services


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def meet(browser: Browser, services: Services, tmp_path: Path) -> Iterator[Meet]:
    """Make a person whose browser has the extension."""
    people = services.people(browser, tmp_path)
    yield people.meet
    people.leave()
    services.opencode.forget()
