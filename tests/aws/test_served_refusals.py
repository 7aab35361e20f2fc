"""What keeps `serve` over DynamoDB from starting is one sentence, and nobody is sent to it."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.aws.ric_wire import INSTANCES, KEYS_PATH, LOGINS
from tests.aws.tap import Fault, Tap
from tests.support.served import run_here

DENIED = Fault(400, "AccessDeniedException")
UNKNOWN = Fault(400, "UnrecognizedClientException")


@pytest.fixture
def given(tap: Tap, tmp_path: Path) -> dict[str, str]:
    return {
        "RELAY_STORE": "dynamodb",
        "RELAY_LOGINS_TABLE": LOGINS,
        "RELAY_INSTANCES_TABLE": INSTANCES,
        "RELAY_KEYS_PATH": KEYS_PATH,
        "AWS_ACCESS_KEY_ID": "refused",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(tmp_path),
        **tap.environment(),
    }


def refused(*args: str, **env: str) -> str:
    done = run_here("serve", "--port=0", *args, **env)
    assert (done.returncode, done.stdout) == (1, "")
    [sentence] = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    return sentence


@pytest.mark.parametrize("name", ["RELAY_LOGINS_TABLE", "RELAY_INSTANCES_TABLE", "RELAY_KEYS_PATH"])
def test_a_name_that_is_not_given(given: dict[str, str], name: str) -> None:
    told = refused(**given | {name: ""})
    assert f"RELAY_STORE=dynamodb needs {name} too, or --stack instead of all." in told


@pytest.mark.parametrize("flag", ["--name=x", "--return-url=https://x.example/", "--key-file=x"])
def test_a_first_instance_is_enrolled_by_nobody(given: dict[str, str], flag: str) -> None:
    told = refused(flag, **given)
    assert f"{flag.partition('=')[0]}: not for a relay on AWS" in told
    assert "instances add NAME" in told


@pytest.mark.parametrize("name", ["RELAY_LOGINS_TABLE", "RELAY_INSTANCES_TABLE"])
def test_a_table_that_is_none(given: dict[str, str], name: str) -> None:
    told = refused(**given | {name: "none"})
    assert "ResourceNotFoundException: there is no such table in this region." in told


def test_keys_that_are_none(given: dict[str, str]) -> None:
    told = refused(**given | {"RELAY_KEYS_PATH": "/none"})
    assert "In us-east-1 the keys are not all there under /none: check the region and" in told
    assert "keys rotate --due` does." in told


@pytest.mark.parametrize("action", ["GetParameters", "GetItem", "BatchGetItem"])
@pytest.mark.parametrize(
    ("fault", "words"),
    [(DENIED, "the credentials' owner may not do this"), (UNKNOWN, "AWS does not know these")],
)
def test_a_right_that_is_missing(
    given: dict[str, str], tap: Tap, action: str, fault: Fault, words: str
) -> None:
    with tap.faulty(fault, action):
        assert words in refused(**given)


def test_nobody_can_connect_before_the_tables_were_read(given: dict[str, str], tap: Tap) -> None:
    with tap.faulty(DENIED, "GetItem"), socket.create_server(("127.0.0.1", 0)) as taken:
        told = refused(f"--port={taken.getsockname()[1]}", **given)
    assert "DynamoDB refuses" in told  # it did not come as far as to the port, which is taken


def test_cloudformation_that_does_not_answer(given: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        told = refused("--stack=x", **given | {"AWS_ENDPOINT_URL_CLOUDFORMATION": url})
    assert "AWS cannot be asked: ReadTimeoutError." in told


@pytest.mark.parametrize("service", ["DYNAMODB", "SSM", "CLOUDFORMATION"])
def test_plain_http_to_another_machine(given: dict[str, str], service: str) -> None:
    url = {f"AWS_ENDPOINT_URL_{service}": "http://192.0.2.1:8000"}
    stack = ["--stack=x"] if service == "CLOUDFORMATION" else []
    told = refused(*stack, **given | url)
    assert f"AWS's {service.lower()} is asked by https only" in told
    assert f"change AWS_ENDPOINT_URL_{service}" in told


def test_plain_http_goes_through_no_proxy(
    given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        told = refused(**given | {"HTTP_PROXY": url, "http_proxy": url, "RELAY_KEYS_PATH": "/none"})
        proxy.settimeout(0)
        with pytest.raises(BlockingIOError):
            proxy.accept()
    assert "/none" in told  # which the tap itself said


def test_no_credentials(given: dict[str, str]) -> None:
    told = refused(**given | {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    assert "cannot be reached: NoCredentialsError: there are no AWS credentials" in told


def test_no_region(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    del given["AWS_DEFAULT_REGION"]
    assert "AWS cannot be asked: NoRegionError: set AWS_DEFAULT_REGION" in refused(**given)


def test_a_profile_that_is_none(given: dict[str, str]) -> None:
    told = refused(**given | {"AWS_PROFILE": "none"})
    assert "AWS cannot be asked: ProfileNotFound: there is no profile" in told


def test_who_serves_alone_does_not_wait_for_boto3() -> None:
    looks = "import sys, opencode_relay.cli.serve; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", looks], check=False).returncode == 0


def test_no_extra(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert "needs the extra “aws”" in refused(**given)
