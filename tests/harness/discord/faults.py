"""What a question to Discord is answered with in place of the truth, and how often."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from aiohttp import web

Handler = Callable[[], Awaitable[web.Response]]
FOR_EVER: Final = 10**9


def as_json(status: int, body: Any, **headers: str) -> web.Response:
    """Return an answer in JSON."""
    # As bytes: discord.py does not take it for JSON if a charset is named.
    return web.Response(
        body=json.dumps(body).encode(), status=status, content_type="application/json", headers=headers
    )


def refusal(status: int, code: int, message: str) -> web.Response:
    """Return an answer as Discord words its errors."""
    return as_json(status, {"message": message, "code": code})


@dataclass(slots=True)
class Fault:
    """One of them: for the questions that look like its pattern, such as "POST /channels/*/messages"."""

    pattern: str
    act: Callable[[web.Request, Handler], Awaitable[web.Response]]
    left: int


class Faults:
    """All of them; the newest that fits goes first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def answer(
        self, pattern: str, status: int, body: Any = None, *, times: int = FOR_EVER, **headers: str
    ) -> None:
        """Answer so, and do nothing of what was asked for."""

        async def act(_request: web.Request, _handler: Handler) -> web.Response:
            return as_json(status, {} if body is None else body, **headers)

        self._add(pattern, act, times)

    def limit(self, pattern: str, seconds: float, *, everywhere: bool = False, times: int = 1) -> None:
        """Answer 429 and how long to wait, for one route or for all of them."""
        body = {"message": "You are being rate limited.", "retry_after": seconds, "global": everywhere}
        self.answer(pattern, 429, body, times=times, Via="1.1 google")

    def reset(self, pattern: str, *, applied: bool = False, times: int = 1) -> None:
        """Break the connection in place of an answer, before or after what was asked for is done."""

        async def act(request: web.Request, handler: Handler) -> web.Response:
            if applied:
                await handler()
            if request.transport is not None:
                request.transport.abort()
            return web.Response()

        self._add(pattern, act, times)

    def silence(self, pattern: str = "*", *, times: int = FOR_EVER) -> None:
        """Never answer."""

        async def act(_request: web.Request, _handler: Handler) -> web.Response:
            await asyncio.Event().wait()
            raise AssertionError

        self._add(pattern, act, times)

    def clear(self) -> None:
        """Answer everything truly again."""
        self._faults.clear()

    def find(self, question: str) -> Fault | None:
        """Return what a question meets, counted."""
        for fault in reversed(self._faults):
            if fault.left > 0 and fnmatchcase(question, fault.pattern):
                fault.left -= 1
                return fault
        return None

    def _add(
        self, pattern: str, act: Callable[[web.Request, Handler], Awaitable[web.Response]], times: int
    ) -> None:
        self._faults.append(Fault(pattern, act, times))
