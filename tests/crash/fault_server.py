"""A Whop in a process of its own that goes wrong as each request says, and counts what customers get."""

import argparse
import asyncio
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.crash.faults import FAULTS, OK, Fault, plan_in
from tests.crash.people import Pages

IN_PROGRESS = '{"error": {"type": "idempotency_request_in_progress", "message": "Busy"}}'


def identity(body: bytes) -> str:
    """Return the name under which everybody counts this request: each delivery's bytes are its own."""
    return hashlib.sha256(body).hexdigest()[:16]


class Journal:
    """What arrived and what was pushed, in a file that is written before the answer and survives a kill."""

    def __init__(self, file: Path) -> None:
        self.arrived: Counter[str] = Counter()
        self.keys: set[str] = set()
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
            self._count(json.loads(line))
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, event: str, name: str, key: str) -> None:
        """Write down that something happened to the request of that name."""
        entry = {"event": event, "name": name, "key": key}
        os.write(self._file, f"{json.dumps(entry)}\n".encode())
        self._count(entry)

    def _count(self, entry: Mapping[str, str]) -> None:
        if entry["event"] == "arrived":
            self.arrived[entry["name"]] += 1
        elif entry["key"]:
            self.keys.add(entry["key"])


def pushes(file: Path) -> Counter[str]:
    """Return how often each request reached the customers."""
    entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return Counter(entry["name"] for entry in entries if entry["event"] == "pushed")


def arrivals(file: Path) -> dict[str, int]:
    """Return as the how-manieth each request arrived for the first time."""
    entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    arrived = [entry["name"] for entry in entries if entry["event"] == "arrived"]
    return {name: number for number, name in reversed([*enumerate(arrived)])}


class FaultServer:
    """Answer requests; with `honours`, push only once for each idempotency key."""

    def __init__(self, journal: Journal, *, honours: bool) -> None:
        self._journal = journal
        self._honours = honours
        self._pages = Pages()
        self._busy: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which carries one request."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            fields, (method, target, _) = _fields(head), head.decode().split(maxsplit=2)
            if method == "GET":
                writer.write(await self._tell(fields, target))
            else:
                body = await reader.readexactly(int(fields["content-length"]))
                writer.write(await self._answer(fields, body))
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            # Whoever asked was killed.
            pass
        finally:
            writer.close()

    async def _answer(self, fields: Mapping[str, str], body: bytes) -> bytes:
        name, key = identity(body), fields.get("idempotency-key", "") if self._honours else ""
        if key in self._busy:
            return _http(409, IN_PROGRESS)
        self._journal.write("arrived", name, "")
        number, plan = self._journal.arrived[name], plan_in(body)
        fault = FAULTS[plan[number - 1] if number <= len(plan) else "ok"]
        replayed = key in self._journal.keys
        if key:
            self._busy.add(key)
        try:
            await self._act(fault, name, "" if replayed else key, fields["worker"], again=replayed)
        finally:
            self._busy.discard(key)
        if fault.status is None:
            return b""
        return _http(fault.status, '{"success":true}', replayed=replayed, cut=fault.cut)

    async def _tell(self, fields: Mapping[str, str], target: str) -> bytes:
        fault, status, body = self._pages.answer(target)
        if fault.holds:
            _say(fields["worker"])
        await asyncio.sleep(fault.seconds)
        if fault.status is None:
            return b""
        return _http(status if fault.status == OK else fault.status, body)

    async def _act(self, fault: Fault, name: str, key: str, worker: str, *, again: bool) -> None:
        if fault.pushes == "at once" and not again:
            self._journal.write("pushed", name, key)
        if fault.holds:
            _say(worker)
        await asyncio.sleep(fault.seconds)
        if fault.pushes == "late" and not again:
            self._journal.write("pushed", name, key)


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _fields(head: bytes) -> dict[str, str]:
    lines = [line.partition(":") for line in head.decode().split("\r\n")[1:]]
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def _http(status: int, body: str, *, replayed: bool = False, cut: bool = False) -> bytes:
    lines = [
        f"HTTP/1.1 {status} X",
        f"Content-Length: {len(body) + (99 if cut else 0)}",
        "Connection: close",
        *(["Retry-After: 1"] if status == 429 else []),
        *(["Idempotent-Replayed: true"] if replayed else []),
    ]
    return "\r\n".join([*lines, "", body]).encode()


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("journal", type=Path)
    parser.add_argument("--honours", action="store_true")
    asked = parser.parse_args()
    server = FaultServer(Journal(asked.journal), honours=asked.honours)
    async with await asyncio.start_server(server.serve, "127.0.0.1", asked.port) as listening:
        _say("ready")
        await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
