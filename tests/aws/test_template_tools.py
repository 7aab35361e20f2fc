"""What SAM, cfn-lint and checkov make of the template. tests/aws/install-tools installs them."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.aws.template import DOMAIN, FRONT, ROOT, TEMPLATE, WATCH, load
from tests.aws.tools import run, tool

HERE = Path(__file__).parent
TOPIC = "arn:aws:sns:us-east-1:123456789012:on-call"
CHOICES: list[list[dict[str, str]]] = [
    [{}, DOMAIN | {"KeepApiAddress": "true"}],
    [{}, {"Enrolment": "open", "PermissionsBoundary": "arn:aws:iam::aws:policy/PowerUserAccess"}],
    [{}, {"SnapStart": "PublishedVersions", "Canary": "false"}],
    [{}, {"CollectConcurrency": "50"}],
    [{"AlarmTopic": TOPIC}, {"AlarmEmail": "ops@example.com"}],
]


def parameter_sets() -> list[dict[str, str]]:
    """Choose eight of the 32 sets in which any two choices meet in all four ways."""
    columns = [(a, b, c, a ^ b, a ^ c) for a, b, c in itertools.product((0, 1), repeat=3)]
    return [
        {
            k: v
            for choice, number in zip(CHOICES, column, strict=True)
            for k, v in choice[number].items()
        }
        for column in columns
    ]


def transformed(path: Path, sets: list[dict[str, str]]) -> list[dict[str, Any]]:
    asked = json.dumps({"template": str(path), "sets": sets})
    script = str(HERE / "transform.py")
    done = run(tool("sam", "python"), script, cwd=path.parent, given=asked)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_sam_validates() -> None:
    done = run(tool("sam", "sam"), "validate", "--lint", "--template", str(TEMPLATE), cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("template", [WATCH, FRONT], ids=lambda path: path.stem)
def test_the_other_stacks_are_valid(template: Path) -> None:
    done = run(tool("sam", "cfn-lint"), "--regions", "us-east-1", "--", str(template), cwd=ROOT)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def outcomes() -> list[dict[str, Any]]:
    return transformed(TEMPLATE, parameter_sets())


def test_what_sam_makes_of_it_is_valid_for_every_choice(outcomes: list[dict[str, Any]]) -> None:
    for given, made in zip(parameter_sets(), outcomes, strict=True):
        # Who reads it is SAM.
        findings = [one for one in made["findings"] if "(Parameter Canary not used.)" not in one]
        assert findings == [], given


def test_a_dependency_cycle_is_found(tmp_path: Path) -> None:
    """Which `sam validate` does not see: an API of a function's own events."""
    spoilt = tmp_path / "template.yaml"
    event = """      Events:
        Http:
          Type: HttpApi
      Handler: callback.handler
"""
    text = TEMPLATE.read_text().replace("      Handler: callback.handler\n", event)
    spoilt.write_text(text.replace("https://${Api}.", "https://${ServerlessHttpApi}."))
    [made] = transformed(spoilt, [{}])
    assert {finding.partition(" ")[0] for finding in made["findings"]} >= {"E3004"}


def test_a_role_of_sams_own_making_is_not_used(outcomes: list[dict[str, Any]]) -> None:
    kinds = {name: one["Type"] for name, one in outcomes[0]["template"]["Resources"].items()}
    roles = {name for name, kind in kinds.items() if kind == "AWS::IAM::Role"}
    assert roles == {k for k, v in load()["Resources"].items() if v["Type"] == "AWS::IAM::Role"}
    assert not [kind for kind in kinds.values() if kind.startswith("AWS::Serverless")]
    assert list(kinds.values()).count("AWS::Lambda::Version") == 3


def test_an_update_is_a_canary_that_the_alarm_ends_unless_told_otherwise(
    outcomes: list[dict[str, Any]],
) -> None:
    for given, made in zip(parameter_sets(), outcomes, strict=True):
        resources = made["template"]["Resources"].values()
        groups = [
            one["Properties"]
            for one in resources
            if one["Type"] == "AWS::CodeDeploy::DeploymentGroup"
        ]
        aliases = [one for one in resources if one["Type"] == "AWS::Lambda::Alias"]
        wanted = 0 if given.get("Canary") == "false" else 3
        assert len(groups) == sum("UpdatePolicy" in one for one in aliases) == wanted
        for group in groups:
            assert group["AlarmConfiguration"]["Alarms"] == [{"Name": {"Ref": "ServerErrorsAlarm"}}]
            assert group["AutoRollbackConfiguration"]["Enabled"]


def skips() -> set[tuple[str, str]]:
    lines = (HERE / "checkov.skips").read_text().splitlines()
    found = [line.split(maxsplit=2) for line in lines if not line.startswith("#")]
    assert all(len(line) == 3 for line in found), "each line says why"
    assert len({(check, resource) for check, resource, _ in found}) == len(found)
    return {(check, resource) for check, resource, _ in found}


@pytest.fixture(scope="module")
def failed_checks() -> set[tuple[str, str]]:
    options = ("--framework", "cloudformation", "--skip-download", "--output", "json")
    files = [part for path in (TEMPLATE, WATCH, FRONT) for part in ("--file", str(path))]
    done = run(tool("checkov", "checkov"), *options, *files, cwd=ROOT)
    results = json.loads(done.stdout)["results"]
    assert results["passed_checks"]
    assert results["parsing_errors"] == []
    return {
        (one["check_id"], one["resource"].rpartition(".")[2]) for one in results["failed_checks"]
    }


def test_checkov_finds_only_what_is_so_on_purpose(failed_checks: set[tuple[str, str]]) -> None:
    assert failed_checks == skips()
