"""Puts the built opencode plugin into the wheel, and into the sdist, from which no Node is needed.

An editable install, as `uv run` makes it, stays without: `opencode-relay connect` builds it there.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACES = {"wheel": "opencode_relay/plugin.js", "sdist": "plugin/dist/index.js"}


class Plugin(BuildHookInterface):  # type: ignore[type-arg]
    """hatchling's build hook."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raise where an sdist has no plugin to carry; a wheel serves without one, and says so."""
        if version == "editable":
            return
        root = Path(self.root)
        sys.path.insert(0, str(root / "functions"))
        from opencode_relay.bundle import build  # noqa: PLC0415
        from opencode_relay.errors import ConfigError  # noqa: PLC0415

        try:
            built = build(root)
        except ConfigError as wrong:
            if self.target_name == "sdist":
                raise
            self.app.display_warning(f"`opencode-relay connect` will not work: {wrong}")
            return
        build_data["force_include"][str(built)] = PLACES[self.target_name]
