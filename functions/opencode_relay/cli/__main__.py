"""`python -m opencode_relay.cli`."""

from opencode_relay.cli import main

main()
