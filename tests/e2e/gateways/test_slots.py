"""Which of opencode's providers send their tokens to hosts of opencode's own choice."""

import re

from tests.e2e.opencode import PLUGIN
from tests.e2e.processes import OPENCODE


def test_opencodes_own_sign_ins_are_all_refused_as_gateways() -> None:
    """Else a gateway's tokens would be taken for that provider's, and sent to its host."""
    signs_in = re.findall(rb'auth:\{provider:"([\w-]+)"', OPENCODE.resolve().read_bytes())
    assert len(signs_in) >= 5  # they were found at all
    option = (PLUGIN / "src/providers/option.ts").read_text()
    refused = re.search(r"OPENCODES_OWN = \[(.*?)\n\];", option, re.DOTALL)
    assert refused
    assert {name.decode() for name in signs_in} <= set(re.findall(r'"([\w-]+)"', refused[1]))
