"""Runs the emulator, whose Python runs this, with what it lacks.

It authorizes a request that names several parameters once, and tells policies neither
`dynamodb:LeadingKeys` nor the attributes of a change: AWS asks for each parameter, and tells them.
It tells no function which address was asked. And it has no CodeDeploy: its resources are taken, and
every update gets all requests at once.
"""

import json
import re
from typing import Any, Self

from ministack import app  # type: ignore[import-not-found]
from ministack.core import iam_actions, iam_evaluator  # type: ignore[import-not-found]
from ministack.services import lambda_svc  # type: ignore[import-not-found]
from ministack.services.cloudformation import provisioners  # type: ignore[import-not-found]

_MEMBERS = ("Put", "Update", "Delete", "ConditionCheck", "Get")
_resource, _transaction = iam_actions.extract_resource_arn, iam_actions.dynamodb_transaction_checks
_enforce, _execute = iam_evaluator.enforce, lambda_svc._execute_function_with_config_scope


class Asked(str):
    """A resource with the checks that AWS would make for it: resources, and what policies see."""

    __slots__ = ("checks",)
    checks: list[tuple[str, dict[str, Any]]]

    def __new__(cls, arn: str, checks: list[tuple[str, dict[str, Any]]]) -> Self:
        made = super().__new__(cls, arn)
        made.checks = checks
        return made


def keyed(arn: str, request: dict[str, Any]) -> Asked:
    """Tell the key and the attributes of a request for one item; a scan has no key."""
    batch = [key for of in request.get("RequestItems", {}).values() for key in of["Keys"]]
    if batch:
        keys = [one["pk"]["S"] for one in batch]
        return Asked(arn, [(arn, {"dynamodb:LeadingKeys": keys})])
    key = (request.get("Key") or request.get("Item") or {}).get("pk", {}).get("S")
    if not key:
        return Asked(arn, [(arn, {})])
    texts = " ".join(str(request.get(f"{of}Expression", "")) for of in ("Update", "Condition"))
    # Keywords are in capitals, functions have a bracket, values a colon.
    words = re.findall(r"(?<![:\w])#?[a-z_]\w*+(?!\()", texts)
    aliases = request.get("ExpressionAttributeNames", {})
    attributes = sorted({*request.get("Key", {}), *(aliases.get(one, one) for one in words)})
    return Asked(arn, [(arn, {"dynamodb:LeadingKeys": [key], "dynamodb:Attributes": attributes})])


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


def execute(record: Any, event: dict[str, Any]) -> Any:
    asked = event.get("requestContext", {})
    if "domainName" in asked:
        host = event["headers"]["host"]
        asked["domainName"] = host.replace("127.0.0.1", "us-east-1.amazonaws.com")
    return _execute(record, event)


CODEDEPLOY = {
    "create": lambda name, _properties, stack: (f"{stack}-{name}", {}),
    "update": lambda physical, *_: (physical, {}),
    "delete": lambda *_: None,
}


if __name__ == "__main__":
    iam_actions.extract_resource_arn = resource
    iam_actions.dynamodb_transaction_checks = transaction
    iam_evaluator.enforce = enforce
    lambda_svc._execute_function_with_config_scope = execute
    for kind in ("Application", "DeploymentGroup"):
        provisioners._RESOURCE_HANDLERS[f"AWS::CodeDeploy::{kind}"] = CODEDEPLOY
    app.main()
