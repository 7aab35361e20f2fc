"""The function that tends the keys: as a custom resource, and daily."""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opencode_relay.aws import rotation
from opencode_relay.errors import StoreUnavailable
from opencode_relay.keys.key import Purpose

from tests.aws.cloudformation import CloudFormation
from tests.aws.template import Stack, load

PATH = "/opencode-relay/relay/keys"
DENIED = StoreUnavailable("Parameter Store refuses: AccessDeniedException.")


class Parameters:
    """The keys' parameters: each call meets the next of `faults`, as long as there are some."""

    def __init__(self) -> None:
        self.faults: list[Exception] = []
        self.done: list[str] = []
        self.missing = True

    def _do(self, what: str) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.done.append(what)

    def make(self) -> bool:
        self._do("make")
        made, self.missing = self.missing, False
        return made

    def remove(self) -> None:
        self._do("remove")

    def rotate_if_due(self) -> bool:
        self._do("rotate")
        return False


@pytest.fixture(autouse=True)
def parameters(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parameters]:
    parameters = Parameters()
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    monkeypatch.setenv("KEYS_PATH", PATH)
    monkeypatch.setattr(rotation, "client", lambda _: None)
    monkeypatch.setattr(rotation, "KeyParameters", lambda *_: parameters)
    yield parameters
    root.handlers = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(rotation, "sleep", slept.append)
    return slept


@pytest.fixture
def ask(cloudformation: CloudFormation) -> Callable[[str], dict[str, Any]]:
    def ask(kind: str) -> dict[str, Any]:
        rotation.handler(cloudformation.event(kind), None)
        return cloudformation.answers[-1]

    return ask


Ask = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
def test_a_role_that_iam_does_not_know_yet_is_waited_for(
    ask: Ask, parameters: Parameters, slept: list[float], kind: str
) -> None:
    parameters.faults = [DENIED] * 6
    assert ask(kind)["Status"] == "SUCCESS"
    assert parameters.done == ["remove" if kind == "Delete" else "make"]
    assert 20 < sum(slept) < 40


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_what_cannot_be_made_fails_with_its_reason(
    ask: Ask, parameters: Parameters, slept: list[float], kind: str
) -> None:
    parameters.faults = [DENIED] * 100
    answer = ask(kind)
    assert (answer["Status"], answer["Reason"]) == ("FAILED", str(DENIED))
    assert answer["PhysicalResourceId"] == PATH
    assert 35 <= sum(slept) <= 45
    function = Stack(load()).function("RotateKeysFunction")
    assert sum(slept) * 2 < function["Timeout"]


def test_what_cannot_be_deleted_stays_and_is_logged_and_keeps_no_stack(
    ask: Ask,
    parameters: Parameters,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "deleted")  # or it would write where it began
    parameters.faults = [DENIED] * 100
    answer = ask("Delete")
    assert answer["Status"] == "SUCCESS"
    assert answer["Reason"] == f"The keys stay under {PATH}. {DENIED}"
    [line] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["level"], line["message"]) == ("ERROR", "keys_not_removed")
    assert line["fields"]["detail"] == str(DENIED)


@pytest.mark.parametrize(("kind", "status"), [("Create", "FAILED"), ("Delete", "SUCCESS")])
def test_a_fault_that_nobody_foresaw_is_answered_too(
    ask: Ask, parameters: Parameters, slept: list[float], kind: str, status: str
) -> None:
    """Or CloudFormation would wait until its patience ends."""
    parameters.faults = [RuntimeError("the-secret")]
    answer = ask(kind)
    assert answer["Status"] == status
    assert "RuntimeError: see the log." in answer["Reason"]
    assert "the-secret" not in json.dumps(answer)
    assert slept == []


def test_the_answer_has_no_type(ask: Ask, cloudformation: CloudFormation) -> None:
    """S3 signs the address for none, and refuses another."""
    ask("Create")
    assert cloudformation.types == [""]


def test_the_daily_look_rotates_what_is_due_and_a_fault_is_an_error(parameters: Parameters) -> None:
    rotation.handler({}, None)
    assert parameters.done == ["rotate"]
    parameters.faults = [DENIED]
    with pytest.raises(StoreUnavailable):  # which counts for the alarm
        rotation.handler({}, None)


def test_daily_too_the_words_of_a_fault_that_nobody_foresaw_stay_out(
    parameters: Parameters, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "daily")  # or it would write where it began
    parameters.faults = [ZeroDivisionError("the-secret")]
    with pytest.raises(RuntimeError, match=r"^ZeroDivisionError$"):
        rotation.handler({}, None)
    written = capsys.readouterr().out
    assert "the-secret" not in written
    assert json.loads(written)["exception_name"] == "ZeroDivisionError"


def test_a_release_with_another_purpose_is_an_update_of_the_keys() -> None:
    """And there is no version of a function that uses it before it is there."""
    template = load()
    assert template["Resources"]["Keys"]["Properties"]["Purposes"] == list(Purpose)
    for name in ("CallbackFunction", "LoginsFunction"):
        assert (
            "Keys" in template["Resources"][name]["Properties"]["VersionDescription"]["Fn::GetAtt"]
        )


def test_the_digest_is_another_for_other_settings(
    ask: Ask, cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    event, digests = cloudformation.event, []
    for settings in (["a", "b"], ["a", "c"], ["a", "b"]):
        more = {"ResourceProperties": {"Settings": settings}}
        monkeypatch.setattr(cloudformation, "event", lambda kind, more=more: event(kind) | more)
        digests.append(ask("Update")["Data"]["Digest"])
    assert digests[0] == digests[2] != digests[1]
    assert len(digests[0]) <= 256  # of a version's description
