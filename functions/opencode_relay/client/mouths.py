"""The two ways to say it: blocking, and from asyncio."""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from opencode_relay import outgoing
from opencode_relay.errors import ConfigError
from opencode_relay.outgoing import within

from .errors import ClientError, Unreachable
from .reading import Lost, Reading, request
from .steps import Answer, Result, Send, Steps
from .talk import Talk

_Options = ParamSpec("_Options")
_Http = TypeVar("_Http")
_LOST = (httpx.RequestError, TimeoutError, Lost)


def _blocking(
    said: Callable[Concatenate[Talk, _Options], Steps[Result]],
) -> Callable[Concatenate[Client, _Options], Result]:
    @functools.wraps(said)
    def say(self: Client, /, *args: _Options.args, **kwargs: _Options.kwargs) -> Result:
        return self._run(said(self._talk, *args, **kwargs))

    return say


def _awaited(
    said: Callable[Concatenate[Talk, _Options], Steps[Result]],
) -> Callable[Concatenate[AsyncClient, _Options], Coroutine[Any, Any, Result]]:
    @functools.wraps(said)
    async def say(self: AsyncClient, /, *args: _Options.args, **kwargs: _Options.kwargs) -> Result:
        return await self._run(said(self._talk, *args, **kwargs))

    return say


def _own(make: Callable[[], _Http]) -> _Http:
    try:
        return make()
    except ConfigError as wrong:
        raise ClientError(str(wrong)) from None


class Client:
    """A relay, spoken to by blocking calls. `http` may be given, for tests or special proxies."""

    def __init__(
        self, issuer: str, *, key: str | None = None, http: httpx.Client | None = None
    ) -> None:
        self._talk = Talk(issuer, key)
        self._http = http or _own(outgoing.blocking)

    discover = _blocking(Talk.discover)
    open = _blocking(Talk.open)
    wait = _blocking(Talk.wait)
    unseal = _blocking(Talk.unseal)
    complete = _blocking(Talk.complete)
    finish = _blocking(Talk.finish)

    def _run(self, steps: Steps[Result]) -> Result:
        answer: Answer | None = None
        refused: ssl.SSLCertVerificationError | None = None  # why the newest answer did not come
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                result: Result = end.value
                return result
            except Unreachable:
                if refused is None:
                    raise
                told = outgoing.told(self._talk.issuer, refused)
                raise Unreachable(told) from None
            answer = None
            if not isinstance(step, Send):
                time.sleep(step)
                continue
            try:
                answer, refused = within(step.timeout, functools.partial(self._ask, step)), None
            except _LOST as wrong:
                refused = outgoing.refused_certificate(wrong)

    def _ask(self, step: Send) -> Answer:
        sent = request(self._http, self._talk.issuer, step)
        response = self._http.send(sent, stream=True, follow_redirects=False)
        try:
            reading = Reading(response, step.timeout)
            for piece in response.iter_bytes():
                reading.add(piece)
        finally:
            response.close()
        return reading.answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()


class AsyncClient:
    """A relay, spoken to from asyncio. `http` may be given, for tests or special proxies."""

    def __init__(
        self, issuer: str, *, key: str | None = None, http: httpx.AsyncClient | None = None
    ) -> None:
        self._talk = Talk(issuer, key)
        self._http = http or _own(outgoing.asynchronous)

    discover = _awaited(Talk.discover)
    open = _awaited(Talk.open)
    wait = _awaited(Talk.wait)
    unseal = _awaited(Talk.unseal)
    complete = _awaited(Talk.complete)
    finish = _awaited(Talk.finish)

    async def _run(self, steps: Steps[Result]) -> Result:
        answer: Answer | None = None
        refused: ssl.SSLCertVerificationError | None = None  # why the newest answer did not come
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                result: Result = end.value
                return result
            except Unreachable:
                if refused is None:
                    raise
                told = await asyncio.to_thread(outgoing.told, self._talk.issuer, refused)
                raise Unreachable(told) from None
            answer = None
            if not isinstance(step, Send):
                await asyncio.sleep(step)
                continue
            try:
                async with asyncio.timeout(step.timeout):
                    answer, refused = await self._ask(step), None
            except _LOST as wrong:
                refused = outgoing.refused_certificate(wrong)

    async def _ask(self, step: Send) -> Answer:
        sent = request(self._http, self._talk.issuer, step)
        response = await self._http.send(sent, stream=True, follow_redirects=False)
        try:
            reading = Reading(response, step.timeout)
            async for piece in response.aiter_bytes():
                reading.add(piece)
        finally:
            await response.aclose()
        return reading.answer()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
