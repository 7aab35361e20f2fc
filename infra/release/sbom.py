#!/usr/bin/env python3
"""Reads a CycloneDX document and writes it as a release has it: sbom.py VERSION [METAFILE].

uv and npm put the time and a random number into theirs: here the time is the commit's
(SOURCE_DATE_EPOCH), and the number follows from the rest. A METAFILE of esbuild says which packages
the bundle has parts of; the others only helped to build it.
"""

import datetime as dt
import json
import os
import re
import sys
import uuid
from pathlib import Path
from typing import Any


def settled(document: dict[str, Any], version: str, bundled: set[str] | None) -> dict[str, Any]:
    about = document["metadata"]
    moment = dt.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), dt.UTC)
    about["timestamp"] = moment.isoformat()
    about["component"] |= {"name": "opencode-relay", "version": version}
    if bundled is not None:
        document["components"] = kept = [
            one for one in document["components"] if one["name"] in bundled
        ]
        root = about["component"]["bom-ref"]
        refs = [one["bom-ref"] for one in kept]
        document["dependencies"] = [{"ref": root, "dependsOn": refs}]
        for one in kept:
            one |= {"scope": "required", "properties": []}  # to npm they only help to build
    del document["serialNumber"]
    said = json.dumps(document, sort_keys=True)
    return {**document, "serialNumber": uuid.uuid5(uuid.NAMESPACE_OID, said).urn}


def packages(metafile: Path) -> set[str]:
    """Name the packages whose files are in a bundle."""
    inputs = json.loads(metafile.read_text("utf-8"))["inputs"]
    named = (re.match(r".*node_modules/((?:@[^/]+/)?[^/]+)/", path) for path in inputs)
    return {one[1] for one in named if one}


if __name__ == "__main__":
    version, *metafiles = sys.argv[1:]
    bundled = packages(Path(metafiles[0])) if metafiles else None
    json.dump(settled(json.load(sys.stdin), version, bundled), sys.stdout, indent=1)
    print()
