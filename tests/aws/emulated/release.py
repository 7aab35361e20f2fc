"""Releases: what `sam deploy` sent, with other code or another template."""

import copy
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

from tests.aws.emulated.cloud import Cloud
from tests.aws.template import FUNCTIONS

Template = dict[str, Any]


class Releases:
    """`template` is as `sam deploy` sent it: code and nested stack are addresses in S3."""

    def __init__(self, template: Template, artifact: Path, cloud: Cloud, home: Path) -> None:
        self._template, self._artifact, self._cloud, self._home = template, artifact, cloud, home

    def same(self) -> Template:
        """Return a template that the caller may change."""
        return copy.deepcopy(self._template)

    def other(self, name: str, module: str, old: str, new: str) -> Template:
        """Make one whose code differs in a line of a module of opencode_relay."""
        code = self._home / name
        shutil.copytree(self._artifact, code, copy_function=os.link)
        path = code / "opencode_relay" / f"{module}.py"
        source = path.read_text()
        assert source.count(old) == 1, module
        for stale in (path, *path.parent.glob(f"__pycache__/{path.stem}.*")):
            stale.unlink()
        path.write_text(source.replace(old, new))
        archive = self._home / f"{name}.zip"
        with zipfile.ZipFile(archive, "w", strict_timestamps=False) as packed:
            for one in sorted(code.rglob("*")):
                packed.write(one, one.relative_to(code))
        template = self.same()
        functions = [template["Resources"][function]["Properties"] for function in FUNCTIONS]
        bucket = functions[0]["CodeUri"].split("/")[2]
        self._cloud.client("s3").put_object(
            Bucket=bucket, Key=archive.name, Body=archive.read_bytes()
        )
        for function in functions:
            function["CodeUri"] = f"s3://{bucket}/{archive.name}"
        return template
