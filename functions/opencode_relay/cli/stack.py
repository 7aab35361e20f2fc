"""A relay on AWS, found by its stack's name: its tables and the path of its keys."""

from __future__ import annotations

from typing import Any

from opencode_relay.errors import ConfigError

_OUTPUTS = ("LoginsTable", "InstancesTable", "KeysPath")


class Stack:
    """Opens what the stack's outputs name, with the caller's own AWS credentials.

    Raises ConfigError with a sentence.
    """

    def __init__(self, name: str) -> None:
        try:
            import boto3  # noqa: PLC0415  # an extra: most relays run without AWS
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

            from opencode_relay.keys.parameters import KeyParameters  # noqa: PLC0415
            from opencode_relay.stores.dynamodb import DynamoDBStore  # noqa: PLC0415
        except ImportError:
            raise ConfigError(
                "--stack needs the extra “aws”: `uv sync --extra aws` in a clone, elsewhere "
                "`pip install 'opencode-relay[aws]'`."
            ) from None
        try:
            session = boto3.Session()
            found = session.client("cloudformation").describe_stacks(StackName=name)
            database, ssm = session.client("dynamodb"), session.client("ssm")
        except ClientError as wrong:
            code = wrong.response["Error"]["Code"]
            raise ConfigError(
                f"There is no reading the stack {name!r} ({code}): check its name, the region, the "
                "credentials and this machine's clock."
            ) from None
        except BotoCoreError as wrong:
            raise ConfigError(f"AWS cannot be reached: {wrong}.") from None
        outputs: dict[str, Any] = {
            one["OutputKey"]: one["OutputValue"] for one in found["Stacks"][0].get("Outputs", [])
        }
        if not set(_OUTPUTS) <= set(outputs):
            raise ConfigError(f"The stack {name!r} is no opencode-relay: its outputs name no keys.")
        self.named = ("--stack", name)
        self.url: str | None = outputs.get("RelayUrl")
        self.store = DynamoDBStore(
            database, logins=outputs["LoginsTable"], instances=outputs["InstancesTable"]
        )
        self.keys = KeyParameters(ssm, outputs["KeysPath"])
