"""A plain Starlette app: one JSON answer and one redirect, no storage, no cryptography."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route


async def healthz(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def callback(request: Request) -> Response:
    sent = request.query_params
    return RedirectResponse(f"http://instance.example/back?state={sent['state']}", 302)


app = Starlette(routes=[Route("/healthz", healthz), Route("/auth/callback", callback)])
