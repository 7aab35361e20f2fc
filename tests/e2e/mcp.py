"""MCP servers that want a sign-in. Their logs say whose every token is."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .processes import HERE, running


@dataclass(frozen=True)
class McpServer:
    url: str
    log: Path

    def events(self, event: str) -> list[dict[str, Any]]:
        """All of one kind, oldest first."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [one for one in map(json.loads, lines) if one["event"] == event]


@contextmanager
def mcp_server(port: int, home: Path, **settings: str) -> Iterator[McpServer]:
    """Run one with settings of mcp-server.mjs, in small letters."""
    log = home.with_suffix(".log")
    env = {name.upper(): value for name, value in settings.items()} | {"PORT": str(port)}
    origin = f"http://127.0.0.1:{port}"
    argv = ["node", f"{HERE}/mcp-server.mjs"]
    with running(argv, home=home, log=log, ready=f"{origin}/healthz", env=env):
        yield McpServer(f"{settings.get('url', origin)}/mcp", log)


@contextmanager
def fastmcp_server(port: int, home: Path, url: str = "") -> Iterator[McpServer]:
    log = home.with_suffix(".log")
    origin = f"http://127.0.0.1:{port}"
    # -P: this folder has a module `mcp`, as FastMCP's SDK is called.
    argv = [sys.executable, "-P", f"{HERE}/fastmcp_server.py", str(port), *([url] if url else [])]
    with running(argv, home=home, log=log, ready=f"{origin}/healthz"):
        yield McpServer(f"{url or origin}/mcp", log)
