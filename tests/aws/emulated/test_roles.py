"""IAM is enforced: without a right that the template gives to a role, `doctor` says what fails."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.aws.emulated.cloud import Cloud
from tests.aws.emulated.release import Releases
from tests.aws.emulated.stack import QUICK, Stack

NO_KEYS = {"dynamodb:LeadingKeys": ["nothing#*"]}
CONDITIONS = [
    ("CallbackRole", 0),
    ("LoginsRole", 0),
    ("LoginsRole", 1),
    ("LoginsRole", 2),
    ("CollectRole", 0),
]


class Role:
    """One of the stack's, whose policy can be another for a while."""

    def __init__(self, cloud: Cloud, stack: Stack, name: str) -> None:
        self._iam = cloud.client("iam")
        self._policy = {"RoleName": stack.resource(name), "PolicyName": "least"}

    def statements(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._iam.get_role_policy(**self._policy)["PolicyDocument"][
            "Statement"
        ]
        return found

    def _put(self, statements: list[dict[str, Any]]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self._iam.put_role_policy(**self._policy, PolicyDocument=document)

    @contextmanager
    def having(self, statements: list[dict[str, Any]]) -> Iterator[None]:
        before = self.statements()
        self._put(statements)
        try:
            yield
        finally:
            self._put(before)


@pytest.fixture(scope="module")
def quick(stack: Stack, releases: Releases) -> Stack:
    assert stack.update(releases.same(), **QUICK) == "UPDATE_COMPLETE"
    assert stack.doctor() == ""
    return stack


@pytest.mark.parametrize(("name", "number"), CONDITIONS)
def test_doctor_fails_without_a_condition(
    quick: Stack, cloud: Cloud, name: str, number: int
) -> None:
    role = Role(cloud, quick, name)
    statements = role.statements()
    conditions = [
        one["Condition"]
        for one in statements
        # When a key was last used is noted, but no login rests on it.
        if "Condition" in one and "dynamodb:Attributes" not in str(one["Condition"])
    ]
    assert len(conditions) == len([one for one in CONDITIONS if one[0] == name])
    conditions[number]["ForAllValues:StringLike"] = NO_KEYS
    with role.having(statements):
        assert "✗ a whole login" in quick.doctor()


def test_each_key_is_asked_for_by_its_own_name(
    quick: Stack, releases: Releases, cloud: Cloud
) -> None:
    """A function that starts without the right to one of its keys can use none of them."""
    role = Role(cloud, quick, "CallbackRole")
    statements = role.statements()
    assert statements[-1]["Resource"].pop().endswith("/keys/response")
    with role.having(statements):
        assert quick.update(releases.same(), **QUICK, LogLevel="warning") == "UPDATE_COMPLETE"
        assert "✗ store and keys" in quick.doctor()
    assert quick.doctor() == ""


@pytest.mark.parametrize("action", ["ssm:GetParameters", "ssm:PutParameter"])
def test_the_daily_run_fails_aloud_without_its_right(
    quick: Stack, cloud: Cloud, action: str
) -> None:
    """As the function's error, on which the alarm rests; with it, it adds a key that is gone."""

    def failed() -> bool:
        name = quick.resource("RotateKeysFunction")
        answer = cloud.client("lambda").invoke(FunctionName=name, Payload=b"{}")
        return "FunctionError" in answer

    key = {"Name": f"{quick.outputs['KeysPath']}/fingerprint"}
    cloud.client("ssm").delete_parameter(**key)
    role = Role(cloud, quick, "RotateKeysRole")
    statements = role.statements()
    statements[-1]["Action"].remove(action)
    with role.having(statements):
        assert failed()
    assert not failed()
    assert cloud.client("ssm").get_parameter(**key)["Parameter"]["Version"] == 1
