"""Lambda: the browser's way in, and every path that is no other function's."""

from opencode_relay.aws import Function
from opencode_relay.keyring import Purpose
from opencode_relay.web.app import make_browser_app

handler = Function(make_browser_app, tuple(Purpose))
