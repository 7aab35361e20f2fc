"""What the stack keeps, for how long, and what its logs could hold."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from opencode_relay.login import REMEMBERED

from tests.aws.template import FUNCTIONS, Stack, load

Resources = dict[str, dict[str, Any]]
# Of the variables of an access log those that can hold no part of a query; `$context.path` could,
# for `%3F` in a path is a question mark.
LOGGABLE = {
    "error.message",
    "identity.sourceIp",
    "integrationErrorMessage",
    "integrationStatus",
    "requestId",
    "responseLatency",
    "responseLength",
    "routeKey",
    "status",
}


@pytest.fixture
def template() -> dict[str, Any]:
    return load()


def faults_of_access_logs(resources: Resources) -> list[str]:
    found = []
    for name, one in resources.items():
        if one["Type"] == "AWS::ApiGatewayV2::Stage":
            form = one["Properties"].get("AccessLogSettings", {}).get("Format", "")
            found += [
                f"{name} could log a query: ${variable}"
                for variable in re.findall(r"\$([\w.]*)", form)
                if variable.removeprefix("context.") not in LOGGABLE
            ]
    return found


def faults_of_tables(resources: Resources) -> list[str]:
    tables = {k: v for k, v in resources.items() if v["Type"] == "AWS::DynamoDB::Table"}
    wanted: Resources = {
        "LoginsTable": {
            "SSESpecification": {"SSEEnabled": True},
            "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False},
        },
        "InstancesTable": {
            "SSESpecification": {"SSEEnabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "DeletionProtectionEnabled": True,
        },
    }
    found = [] if set(tables) == set(wanted) else ["other tables"]
    for name, settings in wanted.items():
        for setting, value in settings.items():
            if tables[name]["Properties"].get(setting) != value:
                found.append(f"{name}.{setting}")
        if tables[name]["Properties"].get("BillingMode") != "PAY_PER_REQUEST":
            found.append(f"{name} is not on demand")
    return found + [
        f"InstancesTable.{policy}"
        for policy in ("DeletionPolicy", "UpdateReplacePolicy")
        if tables["InstancesTable"].get(policy) != "Retain"
    ]


def test_tables_and_access_log(template: dict[str, Any]) -> None:
    assert faults_of_access_logs(template["Resources"]) == []
    assert faults_of_tables(template["Resources"]) == []
    [stage] = Stack(template).of_type("AWS::ApiGatewayV2::Stage").values()
    form = stage["AccessLogSettings"]["Format"]
    assert set(json.loads(form)) >= {"address", "route", "status", "error", "integration_error"}
    # The functions' lines have the same id as `correlation_id`, from the event.
    assert json.loads(form)["request_id"] == "$context.requestId"
    assert "\n" not in form


@pytest.mark.parametrize(
    "variable",
    [
        "$context.path",
        "$context.requestOverride.querystring.code",
        "$request.querystring.code",
        "$",
    ],
)
def test_an_access_log_that_could_hold_a_query_is_a_fault(
    template: dict[str, Any], variable: str
) -> None:
    settings = template["Resources"]["Stage"]["Properties"]["AccessLogSettings"]
    settings["Format"] += f" {variable}"
    assert faults_of_access_logs(template["Resources"])


@pytest.mark.parametrize("table", ["LoginsTable", "InstancesTable"])
@pytest.mark.parametrize("setting", ["SSESpecification", "PointInTimeRecoverySpecification"])
@pytest.mark.parametrize(
    "spoil", [lambda _: None, lambda old: {name: not value for name, value in old.items()}]
)
def test_a_table_that_loses_its_protection_is_a_fault(
    template: dict[str, Any], table: str, setting: str, spoil: Callable[[Any], Any]
) -> None:
    properties = template["Resources"][table]["Properties"]
    properties[setting] = spoil(properties[setting])
    assert faults_of_tables(template["Resources"]) == [f"{table}.{setting}"]


@pytest.mark.parametrize(
    "wrong", [None, {"AttributeName": "ttl", "Enabled": False}, {"AttributeName": "expires_at"}]
)
def test_logins_that_would_not_expire_are_a_fault(template: dict[str, Any], wrong: Any) -> None:
    template["Resources"]["LoginsTable"]["Properties"]["TimeToLiveSpecification"] = wrong
    assert faults_of_tables(template["Resources"])
    assert REMEMBERED >= 600  # a login that is over is told so for ten minutes


@pytest.mark.parametrize("policy", ["DeletionPolicy", "UpdateReplacePolicy"])
def test_enrolled_instances_that_would_go_with_the_stack_are_a_fault(
    template: dict[str, Any], policy: str
) -> None:
    template["Resources"]["InstancesTable"][policy] = "Delete"
    assert faults_of_tables(template["Resources"]) == [f"InstancesTable.{policy}"]


def test_logs_are_kept_as_long_as_asked(template: dict[str, Any]) -> None:
    stack = Stack(template, LogRetention=7)
    groups = stack.of_type("AWS::Logs::LogGroup")
    assert {one["RetentionInDays"] for one in groups.values()} == {7}
    used = {stack.function(name)["LoggingConfig"]["LogGroup"] for name in FUNCTIONS}
    [stage] = stack.of_type("AWS::ApiGatewayV2::Stage").values()
    used.add(stage["AccessLogSettings"]["DestinationArn"].removesuffix(".Arn"))
    assert used == set(groups)


def test_every_route_is_throttled(template: dict[str, Any]) -> None:
    stack = Stack(template, ThrottleRate=3, ThrottleBurst=4)
    [stage] = stack.of_type("AWS::ApiGatewayV2::Stage").values()
    asked = {"ThrottlingRateLimit": 3, "ThrottlingBurstLimit": 4}
    assert stage["DefaultRouteSettings"] == asked
    assert set(stage["RouteSettings"]) == {"$default"}
    [named] = [
        name
        for name, one in stack.of_type("AWS::ApiGatewayV2::Route").items()
        if one["RouteKey"] == "$default"
    ]
    assert stack.resources["Stage"]["DependsOn"] == named  # or AWS does not know the route yet
