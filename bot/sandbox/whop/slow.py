"""The lane in which slow answers wait."""

import asyncio


class SlowLane:
    """Hold answers back for a while, or until somebody lets them go."""

    def __init__(self) -> None:
        self._held = 0
        self._occupied = asyncio.Event()
        self._gate = asyncio.Event()

    async def hold(self, seconds: float) -> None:
        """Wait for the gate to open, at most `seconds`."""
        gate = self._gate
        self._held += 1
        self._occupied.set()
        try:
            async with asyncio.timeout(seconds):
                await gate.wait()
        except TimeoutError:
            pass  # the answer was slow for as long as it should be
        finally:
            self._held -= 1
            if not self._held:
                self._occupied.clear()

    def release(self) -> None:
        """Let everything go that waits now; later arrivals wait again."""
        self._gate.set()
        self._gate = asyncio.Event()

    async def occupied(self) -> None:
        """Wait until something is held."""
        await self._occupied.wait()
