"""Builds what AWS Lambda runs: python3 build_artifact.py DIRECTORY [aarch64|x86_64].

Needs uv, or else Python 3.13 with pip; whatever Python from 3.9 on may begin it. The same input
gives the same bytes, whoever builds: byte code included, for without it a cold start takes nearly
twice as long.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# What does not run on Lambda: the command line, the client, and the store of one machine.
LEFT_OUT = ("cli", "client", "machine", "keys/file.py", "stores/sqlite.py")
# What is read of botocore's data, at every cold start: the rest is for other services and callers.
USED = {
    "dynamodb": {"GetItem", "PutItem", "UpdateItem", "Scan", "TransactWriteItems"},
    "ssm": {"GetParameters", "PutParameter", "DeleteParameters"},
}
EPOCH = 315532800  # seconds: 1980, where zip files begin
COMPILE_PAGES = "from opencode_relay.web.pages import Pages; Pages().compile()"


def main(to: Path, machine: str = "aarch64") -> None:
    """Fill a directory. Raises CalledProcessError where a tool fails."""
    to.mkdir(parents=True, exist_ok=True)
    install, python = tools(machine)
    wanted = ["--requirement", str(HERE / "requirements.txt"), "--target", str(to)]
    run([*install, "--require-hashes", "--no-deps", "--only-binary", ":all:", *wanted])
    copy_own(to)
    trim(to / "botocore" / "data")
    for name in ("boto3/data", "boto3/examples", "bin"):  # of boto3, what is for its resources
        shutil.rmtree(to / name, ignore_errors=True)
    found = {"PYTHONPATH": str(to), "PYTHONDONTWRITEBYTECODE": "1"}
    run([*python, "-P", "-c", COMPILE_PAGES], **found)
    forget_installing(to)
    how = ["-q", "-f", "-s", str(to), "-p", "/var/task", "--invalidation-mode", "unchecked-hash"]
    run([*python, "-m", "compileall", *how, str(to)])
    for path in (to, *to.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (EPOCH, EPOCH))


def tools(machine: str) -> tuple[list[str], list[str]]:
    """Return the commands that install wheels for the machine, and that run its Python here."""
    if works("uv", "--version"):
        install = ["uv", "pip", "install", "--quiet", "--link-mode", "copy"]
        install += ["--python-version", "3.13", "--python-platform", f"{machine}-manylinux_2_28"]
        python = ["uv", "run", "--quiet", "--isolated", "--no-project", "--no-config", "--python"]
        return install, [*python, os.environ.get("UV_PYTHON") or "3.13", "python"]
    if not works("python3.13", "-m", "pip", "--version"):
        sys.exit("Install uv, or Python 3.13 with pip.")
    install = ["python3.13", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install += ["--root-user-action", "ignore", "--no-compile"]
    install += ["--python-version", "3.13", "--implementation", "cp"]
    for glibc in ("manylinux_2_28", "manylinux_2_26", "manylinux_2_24", "manylinux2014"):
        install += ["--platform", f"{glibc}_{machine}"]
    return install, ["python3.13"]


def works(*command: str) -> bool:
    found = shutil.which(command[0])  # which may be a shim that only says what it lacks
    return bool(found) and not subprocess.run(command, capture_output=True, check=False).returncode


def run(command: list[str], **environment: str) -> None:
    # The seed orders the sets in byte code.
    subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "0", **environment}, check=True)


def copy_own(to: Path) -> None:
    for path in HERE.glob("*.py"):
        if path != Path(__file__).resolve():
            shutil.copyfile(path, to / path.name)
    package = HERE / "opencode_relay"
    for path in package.rglob("*"):
        name = path.relative_to(package).as_posix()
        left_out = any(name == one or name.startswith(f"{one}/") for one in LEFT_OUT)
        if path.is_file() and path.suffix != ".pyc" and not left_out:
            copy = to / "opencode_relay" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def trim(data: Path) -> None:
    """Take out of botocore's data what the relay does not use."""
    for service in data.iterdir():
        if service.is_dir() and service.name not in USED:
            shutil.rmtree(service)
    endpoints = json.loads((data / "endpoints.json").read_bytes())
    for partition in endpoints["partitions"]:
        known = partition["services"].items()
        partition["services"] = {name: of for name, of in known if name in USED}
    (data / "endpoints.json").write_text(json.dumps(endpoints))
    for name, operations in USED.items():
        for path in data.glob(f"{name}/*/service-2.json.gz"):
            model = json.loads(gzip.decompress(path.read_bytes()))
            path.unlink()
            path.with_suffix("").write_text(json.dumps(only(model, operations)))


def only(model: dict[str, Any], operations: set[str]) -> dict[str, Any]:
    """Keep some operations of a service's model, and the shapes that they reach."""
    of = model["operations"]
    model["operations"] = {name: of[name] for name in of if name in operations}
    shapes, wanted, left = model["shapes"], set(), [model["operations"]]
    while left:
        one = left.pop()
        one.pop("documentation", None)
        for key, value in one.items():
            if key == "shape" and value not in wanted:
                wanted.add(value)
                left.append(shapes[value])
            inner = value if isinstance(value, list) else [value]
            left += [part for part in inner if isinstance(part, dict)]
    model["shapes"] = {name: shape for name, shape in shapes.items() if name in wanted}
    return model


def forget_installing(to: Path) -> None:
    """Remove what installing writes about itself: it differs from one machine to the other."""
    (to / ".lock").unlink(missing_ok=True)
    for path in to.glob("*.dist-info/**/*"):
        if path.name in {"RECORD", "INSTALLER", "REQUESTED"} or path.suffix == ".json":
            path.unlink()


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3 or sys.argv[2:] not in ([], ["aarch64"], ["x86_64"]):  # noqa: PLR2004
        sys.exit(str(__doc__))
    main(Path(sys.argv[1]).resolve(), *sys.argv[2:])
