#!/usr/bin/env python3
"""Reads a CycloneDX document and writes it as a release has it: sbom.py VERSION FILE.

uv and npm put the time and a random number into theirs: here the time is the commit's
(SOURCE_DATE_EPOCH), and the number follows from the rest. For npm's the FILE is esbuild's metafile,
which says what the bundle has parts of; the others only helped to build it. For uv's it is npm's
document as this has written it: the wheel carries the bundle.
"""

import datetime as dt
import json
import os
import re
import sys
import uuid
from pathlib import Path
from typing import Any

Document = dict[str, Any]


def bundled(document: Document, metafile: Document) -> None:
    """Keep what the bundle has parts of."""
    named = (re.match(r".*node_modules/((?:@[^/]+/)?[^/]+)/", path) for path in metafile["inputs"])
    names = {one[1] for one in named if one}
    kept = [one for one in document["components"] if one["name"] in names]
    for one in kept:
        one |= {"scope": "required", "properties": []}  # to npm they only help to build
    document["components"], document["dependencies"] = kept, []
    depends(document, kept)


def depends(document: Document, components: list[Document]) -> None:
    """Write that the package itself is made of these, too."""
    root = document["metadata"]["component"]["bom-ref"]
    dependencies = {one["ref"]: one for one in document["dependencies"]}
    own = dependencies.setdefault(root, {"ref": root})
    own["dependsOn"] = own.get("dependsOn", []) + [one["bom-ref"] for one in components]
    document["dependencies"] = list(dependencies.values())


def settled(document: Document, version: str) -> Document:
    about = document["metadata"]
    moment = dt.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), dt.UTC)
    about["timestamp"] = moment.isoformat()
    about["component"] |= {"name": "opencode-relay", "version": version}
    del document["serialNumber"]
    said = json.dumps(document, sort_keys=True)
    return {**document, "serialNumber": uuid.uuid5(uuid.NAMESPACE_OID, said).urn}


if __name__ == "__main__":
    version, file = sys.argv[1:]
    document, other = json.load(sys.stdin), json.loads(Path(file).read_text("utf-8"))
    if "inputs" in other:
        bundled(document, other)
    else:
        document["components"] += other["components"]
        depends(document, other["components"])
    json.dump(settled(document, version), sys.stdout, indent=1)
    print()
