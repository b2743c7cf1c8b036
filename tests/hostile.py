"""Whop, Discord and PostgreSQL as they must never be: each repeats the secret that it was sent."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import quote

from aiohttp import web

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


def spellings(secret: str) -> list[str]:
    """Return the secret as a proxy or a library may give it back."""
    escaped = "".join(f"\\u{ord(ch):04x}" for ch in secret)
    return [
        secret,
        f"Bearer {secret}",
        repr({"Authorization": f"Bearer {secret}"}),
        quote(secret, safe=""),
        escaped,
        json.dumps(json.dumps(secret)),
        *(b64encode(f"{'x' * offset}{secret}".encode()).decode() for offset in range(3)),
    ]


@asynccontextmanager
async def echo(status: int) -> AsyncGenerator[str, None]:
    """Answer whatever is asked with that status and the secret of the question; give the address."""

    async def answer(request: web.Request) -> web.Response:
        secret = request.headers.get("Authorization", "").partition(" ")[2]
        said = " ".join(["denied", *spellings(secret)])
        # Escaped once more than JSON would: only whoever reads it finds the key in it.
        body = json.dumps({"message": said, "error": {"message": said}, "code": 0})
        body = body.replace(f"denied {secret}", "denied " + "".join(f"\\u{ord(ch):04x}" for ch in secret))
        headers = {"X-Debug": secret, "Location": f"/elsewhere?key={quote(secret)}", "Retry-After": "1"}
        return web.Response(
            body=body.encode(), status=status, reason=f"No {secret}", headers=headers,
            content_type="application/json",
        )  # fmt: skip

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def postgres() -> AsyncGenerator[int, None]:
    """Ask for the password in clear text and refuse it word for word; give the port."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while _number(await _block(reader)) in {SSL_REQUEST, GSS_REQUEST}:
            writer.write(b"N")
        writer.write(b"R" + (8).to_bytes(4) + (3).to_bytes(4))
        await reader.readexactly(1)
        password = (await _block(reader)).rstrip(b"\0")
        fields = b"SFATAL\0VFATAL\0C28P01\0Mno user has the password " + password + b"\0\0"
        writer.write(b"E" + (len(fields) + 4).to_bytes(4) + fields)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _block(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(4))
    return await reader.readexactly(length - 4)


def _number(block: bytes) -> int:
    return int.from_bytes(block[:4])
