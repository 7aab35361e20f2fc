"""Transforms a template as AWS does and lints the outcome. SAM's own Python runs it.

Reads {"template": path, "sets": [parameters, …]} and writes for each set {"template", "findings"}.
"""

import json
import sys
from typing import Any

from cfnlint.api import lint  # type: ignore[import-not-found]
from cfnlint.config import ManualArgs  # type: ignore[import-not-found]
from samtranslator.translator.transform import transform  # type: ignore[import-not-found]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-not-found]

REGION = "us-east-1"


class NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


def outcome(text: str, given: dict[str, str]) -> dict[str, Any]:
    template = yaml_parse(text)
    # What `sam package` does: local paths become addresses of what it uploads.
    template["Globals"]["Function"]["CodeUri"] = "s3://artifacts/functions"
    address = "https://artifacts.s3.amazonaws.com/cloudwatch.yaml"
    template["Resources"]["Watch"]["Properties"]["TemplateURL"] = address
    for name, value in given.items():
        template["Parameters"][name]["Default"] = value
    values = {name: one["Default"] for name, one in template["Parameters"].items()}
    values |= {"AWS::Region": REGION, "AWS::Partition": "aws"}
    done = transform(template, values, NoManagedPolicies())
    found = lint(json.dumps(done), config=ManualArgs(regions=[REGION]))
    return {"template": done, "findings": [f"{one.rule.id} {one}" for one in found]}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    with open(asked["template"]) as file:  # noqa: PTH123
        source = file.read()
    json.dump([outcome(source, given) for given in asked["sets"]], sys.stdout)
