"""Lambda: the long poll, on its own concurrency. It needs no key."""

from opencode_relay.aws.function import Function
from opencode_relay.web.app import make_login_app

handler = Function(make_login_app)
