"""template.yaml as CloudFormation would see it: short forms spelt out, parameters filled in."""

import copy
import functools
import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # comes with moto

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"
WATCH = ROOT / "infra" / "watch" / "cloudwatch.yaml"
FRONT = ROOT / "infra" / "cloudfront.yaml"
DOMAIN = {
    "DomainName": "relay.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c",
}
FUNCTIONS = ("CallbackFunction", "LoginsFunction", "CollectFunction", "RotateKeysFunction")
_NONE = object()  # AWS::NoValue
_KNOWN = {
    "AWS::AccountId": "123456789012",
    "AWS::NoValue": _NONE,
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "relay",
    "AWS::URLSuffix": "amazonaws.com",
    "Api": "a1b2c3",
}


class _Loader(yaml.CSafeLoader):  # type: ignore[misc]  # of no known type
    pass


def _long_form(loader: Any, tag: str, node: Any) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if tag == "GetAtt":
            value = value.split(".", 1)
    else:
        value = loader.construct_sequence(node, deep=True)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _long_form)


@functools.cache
def _parse(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(path.read_text(), _Loader)  # noqa: S506  # a SafeLoader
    return found


def load(path: Path = TEMPLATE) -> dict[str, Any]:
    """Return a template that the caller may change."""
    return copy.deepcopy(_parse(path))


class Stack:
    """What a template makes of some parameters; the others have their defaults.

    A reference becomes the logical id, an attribute `{logical id}.{attribute}`.
    """

    def __init__(self, template: dict[str, Any], **parameters: object) -> None:
        self._template = template
        defaults = {name: one.get("Default") for name, one in template["Parameters"].items()}
        self._known = {**_KNOWN, **defaults, **parameters}
        self.resources: dict[str, dict[str, Any]] = {
            name: self._resolve(one)
            for name, one in self._template["Resources"].items()
            if "Condition" not in one or self._holds(one["Condition"])
        }
        self.outputs: dict[str, str] = {
            name: self._resolve(one)["Value"]
            for name, one in self._template["Outputs"].items()
            if "Condition" not in one or self._holds(one["Condition"])
        }

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the properties of all resources of a type, by logical id."""
        return {
            name: one["Properties"] for name, one in self.resources.items() if one["Type"] == kind
        }

    def function(self, name: str) -> dict[str, Any]:
        """Return a function's properties, with those that hold for all of them."""
        own = self.resources[name]["Properties"]
        return {**self._resolve(self._template["Globals"]["Function"]), **own}

    def environment(self, name: str) -> dict[str, str]:
        variables = self.function(name)["Environment"]["Variables"]
        return {key: str(value) for key, value in variables.items()}

    def routes(self) -> dict[str, str]:
        """Say which function serves each route key."""
        integrations = self.of_type("AWS::ApiGatewayV2::Integration")
        found = {}
        for route in self.of_type("AWS::ApiGatewayV2::Route").values():
            target = route["Target"].removeprefix("integrations/")
            found[route["RouteKey"]] = integrations[target]["IntegrationUri"].partition(".")[0]
        return found

    def statements(self, name: str) -> list[dict[str, Any]]:
        """Return what a function's own role allows."""
        role, _, _ = self.function(name)["Role"].partition(".")
        properties = self.resources[role]["Properties"]
        assert set(properties) == {"AssumeRolePolicyDocument", "Policies"}, role
        return [s for one in properties["Policies"] for s in one["PolicyDocument"]["Statement"]]

    def _holds(self, name: str) -> bool:
        return bool(self._resolve(self._template["Conditions"][name]))

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [one for one in map(self._resolve, value) if one is not _NONE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, given)] = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._call(name.removeprefix("Fn::"), given)
        resolved = {name: self._resolve(one) for name, one in value.items()}
        return {name: one for name, one in resolved.items() if one is not _NONE}

    def _call(self, function: str, given: Any) -> Any:
        match function:
            case "Ref":
                return self._known.get(given, given)
            case "GetAtt":
                return ".".join(given)
            case "Sub":
                return re.sub(r"\$\{([^}]+)\}", lambda m: str(self._call("Ref", m[1])), given)
            case "If":
                return self._resolve(given[1] if self._holds(given[0]) else given[2])
            case "Equals":
                one, other = self._resolve(given)
                return str(one) == str(other)
            case "Not":
                return not self._resolve(given[0])
        raise NotImplementedError(function)
