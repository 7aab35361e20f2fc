"""A relay on AWS: its tables and its keys, by the names of a stack's outputs or of settings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opencode_relay.addresses import is_loopback
from opencode_relay.errors import ConfigError
from opencode_relay.settings import Settings

if TYPE_CHECKING:
    from opencode_relay.stores.shared import SharedStore

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

            from opencode_relay.amazon import CONFIG, LOOK_CONFIG, LOOKS, why  # noqa: PLC0415
            from opencode_relay.keys.parameters import FRESH, KeyParameters  # noqa: PLC0415
            from opencode_relay.stores.shared import SharedStore  # noqa: PLC0415
        except ImportError:
            raise ConfigError(
                "A relay on AWS needs the extra “aws”. In a clone: `uv sync --inexact --extra aws` "
                "and then this again, or `uv tool install --reinstall '.[aws]'`."
            ) from None
        try:
            session = boto3.Session()
            if name:
                outputs = _outputs(_client(session, "cloudformation", CONFIG), name)
                self.url = outputs.get("RelayUrl")
                names = {setting: outputs[one] for one, setting in _OUTPUTS.items()}
            else:
                names = {setting: getattr(settings, setting) for setting in _OUTPUTS.values()}
            database = _client(session, "dynamodb", CONFIG)
            ssm = _client(session, "ssm", CONFIG)
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
        open_tables = functools.partial(
            SharedStore, logins=names["logins_table"], instances=names["instances_table"]
        )
        self.store = open_tables(database)
        # Made where it is asked for: a client takes time, and most commands do not look.
        self.looks: Callable[[], SharedStore] = lambda: open_tables(
            _client(session, "dynamodb", LOOK_CONFIG), threads=LOOKS
        )
        self.keys = KeyParameters(ssm, names["keys_path"])
        # Seconds that functions (processes: less) use replaced keys, and one request more.
        self.old_keys_live = FRESH + 30


def _client(session: Any, service: str, config: Any) -> Any:
    """Make a low-level client. Plain http stays on this machine, for what is sent is secret."""
    made = session.client(service, config=config)
    where = urlsplit(made.meta.endpoint_url)
    if where.scheme == "https":
        return made
    if not is_loopback(where.hostname or ""):
        raise ConfigError(
            f"AWS's {service} is asked by https only, but on loopback: change "
            f"AWS_ENDPOINT_URL_{service.upper()}, AWS_ENDPOINT_URL or the profile's endpoint_url."
        )
    # HTTP_PROXY would take it to another machine. botocore asks the environment where this is None.
    return session.client(service, config=config.merge(type(config)(proxies={})))


def _outputs(cloudformation: Any, name: str) -> dict[str, str]:
    found = cloudformation.describe_stacks(StackName=name)
    given = found["Stacks"][0].get("Outputs", [])
    outputs = {one["OutputKey"]: str(one["OutputValue"]) for one in given}
    if not set(_OUTPUTS) <= set(outputs):
        raise ConfigError(f"The stack {name!r} is no opencode-relay: its outputs name no keys.")
    return outputs
