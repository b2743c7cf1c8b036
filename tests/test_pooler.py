"""A pooler that hands a server's connections round is noticed at the start; one that does not is let be."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

import pytest
from sqlalchemy import make_url

from bot.errors import ConfigurationError
from bot.store import Store
from bot.store.facts import Fact

NAME: Final = Fact("name", str, str)
LENGTH: Final = Struct("!I")
# What a client may ask for before it says who it is, and what it says then.
ENCRYPTIONS: Final = (80877103, 80877104)
PROTOCOL: Final = 196608
IDLE: Final = b"I"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return what a message of the protocol is, and all of it."""
    kind = await reader.readexactly(1)
    length = await reader.readexactly(4)
    return kind, kind + length + await reader.readexactly(LENGTH.unpack(length)[0] - 4)


async def greeted(reader: asyncio.StreamReader) -> bytes:
    """Return what the server says until it is ready."""
    said = b""
    while True:
        kind, whole = await message(reader)
        said += whole
        if kind == b"Z":
            return said


@dataclass
class Pooler:
    """It speaks just enough of the protocol to give each transaction, or each session, a connection."""

    socket: str
    database: str
    by_session: bool = False
    takes: int = -1
    idle: list[Streams] = field(default_factory=list[Streams])
    greeting: bytes = b""

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[str, None]:
        """Connect to the server three times, and return the pooler's own address."""
        for _ in range(3):
            reader, writer = await asyncio.open_unix_connection(self.socket)
            words = b"user\0postgres\0database\0" + self.database.encode() + b"\0\0"
            writer.write(LENGTH.pack(8 + len(words)) + LENGTH.pack(PROTOCOL) + words)
            self.greeting = await greeted(reader)
            self.idle.append((reader, writer))
        every = self.idle.copy()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"postgresql+psycopg://postgres:fake-password@127.0.0.1:{port}/{self.database}"
        finally:
            server.close()
            for _, writer in every:
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held: Streams | None = None
        try:
            while LENGTH.unpack((await self._startup(reader))[:4])[0] in ENCRYPTIONS:
                writer.write(b"N")
            writer.write(self.greeting)
            while True:
                kind, whole = await message(reader)
                if kind == b"X":
                    break
                held = held or self.idle.pop(self.takes)
                held[1].write(whole)
                if kind in (b"Q", b"S"):
                    said = await greeted(held[0])
                    writer.write(said)
                    if said[-1:] == IDLE and not self.by_session:
                        self.idle.append(held)
                        held = None
        except asyncio.IncompleteReadError:
            """The client went without a word."""
        finally:
            if held is not None:
                self.idle.append(held)
            writer.close()

    async def _startup(self, reader: asyncio.StreamReader) -> bytes:
        length = LENGTH.unpack(await reader.readexactly(4))[0]
        return await reader.readexactly(length - 4)


def pooler_of(postgres_url: str, *, by_session: bool = False, takes: int = -1) -> Pooler:
    address = make_url(postgres_url)
    folder = address.query["host"]
    return Pooler(f"{folder}/.s.PGSQL.5432", str(address.database), by_session=by_session, takes=takes)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("takes", [-1, 0], ids=["the freshest", "the oldest"])
async def test_a_pooler_that_shares_connections_between_transactions_is_refused(
    postgres_url: str, takes: int, alone: bool
) -> None:
    async with pooler_of(postgres_url, takes=takes).open() as address:
        with pytest.raises(ConfigurationError) as refused:
            async with Store.open(address, alone=alone):
                pass
    sentence = str(refused.value)
    assert sentence.startswith("DATABASE_URL: postgresql+psycopg://postgres:***@127.0.0.1:")
    assert "shares connections between transactions: connect to the server itself" in sentence
    assert "\n" not in sentence
    assert "fake-password" not in sentence
    # Nothing of the refused one stays behind: the lock of the one that runs is free.
    async with Store.open(postgres_url):
        pass


async def test_a_check_says_so_too(postgres_url: str) -> None:
    async with pooler_of(postgres_url).open() as address:
        with pytest.raises(ConfigurationError, match="shares connections"):
            await asyncio.to_thread(Store.reach, address)


async def test_a_pooler_that_keeps_one_connection_for_each_session_will_do(postgres_url: str) -> None:
    async with pooler_of(postgres_url, by_session=True).open() as address:
        await asyncio.to_thread(Store.reach, address)
        async with Store.open(address) as store:
            await store.write(lambda tx: tx.facts.set(NAME, "value"))
            assert await store.write(lambda tx: tx.facts.get(NAME)) == "value"
