"""Logging in to Discord, however long it is out of reach."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

import discord
import structlog

log = structlog.get_logger()

FIRST_WAIT_SECONDS: Final = 2.0
LONGEST_WAIT_SECONDS: Final = 60.0

T = TypeVar("T")
# What nobody waits for any more, and what goes on all the same.
_abandoned: Final = set[asyncio.Task[Any]]()


async def bounded(call: Coroutine[Any, Any, T], seconds: float) -> T:
    """Wait at most so long for a call of discord.py; raise TimeoutError after it, and let the call go on.

    It must not be cancelled: while it sleeps through a global rate limit it has shut the way for all other
    calls of its client, and only its waking opens it again (2.7.1, HTTPClient.request).
    """
    task = asyncio.create_task(call)
    _abandoned.add(task)
    task.add_done_callback(_forget)
    async with asyncio.timeout(seconds):
        return await asyncio.shield(task)


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    # What it raises was told to whoever waited, or concerns nobody any more.
    if not task.cancelled():
        task.exception()


async def log_in(client: discord.Client, token: str) -> None:
    """Log a client in; raise what discord.py raises, with nothing left open."""
    try:
        await client.login(token)
    except BaseException:
        # A login that fails leaves its session and connector behind; the next one makes its own.
        await client.http.close()
        client.http.connector = discord.utils.MISSING
        raise


async def insist(attempt: Callable[[], Awaitable[bool]]) -> None:
    """Try until it says that it was done, at growing intervals."""
    wait = FIRST_WAIT_SECONDS
    while not await attempt():
        log.warning("Discord is out of reach; what is approved is sent all the same", again_in=wait)
        await asyncio.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)
