"""What docs/operations.md says to do, done on a stack that runs."""

import json
import re
from hashlib import sha256

from tests.aws.emulated.cloud import Cloud
from tests.aws.emulated.release import Releases
from tests.aws.emulated.stack import QUICK, Stack


def test_a_damaged_key_is_mended_by_what_its_error_names(stack: Stack, cloud: Cloud) -> None:
    def failed() -> str:
        name = stack.resource("RotateKeysFunction")
        answer = cloud.client("lambda").invoke(FunctionName=name, Payload=b"{}")
        told = json.loads(answer["Payload"].read() or "null")
        return str(told["errorMessage"]) if "FunctionError" in answer else ""

    ssm, damaged = cloud.client("ssm"), f"{stack.outputs['KeysPath']}/fingerprint"
    assert failed() == ""
    ssm.put_parameter(Name=damaged, Value="the-secret", Type="SecureString", Overwrite=True)
    told = failed()
    assert "the-secret" not in told
    [named] = re.findall(r"`aws ssm delete-parameter --name (\S+)`", told)
    assert named == damaged
    ssm.delete_parameter(Name=named)
    assert failed() == ""
    assert ssm.get_parameter(Name=named)["Parameter"]["Version"] == 1


def test_a_front_is_told_and_let_go(stack: Stack, releases: Releases, cloud: Cloud) -> None:
    def health(**headers: str) -> int:
        with cloud.web() as web:
            return web.get(f"{stack.url}/healthz", headers=headers).status_code

    told = {"FrontSecretHash": sha256(b"a-secret").hexdigest()}
    assert stack.update(releases.same(), **QUICK, **told) == "UPDATE_COMPLETE"
    known = {"X-Relay-Front": "a-secret", "CloudFront-Viewer-Address": "198.51.100.10:46532"}
    assert (health(), health(**known)) == (403, 200)
    assert stack.update(releases.same(), **QUICK) == "UPDATE_COMPLETE"
    assert health() == 200
