"""A stack from a first deployment that fails to its end, and what stays of it."""

from typing import Any

import pytest

from tests.aws.emulated.cloud import Cloud
from tests.aws.emulated.release import Releases
from tests.aws.emulated.stack import QUICK, Stack

NAME = "second"
KINDS = {
    "alarms",
    "apis",
    "dashboards",
    "functions",
    "keys",
    "logs",
    "roles",
    "schedules",
    "tables",
}


def left(cloud: Cloud) -> dict[str, list[str]]:
    """Name what there is of the stack `NAME`, by kind."""
    database, logs, iam = cloud.client("dynamodb"), cloud.client("logs"), cloud.client("iam")
    functions = cloud.client("lambda").list_functions()["Functions"]
    alarms = cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix=NAME)["MetricAlarms"]
    boards = cloud.client("cloudwatch").list_dashboards()["DashboardEntries"]
    keys = cloud.client("ssm").get_parameters_by_path(
        Path=f"/opencode-relay/{NAME}", Recursive=True
    )
    found = {
        "alarms": [one["AlarmName"] for one in alarms],
        "apis": [one["Name"] for one in cloud.client("apigatewayv2").get_apis()["Items"]],
        "dashboards": [one["DashboardName"] for one in boards],
        "functions": [one["FunctionName"] for one in functions],
        "keys": [one["Name"] for one in keys["Parameters"]],
        "logs": [one["logGroupName"] for one in logs.describe_log_groups()["logGroups"]],
        "roles": [one["RoleName"] for one in iam.list_roles()["Roles"]],
        "schedules": [one["Name"] for one in cloud.client("events").list_rules()["Rules"]],
        "tables": database.list_tables()["TableNames"],
    }
    ours = {kind: [one for one in names if NAME in one] for kind, names in found.items()}
    return {kind: names for kind, names in ours.items() if names}


def refusing(releases: Releases) -> dict[str, Any]:
    """Make a template whose keys cannot be made, and whose function does not try for 40 s."""
    template = releases.other(
        "hasty", "aws/rotation", "_PAUSES = (1, 2, 4, 8, 8, 8, 8)", "_PAUSES = ()"
    )
    [policy] = template["Resources"]["RotateKeysRole"]["Properties"]["Policies"]
    policy["PolicyDocument"]["Statement"][-1]["Action"].remove("ssm:PutParameter")
    return template


def forget(cloud: Cloud, table: str) -> None:
    """Delete what stayed, as docs/operations.md says."""
    database = cloud.client("dynamodb")
    with pytest.raises(database.exceptions.ClientError, match="deletion protection"):
        database.delete_table(TableName=table)
    database.update_table(TableName=table, DeletionProtectionEnabled=False)
    database.delete_table(TableName=table)


def test_it_fails_is_deleted_is_deployed_and_deleted(releases: Releases, cloud: Cloud) -> None:
    stack = Stack(cloud, NAME)
    assert stack.create(refusing(releases)) == "ROLLBACK_COMPLETE"
    assert "AccessDeniedException" in stack.why()
    stack.delete()
    [empty] = left(cloud)["tables"]
    assert left(cloud) == {"tables": [empty]}
    forget(cloud, empty)

    assert stack.create(releases.same(), **QUICK) == "CREATE_COMPLETE"
    assert set(left(cloud)) == KINDS
    stack.enrol()
    assert stack.doctor() == ""
    table = stack.outputs["InstancesTable"]
    stack.delete()
    assert left(cloud) == {"tables": [table]}
    items = cloud.client("dynamodb").scan(TableName=table)["Items"]
    assert len([one for one in items if one["pk"]["S"].startswith("instance#")]) == 1
    forget(cloud, table)
    assert left(cloud) == {}
