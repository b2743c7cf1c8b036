"""The wakeup: something has changed, whoever shows or sends it may look at once."""

import asyncio


class Wakeup:
    """Wake those who listen; each hears it for itself, and once for however many rings."""

    def __init__(self) -> None:
        self._listeners: list[asyncio.Event] = []

    def wake(self) -> None:
        """Wake all who listen; missing it only costs time."""
        for heard in self._listeners:
            heard.set()

    def listen(self) -> asyncio.Event:
        """Return an event of the listener's own, which it clears itself."""
        heard = asyncio.Event()
        self._listeners.append(heard)
        return heard
