"""One emulated AWS for a session, and one relay on it, deployed by `sam deploy`."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # comes with moto

from tests.aws.emulated.cloud import PYTHON, Cloud
from tests.aws.emulated.release import Releases
from tests.aws.emulated.stack import Stack
from tests.aws.template import ROOT
from tests.aws.tools import tool


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    if not PYTHON.exists():
        pytest.skip("no emulated AWS: run tests/aws/install-tools")
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    yield cloud
    cloud.close()


@dataclass(frozen=True)
class Deployer:
    """A clone after `sam build`, whose artifact is the one that runs here."""

    home: Path
    cloud: Cloud

    def sam_deploy(self, *overrides: str) -> subprocess.CompletedProcess[str]:
        given = ["--parameter-overrides", *overrides] if overrides else []
        return subprocess.run(
            [tool("sam", "sam"), "deploy", "--no-progressbar", *given],
            cwd=self.home,
            env={**os.environ, **self.cloud.environment()},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="session")
def deployer(artifact: Path, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Deployer:
    home = tmp_path_factory.mktemp("clone")
    shutil.copy(ROOT / "samconfig.toml", home)
    shutil.copytree(ROOT / "infra", home / "infra")
    source, code = (ROOT / "template.yaml").read_text(), "CodeUri: functions/\n"
    assert code in source
    (home / "template.yaml").write_text(source.replace(code, f"CodeUri: {artifact}\n"))
    return Deployer(home, cloud)


@pytest.fixture(scope="session")
def stack(deployer: Deployer, cloud: Cloud) -> Stack:
    """A relay with an enrolled instance. Tests change it; each begins by what it needs."""
    done = deployer.sam_deploy()
    assert done.returncode == 0, done.stdout + done.stderr
    stack = Stack(cloud, "opencode-relay")
    stack.enrol()
    return stack


@pytest.fixture(scope="session")
def releases(
    stack: Stack, artifact: Path, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Releases:
    found = cloud.client("cloudformation").get_template(
        StackName=stack.name, TemplateStage="Original"
    )
    template = yaml.safe_load(found["TemplateBody"])
    return Releases(template, artifact, cloud, tmp_path_factory.mktemp("releases"))
