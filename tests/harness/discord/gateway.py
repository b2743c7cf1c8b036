"""The gateway: sessions that end, are resumed and miss nothing, and whatever goes wrong with them."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from aiohttp import WSCloseCode, web

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
# After these a session cannot be resumed.
ENDING: Final = frozenset({4004, 4007, 4009, 4010, 4011, 4012, 4013, 4014})


@dataclass(slots=True)
class Session:
    """What one IDENTIFY began: all events since, and the socket that stands now."""

    id: str
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    socket: web.WebSocketResponse | None = None

    async def dispatch(self, event: str, data: Any) -> None:
        """Send an event now, or when the session is resumed."""
        payload = {"op": DISPATCH, "t": event, "s": len(self.events) + 1, "d": data}
        self.events.append(payload)
        await self.send(payload)

    async def send(self, payload: dict[str, Any]) -> None:
        """Send what is no event, if somebody listens."""
        if self.socket is not None and not self.socket.closed:
            with suppress(ConnectionError):
                await self.socket.send_str(json.dumps(payload))


class Gateway:
    """What stands behind the gateway's address; `first_events` gives what follows an IDENTIFY."""

    def __init__(self) -> None:
        self.first_events: list[tuple[str, Any]] = []
        self.token = ""
        self.sessions: dict[str, Session] = {}
        # How often somebody came, began a session and resumed one.
        self.knocks = self.identified = self.resumed = 0
        # So many connections are closed before a word.
        self.closed_at_first = 0
        # With this, instead of READY and RESUMED.
        self.refusal: int | None = None
        # With this, instead of op 9, where a session is no longer known.
        self.unknown_session: int | None = None
        self.heartbeat_seconds = 45.0
        self.acknowledges = True
        self.connected = asyncio.Event()
        self._beaten = asyncio.Event()
        self._numbers = count(1)

    async def answer(self, request: web.Request) -> web.WebSocketResponse:
        """Talk to whoever connects, to the end of the connection."""
        self.knocks += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if self.knocks <= self.closed_at_first:
            await socket.close(code=WSCloseCode.GOING_AWAY)
            return socket
        await socket.send_json(
            {"op": HELLO, "d": {"heartbeat_interval": round(self.heartbeat_seconds * 1000)}}
        )
        try:
            async for message in socket:
                await self._hear(socket, json.loads(message.data))
        finally:
            for session in self.sessions.values():
                if session.socket is socket:
                    session.socket = None
                    self.connected.clear()
        return socket

    async def _hear(self, socket: web.WebSocketResponse, said: dict[str, Any]) -> None:
        if said["op"] == HEARTBEAT:
            self._beaten.set()
        match said["op"]:
            case 1 if self.acknowledges:
                await socket.send_json({"op": ACK})
            case 2 | 6 if self.refusal is not None:
                await socket.close(code=self.refusal)
            case 2:
                self.token = said["d"]["token"]
                await self._identify(socket)
            case 6:
                await self._resume(socket, said["d"]["session_id"], said["d"]["seq"])
            case _:
                pass

    async def _identify(self, socket: web.WebSocketResponse) -> None:
        self.identified += 1
        session = Session(id=f"session-{next(self._numbers)}", socket=socket)
        self.sessions[session.id] = session
        for event, data in self.first_events:
            known = data | {"session_id": session.id} if event == "READY" else data
            await session.dispatch(event, known)
        self.connected.set()

    async def _resume(self, socket: web.WebSocketResponse, session_id: str, sequence: int) -> None:
        session = self.sessions.get(session_id)
        if session is None and self.unknown_session is not None:
            await socket.close(code=self.unknown_session)
            return
        if session is None:
            await socket.send_json({"op": INVALID, "d": False})
            return
        self.resumed += 1
        session.socket = socket
        for missed in session.events[sequence or 0 :]:
            await session.send(missed)
        await session.dispatch("RESUMED", {"_trace": []})
        self.connected.set()

    async def dispatch(self, event: str, data: Any) -> None:
        """Send an event to every session; one that is away gets it when it is resumed."""
        for session in list(self.sessions.values()):
            await session.dispatch(event, data)

    async def moment(self) -> None:
        """Let as much time pass as a person takes: until a few questions were heard and answered."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                for _ in range(5):
                    self._beaten.clear()
                    await self._tell({"op": HEARTBEAT, "d": None})
                    await self._beaten.wait()

    # --- what goes wrong ---------------------------------------------------------------------------

    async def close(self, code: int) -> None:
        """Close every connection with a code, and forget the sessions that end with it."""
        sockets = self._sockets()
        if code in ENDING:
            self.forget()
        for socket in sockets:
            await socket.close(code=code)

    async def ask_to_reconnect(self) -> None:
        """Send op 7."""
        await self._tell({"op": RECONNECT, "d": None})

    async def invalidate(self, *, resumable: bool) -> None:
        """Send op 9."""
        sockets = self._sockets()
        if not resumable:
            self.forget()
        for socket in sockets:
            await socket.send_json({"op": INVALID, "d": resumable})

    def forget(self) -> None:
        """Let no session be resumed any more."""
        self.sessions.clear()
        self.connected.clear()

    def cut(self) -> None:
        """Break every connection without a word."""
        for session in self.sessions.values():
            if session.socket is not None and session.socket._req is not None:  # pyright: ignore[reportPrivateUsage]
                transport = session.socket._req.transport  # pyright: ignore[reportPrivateUsage]
                if transport is not None:
                    transport.abort()

    async def _tell(self, payload: dict[str, Any]) -> None:
        for session in self.sessions.values():
            await session.send(payload)

    def _sockets(self) -> list[web.WebSocketResponse]:
        return [one.socket for one in self.sessions.values() if one.socket is not None]
