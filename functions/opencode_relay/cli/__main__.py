"""`python -m opencode_relay.cli`."""

from . import main

main()
