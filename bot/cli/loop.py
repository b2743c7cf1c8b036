"""The loop in which a command waits for a database, for Discord or for Whop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer

T = TypeVar("T")


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Return what comes of it; Ctrl-C ends the command with the status that shells know."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
