"""Lambda: the long poll, on its own concurrency. It needs no key."""

from opencode_relay.aws import Function
from opencode_relay.web.app import make_api_app

handler = Function(make_api_app)
