"""Lambda: makes the keys at deployment, and rotates them on schedule."""

from opencode_relay.rotation import handler

__all__ = ["handler"]
