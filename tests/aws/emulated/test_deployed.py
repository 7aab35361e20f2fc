"""`sam build && sam deploy`, with nothing said, on an emulated AWS; then people sign in."""

import json

from tests.aws.emulated.conftest import Deployer
from tests.aws.emulated.release import Releases
from tests.aws.emulated.stack import RETURN_URL, SignIn, Stack


def test_doctor_finds_it_well(stack: Stack) -> None:
    assert not stack.used()
    assert stack.doctor() == ""
    assert stack.used()


def test_by_pairing_code(stack: Stack) -> None:
    sign_in = SignIn(stack)
    done = sign_in.allow(sign_in.callback("c0de"))
    assert (done.status_code, done.headers["location"]) == (303, "/auth/done")
    assert sign_in.end() == {"code": "c0de"}


def test_by_redirect(stack: Stack) -> None:
    sign_in = SignIn(stack, return_url=RETURN_URL)
    page = sign_in.callback("c0de")
    assert RETURN_URL in page.text
    assert sign_in.brought(page) == {"code": "c0de"}
    sign_in.close()


def test_later_deployments_keep_what_was_said(
    stack: Stack, deployer: Deployer, releases: Releases
) -> None:
    """And one that changes nothing is no failure."""
    template = releases.same()  # whose artifact is there already
    template["Resources"]["Watch"]["Properties"]["TemplateURL"] = "infra/watch/cloudwatch.yaml"
    (deployer.home / "template.yaml").write_text(json.dumps(template))
    for given in (["LogRetention=14"], ["AlarmEmail=ops@example.com"], []):
        done = deployer.sam_deploy(*given)
        assert done.returncode == 0, done.stdout + done.stderr
    found = {p["ParameterKey"]: p["ParameterValue"] for p in stack.described()["Parameters"]}
    assert (found["LogRetention"], found["AlarmEmail"]) == ("14", "ops@example.com")
