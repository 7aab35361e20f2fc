"""Which of opencode's providers opencode itself signs in to, or asks in a way of its own."""

import re

from tests.e2e.opencode import PLUGIN
from tests.e2e.processes import OPENCODE


def refused() -> set[str]:
    option = (PLUGIN / "src/providers/option.ts").read_text()
    listed = re.search(r"OPENCODES_OWN = \[(.*?)\n\];", option, re.DOTALL)
    assert listed
    return set(re.findall(r'"([\w-]+)"', listed[1]))


def test_opencodes_own_sign_ins_are_all_refused_as_gateways() -> None:
    """Else a gateway's tokens would be taken for that provider's, and sent to its host."""
    signs_in = re.findall(rb'auth:\{provider:"([\w-]+)"', OPENCODE.resolve().read_bytes())
    assert len(signs_in) >= 5  # they were found at all
    assert {name.decode() for name in signs_in} <= refused()


def test_so_are_those_with_a_loader_of_opencodes() -> None:
    """It makes their requests in its own way, wherever they go."""
    binary = OPENCODE.resolve().read_bytes()
    loaders = binary[binary.index(b"{anthropic:()=>") :][:20_000]
    made = rb"(?:[\w$]+\.fnUntraced\(function\*|\(\)=>[\w$]+\.succeed\(\{autoload:)"
    names = re.findall(rb'[{,]"?([a-z][\w-]*)"?:' + made, loaders)
    assert len(names) >= 20
    assert {name.decode() for name in names} <= refused()
