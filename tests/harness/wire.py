"""The way to Whop: the real transport, which a test can stop, and of which it can hear."""

import asyncio
from collections.abc import Callable
from typing import Final

from pydantic import SecretStr
from typing_extensions import override

from bot.delivery import NoAnswer, Request, Response
from bot.whop.transport import Transport

KEY: Final = SecretStr("fake-whop-key")


class Barrier:
    """Where a request is stopped until it may go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def go_through(self) -> None:
        """Tell that somebody is here, and wait."""
        self.reached.set()
        await self.opened.wait()


class Wire(Transport):
    """The real transport, whose notifications can be stopped before the first byte and after the answer."""

    def __init__(self) -> None:
        super().__init__(api_key=KEY)
        self._before: Barrier | None = None
        self._after: Barrier | None = None
        # Which requests are stopped, and how many of them go by before.
        self._of, self._behind = "POST", 0
        self._left = 0
        self._answered = asyncio.Event()

    def stop_before(self, *, of: str = "POST", behind: int = 0) -> Barrier:
        """Stop the next send or question, or the one behind so many, before its first byte."""
        self._of, self._behind = of, behind
        self._before = Barrier()
        return self._before

    def stop_after(self, *, of: str = "POST", behind: int = 0) -> Barrier:
        """Stop it when its answer is there, before anybody reads it."""
        self._of, self._behind = of, behind
        self._after = Barrier()
        return self._after

    def expect(self, count: int) -> asyncio.Event:
        """Return what is set once that many more requests were answered."""
        self._left, self._answered = count, asyncio.Event()
        return self._answered

    @override
    async def send(
        self, request: Request, *, may_leave: Callable[[], bool] = lambda: True
    ) -> Response | NoAnswer:
        if request.method != self._of or self._behind:
            self._behind -= request.method == self._of
            return await super().send(request, may_leave=may_leave)
        if barrier := self._before:
            self._before = None
            await barrier.go_through()
        # A request that comes meanwhile is not stopped.
        barrier, self._after = self._after, None
        answer = await super().send(request, may_leave=may_leave)
        if barrier:
            await barrier.go_through()
        self._left -= 1
        if self._left == 0:
            self._answered.set()
        return answer
