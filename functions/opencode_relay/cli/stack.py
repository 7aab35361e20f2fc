"""A relay on AWS: its tables and its keys, by the names of a stack's outputs or of settings."""

from __future__ import annotations

from typing import Any

from opencode_relay.errors import ConfigError
from opencode_relay.settings import Settings

_OUTPUTS = {
    "LoginsTable": "logins_table",
    "InstancesTable": "instances_table",
    "KeysPath": "keys_path",
}


class Stack:
    """Opens what `settings` name, with the caller's own AWS credentials and region.

    `name` is that of a CloudFormation stack whose outputs name them instead. Raises ConfigError
    with a sentence.
    """

    def __init__(self, name: str | None, settings: Settings) -> None:
        self.named = ("--stack", name) if name else ()
        self.url: str | None = settings.public_url or None
        try:
            import boto3  # noqa: PLC0415  # an extra: most relays run without AWS
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

            from opencode_relay.amazon import CONFIG, why  # noqa: PLC0415
            from opencode_relay.keys.parameters import KeyParameters  # noqa: PLC0415
            from opencode_relay.stores.dynamodb import DynamoDBStore  # noqa: PLC0415
        except ImportError:
            raise ConfigError(
                "A relay on AWS needs the extra “aws”. In a clone: `uv sync --inexact --extra aws` "
                "and then this again, or `uv tool install --reinstall '.[aws]'`."
            ) from None
        try:
            session = boto3.Session()
            if name:
                outputs = _outputs(session.client("cloudformation", config=CONFIG), name)
                self.url = outputs.get("RelayUrl")
                names = {setting: outputs[one] for one, setting in _OUTPUTS.items()}
            else:
                names = {setting: getattr(settings, setting) for setting in _OUTPUTS.values()}
            database = session.client("dynamodb", config=CONFIG)
            ssm = session.client("ssm", config=CONFIG)
        except ClientError as wrong:
            code = wrong.response["Error"]["Code"]
            raise ConfigError(
                f"There is no reading the stack {name!r} ({code}): check its name, the region, the "
                "credentials and this machine's clock."
            ) from None
        except BotoCoreError as wrong:
            raise ConfigError(f"AWS cannot be asked: {why(wrong)}.") from None
        missing = [f"RELAY_{setting.upper()}" for setting in names if not names[setting]]
        if missing:
            raise ConfigError(
                f"RELAY_STORE=dynamodb needs {', '.join(missing)} too, or --stack instead of all."
            )
        self.store = DynamoDBStore(
            database, logins=names["logins_table"], instances=names["instances_table"]
        )
        self.keys = KeyParameters(ssm, names["keys_path"])


def _outputs(cloudformation: Any, name: str) -> dict[str, str]:
    found = cloudformation.describe_stacks(StackName=name)
    given = found["Stacks"][0].get("Outputs", [])
    outputs = {one["OutputKey"]: str(one["OutputValue"]) for one in given}
    if not set(_OUTPUTS) <= set(outputs):
        raise ConfigError(f"The stack {name!r} is no opencode-relay: its outputs name no keys.")
    return outputs
