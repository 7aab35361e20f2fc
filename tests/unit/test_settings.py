"""Everything that is configured: defaults, RELAY_*, flags, and sentences for what is wrong."""

from pathlib import Path

import pytest
from opencode_relay.errors import ConfigError
from opencode_relay.login import Confirmation
from opencode_relay.settings import Settings, settings_help, unknown

ISSUED = '[{"issuer":"https://idp.example","client_id":"x"}]'
NAMES = [
    "RELAY_PUBLIC_URL",
    "RELAY_DATA",
    "RELAY_STORE",
    "RELAY_LOGINS_TABLE",
    "RELAY_INSTANCES_TABLE",
    "RELAY_KEYS_PATH",
    "RELAY_ENROLMENT",
    "RELAY_CONFIRMATION",
    "RELAY_LOGIN_LIFETIME",
    "RELAY_MAX_WAIT",
    "RELAY_TRUSTED_PROXIES",
    "RELAY_MAX_WAITERS",
    "RELAY_OPEN_LIMIT",
    "RELAY_ADDRESS_LIMIT",
    "RELAY_UNENROLLED_LOGINS",
    "RELAY_HSTS_MAX_AGE",
    "RELAY_METRICS_PORT",
    "RELAY_REGISTERED_CLIENTS",
    "RELAY_LOG_LEVEL",
]


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    found = Settings.load({})
    assert found == Settings(
        public_url="",
        data=Path("/data/opencode-relay"),
        store="sqlite",
        logins_table="",
        instances_table="",
        keys_path="",
        enrolment="closed",
        confirmation=Confirmation.PAIRING_CODE,
        login_lifetime=600,
        max_wait=20,
        trusted_proxies=(),
        max_waiters=10_000,
        open_limit=120,
        address_limit=20,
        unenrolled_logins=1000,
        hsts_max_age=600,
        metrics_port=0,
        registered_clients=(),
        log_level="info",
    )


def test_without_xdg_the_data_is_in_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/ana")
    assert Settings.load({}).data == Path("/home/ana/.local/share/opencode-relay")


def test_only_who_keeps_data_needs_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: Path) -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", nobody)
    assert Settings.load({"RELAY_STORE": "dynamodb"}).store == "dynamodb"
    with pytest.raises(ConfigError, match="RELAY_DATA"):
        Settings.load({})


@pytest.mark.parametrize("name", ["LOGINS_TABLE", "INSTANCES_TABLE", "KEYS_PATH"])
def test_names_on_aws_without_the_store_are_refused(name: str) -> None:
    for store in ({}, {"RELAY_STORE": "sqlite"}):
        with pytest.raises(ConfigError, match=f"RELAY_{name}: of use with RELAY_STORE=dynamodb"):
            Settings.load({f"RELAY_{name}": "x", **store})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("public_url", "https://relay.example", "https://relay.example"),
        ("data", "/srv/relay", Path("/srv/relay")),
        ("store", "dynamodb", "dynamodb"),
        ("enrolment", "open", "open"),
        ("confirmation", "completion_code", Confirmation.COMPLETION_CODE),
        ("login_lifetime", "60", 60),
        ("login_lifetime", "1800", 1800),
        ("max_wait", "0", 0),
        ("max_wait", "25", 25),
        ("trusted_proxies", "10.0.0.0/8, 2001:db8::/32", ("10.0.0.0/8", "2001:db8::/32")),
        ("trusted_proxies", "127.0.0.1", ("127.0.0.1/32",)),
        ("trusted_proxies", "::ffff:10.0.0.0/104", ("10.0.0.0/8",)),
        ("trusted_proxies", "::/0", ("::/0",)),
        ("trusted_proxies", "unix, 10.0.0.0/8", ("unix", "10.0.0.0/8")),
        ("max_waiters", "1", 1),
        ("open_limit", "0", 0),
        ("address_limit", "7", 7),
        ("metrics_port", "9100", 9100),
        ("registered_clients", ISSUED, ({"issuer": "https://idp.example", "client_id": "x"},)),
        ("registered_clients", "[]", ()),
        ("log_level", "debug", "debug"),
    ],
)
def test_a_setting_is_read_from_the_environment(name: str, text: str, value: object) -> None:
    found = getattr(Settings.load({f"RELAY_{name.upper()}": text}), name)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("public_url", "http://relay.example"),
        ("public_url", "relay.example"),
        ("store", "DynamoDB"),
        ("enrolment", "Open"),
        ("confirmation", "none"),
        ("login_lifetime", "59"),
        ("login_lifetime", "1801"),
        ("login_lifetime", "600.0"),
        ("login_lifetime", "1" * 5000),
        ("max_wait", "26"),
        ("max_wait", "-1"),
        ("max_wait", "²"),
        ("trusted_proxies", "10.0.0.1/8"),
        ("trusted_proxies", "*"),
        ("trusted_proxies", "10.0.0.0/8,"),
        ("max_waiters", "0"),
        ("open_limit", "many"),
        ("metrics_port", "65536"),
        ("registered_clients", "{}x"),
        ("registered_clients", '["x"]'),
        ("registered_clients", '[{"issuer":"x"}]'),
        ("registered_clients", '[{"issuer":"x","client_id":"y","more":"z"}]'),
        ("registered_clients", "7"),
        ("log_level", "INFO"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"^RELAY_{name.upper()}: "):
        Settings.load({f"RELAY_{name.upper()}": text})


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("max_wait", "x", "must be a whole number from 0 to 25 (it is 'x')."),
        ("enrolment", "Open", "must be closed or open (it is 'Open')."),
        (
            "public_url",
            "relay.example",
            (
                "must be an origin such as https://relay.example.com (lower case, no path, no "
                "trailing slash, no user), not 'relay.example'."
            ),
        ),
        (
            "public_url",
            "http://relay.example",
            "must be https; http is for loopback only, not 'relay.example'.",
        ),
        (
            "public_url",
            "https://1.2.3",
            "'1.2.3' is not a host name or address in canonical form.",
        ),
        (
            "trusted_proxies",
            "::1,proxy",
            (
                "must be CIDRs, or unix, with commas between: 'proxy' does not appear to be an "
                "IPv4 or IPv6 network."
            ),
        ),
    ],
)
def test_what_is_wrong_is_said_once(name: str, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        Settings.load({f"RELAY_{name.upper()}": text})
    assert str(wrong.value) == f"RELAY_{name.upper()}: {told}"


def test_an_empty_setting_is_none() -> None:
    assert Settings.load({"RELAY_MAX_WAIT": ""}).max_wait == 20


def test_a_flag_wins_and_is_the_one_named() -> None:
    environ = {"RELAY_PUBLIC_URL": "https://one.example"}
    found = Settings.load(environ, public_url="https://two.example")
    assert found.public_url == "https://two.example"
    with pytest.raises(ConfigError, match=r"^--public-url: "):
        Settings.load(environ, public_url="two.example")


def test_a_flag_that_is_not_given_leaves_the_environment() -> None:
    environ = {"RELAY_ENROLMENT": "open"}
    assert Settings.load(environ, enrolment=None).enrolment == "open"


@pytest.mark.parametrize("name", ["MAX_WAIT", "PUBLIC_URL", "TRUSTED_PROXIES", "ENROLMENT"])
def test_a_wrong_value_is_not_shown_at_full_length(name: str) -> None:
    with pytest.raises(ConfigError) as told:
        Settings.load({f"RELAY_{name}": "x" * 10_000})
    assert len(str(told.value)) < 300


def test_a_misspelt_setting_is_found() -> None:
    environ = {"RELAY_OPEN_LIMITS": "1", "RELAY_OPEN_LIMIT": "1", "RELAYED": "1", "PATH": "/"}
    assert unknown(environ) == ["RELAY_OPEN_LIMITS"]


def test_help_lists_every_setting() -> None:
    listed = [line.partition(":")[0] for line in settings_help().split("\n\n")]
    assert listed[: len(NAMES)] == NAMES
