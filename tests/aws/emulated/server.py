"""Runs the emulator, whose Python runs this, with three things that it lacks.

It authorizes a request that names several parameters once, and tells policies no
`dynamodb:LeadingKeys`: AWS asks for each parameter, and tells the keys. And it has no CodeDeploy:
its resources are taken, and every update gets all requests at once.
"""

import json
from typing import Any, Self

from ministack import app  # type: ignore[import-not-found]
from ministack.core import iam_actions, iam_evaluator  # type: ignore[import-not-found]
from ministack.services.cloudformation import provisioners  # type: ignore[import-not-found]

_MEMBERS = ("Put", "Update", "Delete", "ConditionCheck", "Get")
_resource, _transaction = iam_actions.extract_resource_arn, iam_actions.dynamodb_transaction_checks
_enforce = iam_evaluator.enforce


class Asked(str):
    """A resource with the checks that AWS would make for it: resources, and what policies see."""

    __slots__ = ("checks",)
    checks: list[tuple[str, dict[str, Any]]]

    def __new__(cls, arn: str, checks: list[tuple[str, dict[str, Any]]]) -> Self:
        made = super().__new__(cls, arn)
        made.checks = checks
        return made


def keyed(arn: str, request: dict[str, Any]) -> Asked:
    """Tell the key of a request for one item; a scan has none."""
    key = (request.get("Key") or request.get("Item") or {}).get("pk", {}).get("S")
    return Asked(arn, [(arn, {"dynamodb:LeadingKeys": [key]} if key else {})])


def resource(
    service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any, **more: Any
) -> str:
    arn: str = _resource(service, method, path, headers, body, *rest, **more)
    if service not in {"dynamodb", "ssm"} or not body:
        return arn
    asked = json.loads(body)
    if service == "dynamodb":
        return keyed(arn, asked)
    names = asked.get("Names") or []
    region, account = rest[1:] if len(rest) > 1 else (more["region"], more["account_id"])
    arns = [f"arn:aws:ssm:{region}:{account}:parameter/{name.lstrip('/')}" for name in names]
    return Asked(arns[0], [(one, {}) for one in arns]) if arns else arn


def transaction(action: str, body: bytes, *rest: Any) -> list[tuple[str, str]]:
    checks = _transaction(action, body, *rest)
    items = json.loads(body).get("TransactItems", []) if checks else []
    requests = [one[member] for one in items for member in _MEMBERS if member in one]
    return [(of, keyed(arn, one)) for (of, arn), one in zip(checks, requests, strict=True)]


def enforce(
    access_key: str,
    action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: dict[str, Any] | None = None,
) -> Any:
    for arn, keys in getattr(resource_arn, "checks", [(resource_arn, {})]):
        context = {**(service_context or {}), **keys}
        denied = _enforce(access_key, action, service, region, arn, context)
        if denied:
            return denied
    return None


CODEDEPLOY = {
    "create": lambda name, _properties, stack: (f"{stack}-{name}", {}),
    "update": lambda physical, *_: (physical, {}),
    "delete": lambda *_: None,
}


if __name__ == "__main__":
    iam_actions.extract_resource_arn = resource
    iam_actions.dynamodb_transaction_checks = transaction
    iam_evaluator.enforce = enforce
    for kind in ("Application", "DeploymentGroup"):
        provisioners._RESOURCE_HANDLERS[f"AWS::CodeDeploy::{kind}"] = CODEDEPLOY
    app.main()
