"""The relay's /healthz, which reads store and keys, beside a Starlette app that does nothing."""

from benchmarks.contenders import floor, relay
from benchmarks.harness.client import request
from benchmarks.harness.processes import Server
from benchmarks.harness.results import Result
from benchmarks.harness.rounds import Plan, Requests, rounds

COUNT, WARM, OK = 500, 500, 200


def measure(plan: Plan) -> Result:
    with relay.relay() as (ours, _), floor.floor() as plain:

        def row(server: Server) -> Requests:
            one = request("GET", "/healthz", server.port)
            return Requests(server, lambda count: [one] * count, lambda got: got.status == OK)

        rows = rounds({"relay": row(ours), "Starlette": row(plain)}, COUNT, plan, WARM)
    versions = {"opencode-relay": relay.VERSION, "Starlette": floor.VERSION}
    return Result("GET /healthz", rows, [], versions)
