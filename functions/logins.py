"""Lambda: what instances call, but for the long poll."""

from opencode_relay.aws.function import Function
from opencode_relay.keys.key import Purpose
from opencode_relay.web.app import make_login_app

handler = Function(make_login_app, (Purpose.STATE, Purpose.PAIRING, Purpose.COMPLETION))
