"""The real opencode web server with our packed plugin, and what it stores."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.ports import free_port

from .outside import Outside
from .processes import HERE, OPENCODE, running, wait_until

PLUGIN = HERE.parents[1] / "plugin"
USER = "opencode"  # whose password it is
# What opencode would fetch or install by itself plays no part in a login.
QUIET = {
    "OPENCODE_DISABLE_AUTOUPDATE": "true",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "true",
    "OPENCODE_DISABLE_MODELS_FETCH": "true",
}
# opencode knows some hundred providers, whose models make its pages slow to come up.
MODEL = {
    "id": "gpt-5.5",  # one of those that ChatGPT's accounts may use
    "name": "Some model",
    "release_date": "2026-01-01",
    "attachment": False,
    "reasoning": False,
    "temperature": True,
    "tool_call": True,
    "limit": {"context": 1000, "output": 1000},
}
MODELS = {
    "openai": {
        "id": "openai",
        "name": "OpenAI",
        "npm": "@ai-sdk/openai",
        "env": [],
        "models": {MODEL["id"]: MODEL},
    },
}


@dataclass(frozen=True)
class Opencode:
    url: str
    home: Path
    log: Path

    def account(self, provider: str = "openai") -> dict[str, Any] | None:
        """What auth.json holds for the provider, if anything."""
        stored = self.home / ".local/share/opencode/auth.json"
        found = json.loads(stored.read_text()) if stored.exists() else {}
        account: dict[str, Any] | None = found.get(provider)
        return account

    def connected(self) -> bool:
        return "openai" in self.get("/provider")["connected"]

    def get(self, path: str) -> Any:
        return httpx.get(self.url + path, timeout=120).raise_for_status().json()

    def log_says(self, words: str) -> bool:
        return words in self.log.read_text(errors="replace")

    def until_log_says(self, words: str) -> None:
        """opencode writes what a plugin says after it has answered who caused it."""
        wait_until(lambda: self.log_says(words), f"the log says {words!r}")

    def paste(self, text: str) -> bool:
        """Hand text to opencode as its form does, for what an input of one line cannot hold."""
        answer = httpx.post(
            f"{self.url}/provider/openai/oauth/callback",
            json={"method": 0, "code": text},
            timeout=60,
        )
        return answer.is_success

    def prompt(
        self,
        text: str,
        provider: str = "openai",
        model: str = str(MODEL["id"]),
        directory: str = "",
    ) -> str:
        """Ask the provider's model, and return what it says, or the error that opencode shows."""
        where = {"directory": directory} if directory else {}
        with httpx.Client(base_url=self.url, timeout=120, params=where) as client:
            session = client.post("/session", json={}).raise_for_status().json()["id"]
            asked = {
                "model": {"providerID": provider, "modelID": model},
                "parts": [{"type": "text", "text": text}],
            }
            answer = client.post(f"/session/{session}/message", json=asked).raise_for_status()
        said = answer.json()
        failed = said["info"].get("error")
        if failed:
            return str(failed["data"]["message"])
        return "".join(part.get("text", "") for part in said["parts"])

    def connect(self, mcp_server: str) -> None:
        """Make it connect to an MCP server anew."""
        httpx.post(f"{self.url}/mcp/{mcp_server}/connect", timeout=60).raise_for_status()

    def forget(self, *providers: str) -> None:
        for provider in providers or ("openai",):
            httpx.delete(f"{self.url}/auth/{provider}", timeout=30).raise_for_status()
        self.dispose()

    def dispose(self) -> None:
        """Make opencode build its instance, and the plugin with it, anew."""
        httpx.post(f"{self.url}/instance/dispose", timeout=30).raise_for_status()
        self.get("/provider/auth")


def pack(into: Path) -> Path:
    """Build and pack the plugin as it would be published."""
    if not (PLUGIN / "node_modules").exists():
        npm("ci")
    npm("run", "build")
    npm("pack", "--pack-destination", str(into))
    (packed,) = into.glob("*.tgz")
    return packed


def npm(*args: str) -> str:
    done = subprocess.run(["npm", *args], cwd=PLUGIN, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"npm {args[0]}: {done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def opencode(
    home: Path,
    plugin: Path | None,
    options: Mapping[str, object],
    template: Path | None = None,
    *,
    outside: Outside | None = None,
    port: int | None = None,
    password: str = "",
    config: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Opencode]:
    """Serve with the plugin; `config` is what opencode.json has besides.

    A `template` is a home whose installed packages are used again. Without a plugin its home's
    configuration is left as it is. Without an `outside` it reaches what this machine reaches.
    """
    folder = home / ".config/opencode"
    if template and not folder.exists():
        for part in (".config", ".cache"):
            shutil.copytree(template / part, home / part, symlinks=True)
    folder.mkdir(parents=True, exist_ok=True)
    if plugin:
        entry = [f"opencode-relay@file:{plugin}", dict(options)]
        (folder / "opencode.json").write_text(json.dumps({"plugin": [entry], **(config or {})}))
    models = home / "models.json"
    models.write_text(json.dumps(MODELS))
    env = {**QUIET, "OPENCODE_MODELS_PATH": str(models)} | (outside.environment if outside else {})
    env |= environment or {}
    port = port or free_port()
    user = ""
    if password:
        env["OPENCODE_SERVER_PASSWORD"] = password
        user = f"{USER}:{password}@"
    served = Opencode(f"http://{user}127.0.0.1:{port}", home, home.with_suffix(".log"))
    argv = [str(OPENCODE), "web", "--port", str(port), "--hostname", "127.0.0.1", "--print-logs"]
    ready = f"{served.url}/global/health"
    with running(argv, home=home, log=served.log, ready=ready, env=env):
        # The plugin is loaded with opencode's first instance, which this question makes.
        first = served.get("/provider/auth")["openai"][0]["label"]
        assert not plugin or re.search("relay|paste", first), f"plugin not loaded: {first}"
        yield served


def label_is(served: Opencode, words: str) -> None:
    """The plugin learns from the relay which way of signing in it can offer, and labels it so."""
    wait_until(
        lambda: words in served.get("/provider/auth")["openai"][0]["label"], f"label {words!r}"
    )
