"""Logging in to Discord, however long it is out of reach."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import discord
import structlog

log = structlog.get_logger()

FIRST_WAIT_SECONDS: Final = 2.0
LONGEST_WAIT_SECONDS: Final = 60.0


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
