"""Waiting for what nobody announces; the time limit of each test is the only one."""

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], object]) -> None:
    """Look again and again, and let everything else go on meanwhile."""
    while not holds():  # noqa: ASYNC110 - where there is an event, it is waited for instead
        await asyncio.sleep(0.001)
