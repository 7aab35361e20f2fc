"""`serve --stack` beside the stack's functions, with no right but those of the page's policy."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.aws.emulated.cloud import ACCOUNT, REGION, Cloud
from tests.aws.emulated.stack import Stack
from tests.aws.template import ROOT, load
from tests.aws.template import Stack as Template
from tests.aws.test_policies import allowed
from tests.support.served import Client, Served, run, until

USER = {"UserName": "containers"}


def policy(**names: str) -> dict[str, Any]:
    """Return the page's policy, with names in its gaps."""
    [text] = re.findall(r"```json\n(\{\n  \"Version\".*?)```", page(), re.DOTALL)
    for gap, name in names.items():
        text = re.sub(rf"\b{gap}\b", name, text)
    found: dict[str, Any] = json.loads(text)
    return found


def page() -> str:
    return (ROOT / "docs" / "operations.md").read_text()


class Containers:
    """Whoever runs processes beside a stack: a user with the policy."""

    def __init__(self, cloud: Cloud, stack: Stack, logs: Path) -> None:
        self._stack, self._logs = stack, logs
        self._iam = cloud.client("iam")
        self._iam.create_user(**USER)
        key = self._iam.create_access_key(**USER)["AccessKey"]
        self._environment = {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": cloud.url,
            "RELAY_MAX_WAIT": "5",
        }
        outputs = stack.outputs
        self.policy = policy(
            REGION=REGION,
            ACCOUNT=ACCOUNT,
            STACK=stack.name,
            LOGINS_TABLE=outputs["LoginsTable"],
            INSTANCES_TABLE=outputs["InstancesTable"],
        )
        self._put(self.policy)

    def _put(self, document: dict[str, Any]) -> None:
        named = {**USER, "PolicyName": "least", "PolicyDocument": json.dumps(document)}
        self._iam.put_user_policy(**named)

    @contextmanager
    def without(self, action: str) -> Iterator[None]:
        """Take a right away, of every statement."""
        less = [
            {**one, "Action": [a for a in one["Action"] if a != action] or ["sts:None"]}
            for one in self.policy["Statement"]
        ]
        self._put({**self.policy, "Statement": less})
        try:
            yield
        finally:
            self._put(self.policy)

    def serve(self) -> Served:
        return Served(None, self._logs, "--stack", self._stack.name, **self._environment)

    def refused(self) -> str:
        done = run("serve", "--port=0", "--stack", self._stack.name, **self._environment)
        assert done.returncode == 1
        return done.stderr


@pytest.fixture(scope="module")
def containers(cloud: Cloud, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Containers:
    return Containers(cloud, stack, tmp_path_factory.mktemp("containers"))


@pytest.fixture(scope="module")
def served(containers: Containers) -> Iterator[Served]:
    served = containers.serve()
    yield served
    assert served.stop() == 0


def test_doctor_finds_it_well(served: Served, stack: Stack) -> None:
    done = run("doctor", served.url, OPENCODE_RELAY_KEY=stack.key)
    assert done.returncode == 0, done.stdout + done.stderr


def test_who_waits_is_looked_for_and_only_by_that_right(
    served: Served, stack: Stack, containers: Containers
) -> None:
    instance = Client(served, stack.key)
    assert instance.collect(instance.open(), 3).status_code == 202
    assert "chores_failed" not in served.stderr
    with containers.without("dynamodb:BatchGetItem"):
        assert instance.collect(instance.open(), 3).status_code == 202
        until(lambda: "chores_failed" in served.stderr, "the right is missed")
    assert "AccessDeniedException" in served.stderr


@pytest.mark.parametrize(
    "action", ["cloudformation:DescribeStacks", "dynamodb:GetItem", "ssm:GetParameters"]
)
def test_without_a_right_it_does_not_start(containers: Containers, action: str) -> None:
    with containers.without(action):
        assert "AccessDenied" in containers.refused()


def test_the_policy_is_that_of_the_functions_and_two_rights_more() -> None:
    template = Template(load())
    names = ("CallbackFunction", "LoginsFunction", "CollectFunction")
    functions = {use for name in names for use in allowed(template, name)}
    keys = {use for use in functions if use[0].startswith("ssm:")}
    of_process = set()
    for one in policy(LOGINS_TABLE="LoginsTable", INSTANCES_TABLE="InstancesTable")["Statement"]:
        limits = one.get("Condition", {}).get("ForAllValues:StringLike", {})
        assert one.get("Condition", {}).get("Null", {}) == dict.fromkeys(limits, "false")
        only = " ".join(sorted(limits.get("dynamodb:Attributes", [])))
        table = one["Resource"].rpartition("/")[2] + ".Arn"
        of_process |= {
            (action, table, key[:-1] + only)
            for action in one["Action"]
            for key in limits.get("dynamodb:LeadingKeys", [])
        }
    more = {("dynamodb:BatchGetItem", "LoginsTable.Arn", "login#")}
    assert of_process == (functions - keys) | more
    assert {action for action, *_ in keys} == {"ssm:GetParameters"}
