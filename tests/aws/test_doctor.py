"""`opencode-relay doctor` looks at the built artifact, as it does at any relay."""

import time

import httpx
from opencode_relay.cli.doctor.checks import carry_out
from opencode_relay.cli.doctor.relay import NEEDED, Examination
from opencode_relay.cli.doctor.web import asking
from opencode_relay.cli.loopback import Loopback
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.aws.ric_gateway import Gateway
from tests.aws.ric_wire import LambdaWire
from tests.support.clock import Clock
from tests.support.wire import MakeWire


class Front:
    """API Gateway on a socket: what a real client's HTTP needs in front of `Gateway`."""

    def __init__(self, make_wire: MakeWire, url: str) -> None:
        wire = make_wire(public_url=url, enrolment="open")
        assert isinstance(wire, LambdaWire)
        self._gateway = Gateway(wire.functions)
        self._url = url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        came = Request(scope, receive)
        url = self._url + came.url.path + (f"?{came.url.query}" if came.url.query else "")
        headers = [(n, v) for n, v in came.headers.raw if n != b"host"]
        request = httpx.Request(came.method, url, headers=headers, content=await came.body())
        answer = await self._gateway.handle_async_request(request)
        body = await answer.aread()
        await Response(body, answer.status_code, dict(answer.headers))(scope, receive, send)


def test_doctor_finds_the_artifact_well(make_wire: MakeWire, clock: Clock) -> None:
    clock.now = time.time()  # doctor and its client go by the real one

    def front(url: str) -> ASGIApp:
        return Front(make_wire, url)

    with Loopback(front) as url, asking() as web:
        found = list(carry_out(Examination(web, url).checks(), needed=NEEDED))
    assert [(one.check, one.ok, one.seen) for one in found if not one.ok] == []
    assert len(found) == 11
