"""Lambda: makes the keys at deployment, and rotates them on schedule."""

from opencode_relay.aws.rotation import handler

__all__ = ["handler"]
