"""Puts the built opencode plugin into the wheel, and into the sdist, from which no Node is needed.

An editable install, as `uv run` makes it, stays without: `opencode-relay connect` builds it there.
The README, which is PyPI's page, gets links that lead to the same version in the repository.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

sys.path.insert(0, str(Path(__file__).with_name("functions")))
from opencode_relay import REPOSITORY, __version__

PLACES = {"wheel": "opencode_relay/plugin.js", "sdist": "plugin/dist/index.js"}


class Page(MetadataHookInterface):
    """hatchling's hook for what is dynamic in pyproject.toml."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        page = Path(self.root, "README.md").read_text("utf-8")
        metadata["urls"] = {}
        if REPOSITORY:
            metadata["urls"]["Source"] = REPOSITORY
            page = page.replace("](#", "](README.md#")
            for link, folder in (("](", "blob"), ('src="', "raw")):
                relative = re.escape(link) + "(?![a-z]+:)"
                page = re.sub(relative, f"{link}{REPOSITORY}/{folder}/v{__version__}/", page)
        metadata["readme"] = {"content-type": "text/markdown", "text": page}


class Plugin(BuildHookInterface):  # type: ignore[type-arg]
    """hatchling's build hook."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raise where an sdist has no plugin to carry; a wheel serves without one, and says so."""
        if version == "editable":
            return
        from opencode_relay.bundle import build  # noqa: PLC0415
        from opencode_relay.errors import ConfigError  # noqa: PLC0415

        try:
            built = build(Path(self.root))
        except ConfigError as wrong:
            if self.target_name == "sdist":
                raise
            self.app.display_warning(f"`opencode-relay connect` will not work: {wrong}")
            return
        build_data["force_include"][str(built)] = PLACES[self.target_name]
