"""Pictures of what customers read: each drawn once, in a process of its own, and never waited for long.

What people typed reaches libraries that are not Python there: whatever it does to them ends with it.
"""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import structlog

import bot
from bot.characters import is_blank, reveal, units
from bot.notification import PHONE_CONTENT, PHONE_SUBJECT, Notification, Text
from bot.preview.order import Order, Words

log = structlog.get_logger()

# A picture has up to about a hundred thousand bytes; so many are kept.
KEPT: Final = 40
# So long a card waits for its picture; after that it comes without, and again when the picture is there.
WAIT_SECONDS: Final = 1.5
# Where more than so many are being drawn, nobody waits at all.
WAITED_FOR: Final = 3
# Nothing takes longer unless something is wrong.
DRAW_SECONDS: Final = 20.0
# Far more than a picture has, and less than Discord takes.
LARGEST: Final = 1_000_000
ALT_LIMIT: Final = 1024
# What the name of each begins with.
PICTURES: Final = "preview-"
NOT_DRAWN: Final = "There is no picture of it: it could not be drawn. The words here are what customers read."
NOT_YET: Final = "The picture is still being drawn: it comes by itself."
NOT_IN_TIME: Final = "The picture was not drawn in time: the words here are what customers read."
MISSING: Final = "\u25a1 stands for a character that Herald has no font for: a phone may well have one."
_COMMAND: Final = (sys.executable, "-P", "-m", "bot.preview")
# What a process needs in order to start; no secret is among it.
_PASSED_ON: Final = ("LD_LIBRARY_PATH", "PATH", "SYSTEMROOT")


class Picture(NamedTuple):
    """A picture as a file, and its words for those who do not see it."""

    data: bytes
    described: str

    @property
    def name(self) -> str:
        """Return a name that no other picture has."""
        return f"{PICTURES}{hashlib.sha256(self.data).hexdigest()[:12]}.webp"


class Preview(NamedTuple):
    """What a card shows: a picture, or a sentence that says why there is none, or both."""

    picture: Picture | None = None
    says: str = ""


class Previews:
    """Draw one picture at a time, each once."""

    def __init__(self, command: Sequence[str] = _COMMAND) -> None:
        self.command = command
        self._drawn: dict[Order, Preview] = {}
        self._under_way: dict[Order, asyncio.Task[Preview]] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Semaphore()

    async def __aenter__(self) -> Self:
        """Begin; nothing is loaded before the first picture."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End what is being drawn."""
        tasks = [*self._under_way.values(), *self._telling]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def of(
        self, notification: Notification, *, late: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> Preview | None:
        """Return the picture of these words, or why there is none; None if there is nothing to draw yet.

        One that is late is announced once it is there, and not if it cannot be drawn.
        """
        order = order_of(notification)
        if order is None:
            return None
        if order in self._drawn:
            return self._drawn[order]
        task = self._under_way.get(order)
        if task is None:
            task = self._under_way[order] = asyncio.create_task(self._draw(order))
        await asyncio.wait({task}, timeout=WAIT_SECONDS if len(self._under_way) <= WAITED_FOR else 0)
        if task.done() and not task.cancelled():
            return task.result()
        if late is None:
            return Preview(says=NOT_IN_TIME)
        task.add_done_callback(lambda done: self._announce(done, late))
        return Preview(says=NOT_YET)

    def _announce(self, done: "asyncio.Task[Preview]", late: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not done.cancelled() and done.result().picture is not None:
            told = asyncio.create_task(late())
            self._telling.add(told)
            told.add_done_callback(self._telling.discard)

    async def _draw(self, order: Order) -> Preview:
        try:
            async with self._turn:
                drawn = await self._ask(order)
        except Exception as error:  # noqa: BLE001 - a card without its picture is whole
            # What was typed may stand in the error's own text.
            log.warning("a preview could not be drawn", kind=type(error).__name__)
            return Preview(says=NOT_DRAWN)
        finally:
            del self._under_way[order]
        self._drawn[order] = drawn
        if len(self._drawn) > KEPT:
            del self._drawn[next(iter(self._drawn))]
        return drawn

    async def _ask(self, order: Order) -> Preview:
        process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
        )
        try:
            async with asyncio.timeout(DRAW_SECONDS):
                output, _ = await process.communicate(json.dumps(order).encode())
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        head, _, data = output.partition(b"\n")
        if process.returncode or not data or len(data) > LARGEST:
            raise RuntimeError(f"the process ended with status {process.returncode}, {len(data)} bytes")
        says = MISSING if json.loads(head)["missing"] else ""
        return Preview(Picture(data, _described(order)), says)


def order_of(notification: Notification) -> Order | None:
    """Return what to draw, as far as it is written."""
    phone = _words(notification.mobile or notification.all, notification.subtitle or "")
    feed = _words(notification.in_app or notification.all)
    return Order(phone, feed, PHONE_SUBJECT, PHONE_CONTENT) if phone or feed else None


def _words(text: Text | None, subtitle: str = "") -> Words | None:
    if text is None or is_blank(text.subject + text.content):
        return None
    return Words(text.subject, text.content, subtitle)


def _described(order: Order) -> str:
    """Return the same words as text, for whoever has them read out."""
    places = (("On the phone", order.phone), ("In the feed", order.feed))
    if order.phone and order.feed and order.phone[:2] == order.feed[:2]:
        places = (("On the phone and in the feed", order.phone),)
    said = [
        f"{place}: {'. '.join(filter(None, (words[0], words[2], words[1])))}"
        for place, words in places
        if words
    ]
    room = ALT_LIMIT // len(said) - 1
    return "\n".join(_fitting(reveal(" ".join(one.split())), room) for one in said)


def _fitting(line: str, room: int) -> str:
    if units(line) <= room:
        return line
    return (
        line.encode("utf-16-le", "surrogatepass")[: 2 * (room - 1)].decode("utf-16-le", "ignore") + "\u2026"
    )


def _environment() -> dict[str, str]:
    known = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return known | {"PYTHONPATH": str(Path(bot.__file__).parents[1]), "PYTHONUTF8": "1"}
