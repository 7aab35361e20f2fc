"""The script that pushes images, with a docker of ours that writes down what it is asked."""

import json
import os
import subprocess
from pathlib import Path

from opencode_relay import __version__

from .conftest import copy_tracked

DIGEST = "ab" * 32
ANSWER = json.dumps({"containerimage.digest": f"sha256:{DIGEST}"})
DOCKER = f"""#!/bin/sh
echo "$SOURCE_DATE_EPOCH $*" >>"$0.asked"
while [ $# -gt 0 ]; do
  [ "$1" != --metadata-file ] || echo '{ANSWER}' >"$2"
  shift
done
"""


def push(tree: Path, status: int = 0) -> list[str]:
    """Run the script; return what docker was asked."""
    program = tree.parent / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f"{DOCKER}exit {status}\n")
    program.chmod(0o700)
    path = f"{program.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [tree / "infra/release/images", "registry.example/owner", tree.parent / "sums"],
        env={**os.environ, "PATH": path, "SOURCE_DATE_EPOCH": "7"},
        check=False,
    )
    assert done.returncode == status
    return Path(f"{program}.asked").read_text().splitlines()


def made(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    copy_tracked(tree)
    for name in ("relay", "opencode"):
        (tree / "infra/containers" / name).mkdir(parents=True, exist_ok=True)
        (tree / "infra/containers" / name / "Dockerfile").touch()
    return tree


def test_every_image_is_pushed_with_its_statements(tmp_path: Path) -> None:
    tree = made(tmp_path)
    begun, *builds = push(tree)
    assert begun == "7 buildx create --use"
    names = ["opencode-with-relay", "opencode-relay"]
    for build, folder, name in zip(builds, ["opencode", "relay"], names, strict=True):
        assert build.startswith(f"7 buildx build --file infra/containers/{folder}/Dockerfile ")
        assert f" --tag registry.example/owner/{name}:{__version__} " in build
        assert " --sbom=true --provenance=mode=max --output type=image,push=true," in build
    assert (tmp_path / "sums").read_text().splitlines() == [
        f"{DIGEST}  registry.example/owner/{name}:{__version__}" for name in names
    ]


def test_what_docker_refuses_ends_it(tmp_path: Path) -> None:
    assert len(push(made(tmp_path), status=3)) == 1
