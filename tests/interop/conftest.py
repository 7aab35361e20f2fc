"""`jose` in Node, as the tests call it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
INSTALLED = HERE.parent / "e2e"
Jose = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def jose() -> Jose:
    """Send requests to jose.mjs; each answer has `ok` or `refused`."""
    if not shutil.which("node") or not (INSTALLED / "node_modules" / "jose").is_dir():
        pytest.skip("needs Node and `npm ci --prefix tests/e2e`")
    script = (HERE / "jose.mjs").read_text("utf-8")

    def ask(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        done = subprocess.run(
            ["node", "--input-type=module", "--eval", script],
            cwd=INSTALLED,
            input=json.dumps(requests),
            capture_output=True,
            text=True,
            check=True,
        )
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers

    return ask
