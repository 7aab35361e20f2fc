"""Who ends an unused connection first: between a proxy and the relay it has to be the proxy."""

from pathlib import Path

import pytest
from opencode_relay.keys.held import Keys
from opencode_relay.keys.ring import Ring
from opencode_relay.machine.server import configured
from opencode_relay.relay import Relay
from opencode_relay.settings import Settings
from opencode_relay.stores.sqlite import SQLiteStore

BALANCER = 60  # seconds: the idle timeout of AWS's load balancers, unless it is changed


@pytest.mark.parametrize(("proxies", "outlives"), [((), False), (("10.0.0.0/8",), True)])
def test_the_relay_outlives_the_proxies_it_was_told_of(
    tmp_path: Path, proxies: tuple[str, ...], *, outlives: bool
) -> None:
    settings = Settings(public_url="https://relay.example", trusted_proxies=proxies)
    store = SQLiteStore(tmp_path)
    config = configured(Relay(settings, store, Keys(lambda: Ring.fresh(0))))
    store.close()
    assert (config.timeout_keep_alive > BALANCER) is outlives
