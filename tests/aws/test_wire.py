"""The wire tests of one machine, through API Gateway's events, by the artifact under the RIC."""

import inspect
from collections.abc import Collection
from importlib import import_module

MODULES = (
    "test_callback",
    "test_callback_outcomes",
    "test_collect",
    "test_completion",
    "test_confirm",
    "test_discovery",
    "test_everywhere",
    "test_finish",
    "test_limits",
    "test_open",
    "test_open_members",
)
# What cannot be asked of this home, and why. test_waiting and test_socket are one process's own
# from end to end: AWS has another waiter in another process.
ELSEWHERE = {
    "test_a_login_that_is_no_longer_known_is_over": "reaches into SQLite",
    "test_the_completion_code_is_not_stored": "reaches into SQLite",
    "test_health_reads_the_keys": "damages the key file",
    "test_health_reads_the_keys_once_a_minute_at_most": "damages the key file",
    "test_what_was_made_with_replaced_keys_is_worth_nothing": "a new ring is backdated by a minute",
    "test_a_login_is_opened_though_its_keys_use_cannot_be_written": "patches the store here",
    "test_a_websocket_is_closed": "an HTTP API takes none",
    "test_an_unforeseen_fault_is_503_without_its_words": "patches the relay in this process",
}


def wire_tests(modules: Collection[str], elsewhere: Collection[str]) -> dict[str, type]:
    """Return a class of tests for each module, by its name."""
    found = {}
    for module in modules:
        tests = {
            name: staticmethod(test)
            for name, test in vars(import_module(f"tests.web.{module}")).items()
            if name.startswith("test_") and inspect.isfunction(test) and name not in elsewhere
        }
        name = "".join(map(str.title, module.split("_")))
        found[name] = type(name, (), tests)
    return found


globals().update(wire_tests(MODULES, ELSEWHERE))
