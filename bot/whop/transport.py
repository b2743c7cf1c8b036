"""The one place that sends bytes to Whop."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, Final, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from pydantic import SecretStr
from typing_extensions import override

from bot.delivery import AGENT, NoAnswer, Request, Response
from bot.origin import may_learn_key
from bot.redaction import Redaction

CONNECT_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 30.0
BODY_LIMIT: Final = 64 * 1024
# A page of a hundred members is longer than what is said of a notification.
READ_LIMIT: Final = 1024 * 1024
# Much more than Whop's answers have: none of these takes an acceptance back.
LINE_LIMIT: Final = 64 * 1024
HEADERS_LIMIT: Final = 2000
# How much of what comes back is kept beside aiohttp, which drops an answer at the first wrong header.
HEARD_LIMIT: Final = 128 * 1024


class Transport:
    """Send frozen requests over fresh connections; an asynchronous context manager.

    The key goes to no host but Whop's, and where `base` is given, nowhere but below that.
    """

    def __init__(self, *, api_key: SecretStr, base: str = "", total_seconds: float = TOTAL_SECONDS) -> None:
        self._api_key = api_key
        self._base = base and f"{base}/"
        # Whoever answers may repeat what they were sent.
        self._redaction = Redaction([api_key.get_secret_value()])
        self._total_seconds = total_seconds

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_bytes_left)
        self._session = aiohttp.ClientSession(
            # A kept connection may be half closed: a POST on it would fail in doubt.
            connector=_Connector(force_close=True),
            timeout=aiohttp.ClientTimeout(total=self._total_seconds, sock_connect=CONNECT_SECONDS),
            trace_configs=[trace],
            # Nothing of one answer may colour the next request.
            cookie_jar=aiohttp.DummyCookieJar(),
            # A body that cannot be unpacked would take the status line down with it.
            headers={"Accept-Encoding": "identity", "User-Agent": AGENT},
            auto_decompress=False,
            max_line_size=LINE_LIMIT,
            max_field_size=LINE_LIMIT,
            max_headers=HEADERS_LIMIT,
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def __reduce__(self) -> str:
        """Refuse to be pickled: the key would stand in it as it is."""
        raise TypeError("a transport holds the key: it is not pickled")

    async def send(
        self, request: Request, *, may_leave: Callable[[], bool] = lambda: True
    ) -> Response | NoAnswer:
        """Send it once; whatever happens on the way is returned, never raised.

        `may_leave` is asked at the last moment before the first byte goes out.
        """
        session = self._session
        # It comes from the database, which others may have written to.
        if not may_learn_key(request.url):
            return NoAnswer(reason="its address is none of Whop's", bytes_left=False)
        if not request.url.startswith(self._base):
            return NoAnswer(reason="its address is not that of its account", bytes_left=False)
        sent = SimpleNamespace(bytes_left=False, may_leave=may_leave)
        headers = {**request.headers, "Authorization": f"Bearer {self._api_key.get_secret_value()}"}
        heard = bytearray()
        _heard.set(heard)
        try:
            answer = await session.request(
                request.method,
                request.url,
                data=request.body or None,
                headers=headers,
                # The key must not follow a redirect to another host.
                allow_redirects=False,
                trace_request_ctx=sent,
            )
        # Besides its own kinds aiohttp lets ValueError, AssertionError and others out. All of them may
        # carry the request's headers: only their kind is passed on.
        except Exception as error:  # noqa: BLE001
            # One wrong header makes aiohttp drop the whole answer, of which the status is known.
            broken = not isinstance(error, TimeoutError | aiohttp.ClientConnectionError)
            if broken and (found := read_leniently(bytes(heard))):
                return self._clean(*found)
            return NoAnswer(reason=_KINDS.get(type(error), type(error).__name__), bytes_left=sent.bytes_left)
        try:
            body = await _read_bounded(answer, READ_LIMIT if request.method == "GET" else BODY_LIMIT)
        finally:
            answer.close()
        return self._clean(answer.status, answer.headers.items(), body)

    def _clean(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Response:
        clean, kept = self._redaction, dict[str, str]()
        for name, value in headers:
            # What stands there twice is one list, as HTTP has it.
            before = f"{kept[name]}, " if name in kept else ""
            kept[clean(name)] = f"{before}{clean(value)}"
        return Response(status=status, headers=kept, body=clean(body.decode(errors="replace")))


class _TooLateError(Exception):
    """Keep the first byte from leaving."""


_KINDS: Final[Mapping[type[Exception], str]] = {
    TimeoutError: "it took too long",
    aiohttp.ConnectionTimeoutError: "no connection in time",
    aiohttp.ClientConnectorError: "no connection",
    aiohttp.ClientConnectorDNSError: "its name could not be resolved",
    aiohttp.ClientConnectorCertificateError: "its certificate is not valid",
    aiohttp.ClientConnectorSSLError: "no secure connection",
    aiohttp.ServerDisconnectedError: "the connection was closed",
    aiohttp.ClientOSError: "the connection broke",
    aiohttp.ClientResponseError: "what came back is not HTTP",
    _TooLateError: "it took too long to begin",
}


async def _note_bytes_left(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    if not context.trace_request_ctx.may_leave():
        raise _TooLateError
    # aiohttp signals this just before it writes: from here on, nobody can say that nothing left.
    context.trace_request_ctx.bytes_left = True


async def _read_bounded(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body as far as it came: the status line alone already says what Whop decided."""
    read = bytearray()
    try:
        while len(read) < limit and (part := await answer.content.read(limit - len(read))):
            read += part
    except Exception:  # noqa: BLE001, S110 - no kind of broken body takes the status back
        pass
    return bytes(read)


# --- an answer that aiohttp does not take ---------------------------------------------------------------

# What has come back for the request of this task.
_heard: Final[ContextVar[bytearray]] = ContextVar("heard")
_FINAL: Final = re.compile(rb"HTTP/1\.[01] ([2-9][0-9][0-9])(?: [^\n]*)?\r?\n")
_INTERIM: Final = re.compile(rb"(?:HTTP/1\.[01] 1[0-9][0-9][^\n]*\r?\n(?:[^\r\n][^\n]*\n)*\r?\n)*")


def read_leniently(heard: bytes) -> tuple[int, list[tuple[str, str]], bytes] | None:
    """Return the status, the headers that can be read, and the body, as far as they came; or None."""
    interim = _INTERIM.match(heard)
    status = _FINAL.match(heard, interim.end() if interim else 0)
    if status is None:
        return None
    head, _, body = heard[status.end() - 1 :].replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = [line.partition(":") for line in head.decode(errors="replace").split("\n")]
    headers = [(name.strip(), value.strip()) for name, colon, value in lines if colon]
    return int(status[1]), headers, body[:BODY_LIMIT]


class _Connector(aiohttp.TCPConnector):
    """Let each request keep the beginning of what comes back, beside aiohttp, which reads it as ever."""

    @override
    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,
    ) -> Connection:
        """Return a connection whose answers are kept in what the task calls its own."""
        connection = await super().connect(req, traces, timeout)
        if connection.transport is not None and connection.protocol is not None:
            connection.transport.set_protocol(_Overhearing(_heard.get(), connection.protocol))
        return connection


class _Overhearing(asyncio.Protocol):
    """Pass everything on to whoever reads the connection, and keep a bounded part of it."""

    def __init__(self, heard: bytearray, reader: ResponseHandler) -> None:
        self._heard = heard
        self._reader = reader

    @override
    def data_received(self, data: bytes) -> None:
        self._heard += data[: HEARD_LIMIT - len(self._heard)]
        self._reader.data_received(data)

    @override
    def eof_received(self) -> None:
        self._reader.eof_received()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._reader.connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        self._reader.pause_writing()

    @override
    def resume_writing(self) -> None:
        self._reader.resume_writing()
