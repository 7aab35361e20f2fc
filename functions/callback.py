"""Lambda: the browser's way in, and every path that is no other function's."""

from opencode_relay.aws.function import Function
from opencode_relay.keys.key import Purpose
from opencode_relay.web.app import make_browser_app

handler = Function(make_browser_app, tuple(Purpose))
