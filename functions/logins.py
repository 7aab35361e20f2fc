"""Lambda: what instances call, but for the long poll."""

from opencode_relay.aws import Function
from opencode_relay.keyring import Purpose
from opencode_relay.web.app import make_api_app

handler = Function(make_api_app, (Purpose.STATE, Purpose.PAIRING, Purpose.COMPLETION))
